//! Seeds that have failed once. Each is run in every `make test`, so that what it found stays found.

use super::arena::Own;
use super::directed::{IMPATIENT, REPUBLISH_AFTER, SMALL};
use super::drive::{Faults, Run, run};

/// Seed, and the faults it drew from.
const KEPT: &[(u64, &[&str])] = &[(1, &["gateway-killed", "redis-killed", "duplicates"])];

/// Faults a kept seed draws.
const FAULTS_EACH: usize = 3;

#[test]
fn seeds_that_have_failed_do_not_fail_again() {
    for &(seed, faults) in KEPT {
        let report = run(&Run {
            seed,
            own: Own { broker: false, database: false },
            settings: IMPATIENT,
            republish_after: REPUBLISH_AFTER,
            stock: 600,
            pressure: SMALL,
            faults: Faults::Some(faults, FAULTS_EACH),
        });
        assert_eq!(report.violations, Vec::<String>::new(), "seed {seed}");
    }
}
