//! The blocks under threads, and what a scrape shows of them.

use super::*;

fn text(counters: &Counters) -> String {
    let mut page = Page::default();
    counters.write(&mut page);
    page.into_text()
}

#[test]
fn cores_do_not_share_a_cache_line() {
    let counters = Counters::new(2);
    for block in &counters.cores {
        assert!(std::ptr::from_ref::<Block>(block).addr().is_multiple_of(64));
    }
    assert!(size_of::<CachePadded<Block>>().is_multiple_of(64));
}

#[test]
fn nothing_is_lost_between_threads() {
    const EACH: u64 = 20_000;
    let counters = Counters::new(3);
    std::thread::scope(|scope| {
        for core in 0..3 {
            let counters = &counters;
            scope.spawn(move || {
                let pen = counters.of_core(core);
                for at in 0..EACH {
                    pen.count(Counter::Accepted, 1);
                    pen.request(HotRoute::Buy, Outcome::Accepted, at);
                    // What is no hot core is many threads on one block.
                    counters.add(Counter::Panics, 2);
                }
            });
        }
    });
    assert_eq!(counters.sum(Counter::Accepted), 3 * EACH);
    assert_eq!(counters.sum(Counter::Panics), 6 * EACH);
    assert_eq!(counters.requests(HotRoute::Buy, Outcome::Accepted), 3 * EACH);
    assert_eq!(counters.sum(Counter::SoldOut), 0);
    let text = text(&counters);
    for line in [
        "spike_gateway_accepted_total 60000",
        "spike_gateway_requests_total{route=\"buy\",outcome=\"accepted\"} 60000",
        "spike_gateway_request_duration_seconds_count{route=\"buy\"} 60000",
        "spike_gateway_request_duration_seconds_bucket{route=\"buy\",le=\"0.00002\"} 60000",
        "spike_gateway_request_duration_seconds_count{route=\"mine\"} 0",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
}

#[test]
fn a_gauge_may_fall_on_another_core_and_never_shows_less_than_nothing() {
    let counters = Counters::new(2);
    let (one, other) = (counters.of_core(0), counters.of_core(1));
    one.count(Counter::ConnectionsOpen, 3);
    other.subtract(Counter::ConnectionsOpen, 2);
    assert_eq!(counters.sum(Counter::ConnectionsOpen), 1);
    other.subtract(Counter::ConnectionsOpen, 2);
    assert_eq!(counters.sum(Counter::ConnectionsOpen), 0);
    counters.set(Counter::RevocationsHeld, 4);
    assert_eq!(counters.sum(Counter::RevocationsHeld), 4);
}

#[test]
#[should_panic(expected = "core 0 has two writers")]
fn a_block_has_one_writer() {
    let counters = Counters::new(1);
    drop(counters.of_core(0));
    let _pen = counters.of_core(0);
    let _second = counters.of_core(0);
}

#[test]
fn one_press_of_sixteen_is_sampled() {
    let counters = Counters::new(1);
    let pen = counters.of_core(0);
    assert_eq!((0..160).filter(|_| pen.samples_press()).count(), 10);
}

#[test]
fn what_is_not_measured_is_not_shown_as_nothing() {
    let counters = Counters::new(1).measuring(false);
    let pen = counters.of_core(0);
    pen.count(Counter::Accepted, 1);
    pen.count(Counter::ConnectionsOpen, 1);
    pen.request(HotRoute::Buy, Outcome::SoldOut, 1);
    pen.reserve_call(3);
    pen.denied("user");
    assert!(!pen.samples_press());
    let text = text(&counters);
    assert!(text.contains("\nspike_gateway_hot_metrics 0\n"), "{text}");
    assert!(text.contains("\nspike_gateway_connections_open 1\n"), "{text}");
    for name in ["accepted_total", "requests_total", "duration", "denied", "reserve"] {
        assert!(!text.contains(name), "{name}: {text}");
    }
}

#[test]
fn calls_batches_and_denials_are_counted() {
    let counters = Counters::new(1);
    let pen = counters.of_core(0);
    for buyers in [1, 3, 128] {
        pen.reserve_call(buyers);
        pen.ledger_call(LedgerCall::Reserve, 1_000_000);
    }
    pen.denied("press");
    pen.denied("nothing of that name");
    pen.stage(Stage::Auth, 150);
    let text = text(&counters);
    for line in [
        "spike_gateway_reserve_calls_total 3",
        "spike_gateway_reserve_buyers_total 132",
        "spike_gateway_reserve_batch_orders_bucket{le=\"4\"} 2",
        "spike_gateway_reserve_batch_orders_count 3",
        "spike_gateway_reserve_batch_orders_sum 132",
        "spike_gateway_ledger_call_duration_seconds_sum{call=\"reserve\"} 0.003",
        "spike_gateway_denied_total{dimension=\"press\"} 1",
        "spike_gateway_buy_stage_duration_seconds_bucket{stage=\"auth\",le=\"0.0000002\"} 1",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
}
