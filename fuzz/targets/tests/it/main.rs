//! Each target for a fixed number of inputs from a fixed seed: the same ones in every run.

use spike_fuzz::TARGETS;
use spike_fuzz::explore::{Until, explore};

/// A few seconds of a debug build altogether.
const INPUTS: u64 = 30_000;

/// The target of that name keeps its promises, and its inputs lead somewhere.
fn check(name: &str, outcomes_min: usize) {
    let target = TARGETS.into_iter().find(|target| target.name == name).expect("a target");
    let report = explore(&target, 1, Until::Inputs(INPUTS));
    println!("{name}: {} inputs, {} outcomes", report.inputs, report.outcomes);
    if let Some((input, path)) = report.finding {
        panic!("{}: {:?}", path.display(), String::from_utf8_lossy(&input));
    }
    assert!(report.outcomes >= outcomes_min, "only {} outcomes", report.outcomes);
}

#[test]
fn replies_of_redis_are_read() {
    check("resp", 200);
}

#[test]
fn presses_are_read() {
    check("press", 20);
}

#[test]
fn tokens_are_verified() {
    check("token", 20);
}

#[test]
fn messages_of_the_queue_are_read() {
    check("message", 15);
}
