//! Two gateways and two workers on the same servers are one shop, also while one of each leaves in the middle of a sale.

use spike_domain::clock::now_ms;

use crate::balancer::{Balancer, Target};
use crate::poll::until;
use crate::process::Process;
use crate::system::{Sale, System};

const STOCK: u32 = 5_000;

/// Orders that a gateway has answered with 202.
fn accepted_by(gateway: &Process) -> u64 {
    gateway.counted("spike_gateway_requests_total", &["route=\"buy\"", "outcome=\"accepted\""])
}

/// Orders that a worker has written.
fn written_by(worker: &Process) -> u64 {
    worker.counted("spike_worker_orders_total", &["status=\"pending\""])
}

#[test]
fn one_gateway_drains_and_one_worker_is_killed_and_nobody_notices() {
    // What a gateway had read and not published is taken over by the other one in half a second.
    let mut system =
        System::start(&[("SPIKE_RELAY_CLAIM_IDLE_MS", "500"), ("SPIKE_RELAY_REPUBLISH_AFTER_MS", "1500")]);
    let (mut leaving, http) = system.second_gateway();
    let staying = system.second_worker();
    let targets =
        [Target { http: system.http, ops: system.gateway_ops }, Target { http, ops: leaving.ops() }];
    let balancer = Balancer::start(&targets);
    let event = system.open(Sale { opens_in_ms: 2_000, ..Sale::of(STOCK) });
    let running = system.storm_at(balancer.address(), event, now_ms() + 2_500, 6_000, 2);

    until("both workers write", || {
        (written_by(&system.worker) > 0 && written_by(&staying) > 0).then_some(())
    });
    system.worker.kill9();
    let written_before = written_by(&staying);
    until("both gateways sell", || {
        (accepted_by(&system.gateway) > 0 && accepted_by(&leaving) > 0).then_some(())
    });
    leaving.signal(libc::SIGTERM);
    let status = leaving.ended();
    assert!(status.success(), "{status}");
    let at_the_end_of_one = running.accepted();
    assert!(at_the_end_of_one < u64::from(STOCK), "the drain met no load");

    let (result, audit) = system.audit(event, STOCK.into(), running);
    let words = &result.figures.words;
    assert!(audit.clean(), "{:?} {words:?}", audit.differences);
    assert_eq!((audit.oversold, audit.doubled, audit.lost, audit.unexplained), (0, 0, 0, 0));
    // The balancer knows who is ready, and what a gateway has accepted it answers before it leaves.
    let counts = result.figures.counts;
    assert_eq!((counts.errors, counts.accepted), (0, STOCK.into()), "{words:?}");
    assert_eq!((audit.conservation.L, audit.conservation.R), (STOCK.into(), 0), "{:?}", audit.conservation);
    assert!(written_by(&staying) > written_before, "the worker that stayed wrote the rest");
    assert!(accepted_by(&system.gateway) > 0, "the gateway that stayed sold the rest");
}
