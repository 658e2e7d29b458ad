//! The long run: `make soak`. Shipped settings, servers of its own, every kind of fault in turn.

use std::time::Duration;

use spike_domain::clock::now_ms;

use super::arena::Own;
use super::crowd::Pressure;
use super::drive::{Faults, Run, run};

/// Minutes, as `SOAK_MINUTES` of the Makefile.
const MINUTES: &str = "SPIKE_TEST_SOAK_MINUTES";
/// The seed to repeat; without it one is drawn and printed.
const SEED: &str = "SPIKE_TEST_SOAK_SEED";

fn variable(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

#[test]
#[ignore = "takes minutes and the whole machine: make soak"]
fn soak() {
    let minutes = variable(MINUTES).unwrap_or(20);
    let report = run(&Run {
        seed: variable(SEED).unwrap_or_else(now_ms),
        own: Own { broker: true, database: true },
        settings: &[],
        republish_after: Duration::from_secs(60),
        stock: 8_000,
        pressure: Pressure { clients: 48, presses_per_s: 900, users: 24_000, think_ms_max: 7_000 },
        faults: Faults::Until(Duration::from_secs(60 * minutes)),
    });
    assert!(report.violations.is_empty(), "violations: see the table");
    assert_eq!(report.under_way, 0, "events at rest");
    assert_eq!(report.late(), Vec::<String>::new(), "recoveries within their bounds");
}
