//! kill -9 in the middle of a sale: gateway and worker start again, and the books still balance.

use spike_domain::clock::now_ms;

use crate::system::{Sale, System};

#[test]
fn a_killed_worker_and_a_killed_gateway_lose_and_double_nothing() {
    let mut system =
        System::start(&[("SPIKE_RELAY_CLAIM_IDLE_MS", "500"), ("SPIKE_RELAY_REPUBLISH_AFTER_MS", "1500")]);
    let event = system.open(Sale { opens_in_ms: 2_000, ..Sale::of(1_500) });
    let running = system.storm(event, now_ms() + 2_500, 2_000, 2);
    running.wait_accepted(150);
    system.worker.kill9();
    running.wait_accepted(400);
    system.gateway.kill9();
    system.worker.restart();
    system.gateway.restart();
    let (result, audit) = system.audit(event, 1_500, running);
    assert!(audit.clean(), "{:?}", audit.differences);
    assert_eq!((audit.oversold, audit.doubled, audit.lost), (0, 0, 0));
    let (figures, words) = (audit.conservation, &result.figures.words);
    assert!(result.figures.counts.errors > 0, "the faults met no load: {words:?}");
    assert!(figures.holds() && figures.L >= 400, "{figures:?} {words:?}");
}
