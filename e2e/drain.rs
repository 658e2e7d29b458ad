//! SIGTERM in the middle of a sale: what was accepted is answered and kept, and the process leaves with success.

use spike_domain::clock::now_ms;

use crate::system::{Sale, System};

#[test]
fn a_gateway_under_load_drains_and_loses_nothing() {
    let mut system = System::start(&[("SPIKE_HTTP_DRAIN_TIMEOUT_MS", "8000")]);
    let event = system.open(Sale { opens_in_ms: 2_000, ..Sale::of(4_000) });
    let running = system.storm(event, now_ms() + 2_500, 2_000, 4);
    running.wait_accepted(200);
    system.gateway.signal(libc::SIGTERM);
    let status = system.gateway.ended();
    assert!(status.success(), "{status}");
    // The rest of the presses meets the next gateway, and its relay finds what the first had not published.
    system.gateway.restart();
    let (result, audit) = system.audit(event, 4_000, running);
    assert!(audit.clean(), "{:?}", audit.differences);
    // Between the two nobody listens; while it drains, no connection in hand is cut without its answer.
    let words = &result.figures.words;
    assert!(words.contains_key("connect"), "the drain met no load: {words:?}");
    let lost = ["internal", "other-5xx", "timeout", "outcome-unknown"];
    assert!(lost.iter().all(|word| !words.contains_key(word)), "{words:?}");
}

#[test]
fn a_worker_drains_and_leaves() {
    let mut system = System::start(&[]);
    let event = system.open(Sale { opens_in_ms: 2_000, ..Sale::of(1_000) });
    let running = system.storm(event, now_ms() + 2_500, 1_000, 1);
    running.wait_accepted(100);
    system.worker.signal(libc::SIGTERM);
    assert!(system.worker.ended().success());
    system.worker.restart();
    let (result, audit) = system.audit(event, 1_000, running);
    assert!(audit.clean(), "{:?}", audit.differences);
    assert_eq!(
        (result.figures.counts.accepted, audit.conservation.L),
        (1_000, 1_000),
        "{:?}",
        result.figures.words
    );
}

#[test]
fn a_second_signal_leaves_at_once() {
    let mut system = System::start(&[("SPIKE_HTTP_DRAIN_TIMEOUT_MS", "600000")]);
    // A request that never ends keeps the first drain waiting for its deadline.
    let mut held = std::net::TcpStream::connect(system.http).expect("it listens");
    std::io::Write::write_all(
        &mut held,
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n",
    )
    .expect("written");
    system.gateway.signal(libc::SIGTERM);
    crate::poll::until("the drain has begun", || {
        let ready = crate::http::try_call(system.gateway_ops, "GET", "/readyz", &[], None)?;
        (ready.status == 503).then_some(())
    });
    system.gateway.signal(libc::SIGTERM);
    assert_eq!(system.gateway.ended().code(), Some(128 + libc::SIGTERM));
}
