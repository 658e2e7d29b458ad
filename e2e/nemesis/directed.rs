//! Every kind of fault once, in small sales: part of `make test`. A relay's patience is shortened where the settings allow it.

use std::time::Duration;

use super::arena::Own;
use super::crowd::Pressure;
use super::drive::{Faults, Run, run};

/// Shorter than shipped: a test has no minute to wait for an entry to be old.
pub const IMPATIENT: &[(&str, &str)] =
    &[("SPIKE_RELAY_CLAIM_IDLE_MS", "1000"), ("SPIKE_RELAY_REPUBLISH_AFTER_MS", "4000")];
/// The second of them.
pub const REPUBLISH_AFTER: Duration = Duration::from_secs(4);

/// A small sale.
pub const SMALL: Pressure = Pressure { clients: 8, presses_per_s: 120, users: 2_000, think_ms_max: 7_000 };

const SHARED: Own = Own { broker: false, database: false };

fn check(own: Own, faults: &'static [&'static str]) {
    let report = run(&Run {
        seed: 1,
        own,
        settings: IMPATIENT,
        republish_after: REPUBLISH_AFTER,
        stock: 600,
        pressure: SMALL,
        faults: Faults::These(faults),
    });
    assert_eq!(report.struck(), faults.len());
    assert_eq!(report.violations, Vec::<String>::new());
    assert!(report.accepted > 100 && report.looks > 0 && report.under_way == 0, "{}", report.table());
}

#[test]
fn processes_that_are_killed_and_frozen() {
    check(SHARED, &["gateway-killed", "worker-killed", "gateway-frozen", "worker-frozen"]);
}

#[test]
fn a_redis_that_loses_its_data_or_its_disk() {
    check(SHARED, &["redis-killed", "redis-empty", "redis-older-copy", "redis-disk-full"]);
}

#[test]
fn a_redis_that_cannot_be_reached_or_is_slow() {
    check(
        SHARED,
        &["redis-cut", "redis-blackhole", "redis-half-open", "redis-delay", "redis-slow", "script-flush"],
    );
}

#[test]
fn messages_that_are_doubled_lost_or_poisonous() {
    check(SHARED, &["duplicates", "poison", "queue-purged", "broker-cut"]);
}

#[test]
fn a_broker_that_is_killed_stopped_wiped_and_out_of_memory() {
    let own = Own { broker: true, database: false };
    check(own, &["broker-killed", "memory-alarm", "broker-stopped", "broker-wiped"]);
}

#[test]
fn a_database_that_is_killed_and_cannot_be_reached() {
    let own = Own { broker: false, database: true };
    check(own, &["database-killed", "database-cut", "database-blackhole", "database-delay"]);
}
