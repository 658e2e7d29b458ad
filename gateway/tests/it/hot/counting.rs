//! Every request is counted once, as what it was; histograms count the same requests.

use std::io::Write;

use spike_metrics::words::{HotRoute, Outcome};
use spike_metrics::{Counter, Page};
use spike_telemetry::Counters;

use super::core::{EVENT, HotCore, Wishes};
use super::raw::until;

const MINE: &str = "/api/v1/spike/events/7/orders/mine";

fn text(counters: &Counters) -> String {
    let mut page = Page::default();
    counters.write(&mut page);
    page.into_text()
}

fn value(text: &str, series: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series}: {text}")).parse().unwrap()
}

/// What has been counted of a route, by outcome, without what is 0.
fn of(counters: &Counters, route: HotRoute) -> Vec<(Outcome, u64)> {
    let all = Outcome::ALL.iter().map(|outcome| (*outcome, counters.requests(route, *outcome)));
    all.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn outcomes_add_up_to_the_requests() {
    // The fast lane has no stages.
    let env = vec![("SPIKE_HOT_FAST_LANE", "false".to_owned())];
    let core = HotCore::start_with(Wishes { env, stock: 2, ..Wishes::default() });
    let counters = &core.shared.counters;
    // Waiting for Redis has asked for an order some times.
    let before: u64 = of(counters, HotRoute::Mine).iter().map(|(_, count)| count).sum();
    let mut client = core.client();
    let key = "Idempotency-Key: press-1\r\n";
    let mut presses = 0;
    let mut press = |token: &str, headers: &str, body: &str, want: u16| {
        presses += 1;
        let mut client = core.client();
        assert_eq!(client.buy(token, headers, body).status, want, "{token} {body}");
    };
    press(&core.token(1), key, "", 202);
    press(&core.token(1), key, "", 202);
    press(&core.token(1), "", "", 409);
    press("nonsense", "", "", 401);
    press(&core.token(2), "", "", 202);
    for user in 3..40 {
        press(&core.token(user), "", "", 409);
    }
    let page = format!("/api/v1/spike/events/{EVENT}");
    assert_eq!(client.get(&page, "").status, 200);
    assert_eq!(client.get(MINE, &core.token(1)).status, 200);
    assert_eq!(client.get(MINE, &core.token(99)).status, 404);
    // The router of these tests.
    assert_eq!(client.get("/api/v1/nowhere", "").status, 418);

    let buys = of(counters, HotRoute::Buy);
    let want = [
        (Outcome::Accepted, 2),
        (Outcome::Replayed, 1),
        (Outcome::SoldOut, 37),
        (Outcome::AlreadyBought, 1),
        (Outcome::Unauthorized, 1),
    ];
    assert_eq!(buys, want);
    assert_eq!(buys.iter().map(|(_, count)| count).sum::<u64>(), presses);
    assert_eq!(of(counters, HotRoute::Page), [(Outcome::Ok, 1)]);
    let mine = of(counters, HotRoute::Mine);
    assert!(mine.contains(&(Outcome::Ok, 1)), "{mine:?}");
    assert_eq!(mine.iter().map(|(_, count)| count).sum::<u64>(), before + 2);
    assert_eq!(of(counters, HotRoute::Control), [(Outcome::Invalid, 1)]);

    let text = text(counters);
    for route in HotRoute::ALL {
        let requests: u64 = of(counters, *route).iter().map(|(_, count)| count).sum();
        let timed = format!("spike_gateway_request_duration_seconds_count{{route=\"{}\"}}", route.word());
        assert_eq!(value(&text, &timed), requests, "{route:?}");
    }
    // Each press has a flag; every sixteenth is timed, from the first on.
    let sampled = presses.div_ceil(16);
    assert_eq!(value(&text, "spike_gateway_buy_stage_duration_seconds_count{stage=\"flag\"}"), sampled);
    let reserved = value(&text, "spike_gateway_buy_stage_duration_seconds_count{stage=\"reserve\"}");
    assert!((1..=sampled).contains(&reserved), "the first one went all the way: {reserved}");
    let calls = counters.sum(Counter::ReserveCalls);
    assert_eq!(value(&text, "spike_gateway_reserve_batch_orders_count"), calls);
    assert_eq!(value(&text, "spike_gateway_reserve_batch_orders_sum"), counters.sum(Counter::ReserveBuyers));
    assert_eq!(value(&text, "spike_gateway_ledger_call_duration_seconds_count{call=\"reserve\"}"), calls);
    assert_eq!(counters.sum(Counter::Accepted), counters.requests(HotRoute::Buy, Outcome::Accepted));
    assert_eq!(counters.sum(Counter::SoldOut), counters.requests(HotRoute::Buy, Outcome::SoldOut));
}

#[test]
fn a_refusal_is_counted_by_its_dimension() {
    let env = vec![("SPIKE_LIMITS_DEBOUNCE_MS", "60000".to_owned())];
    let core = HotCore::start_with(Wishes { env, ..Wishes::default() });
    let (token, mut client) = (core.token(1), core.client());
    assert_eq!(client.buy(&token, "", "").status, 202);
    for _ in 0..3 {
        assert_eq!(client.buy(&token, "", "").status, 429);
    }
    let text = text(&core.shared.counters);
    assert_eq!(value(&text, "spike_gateway_denied_total{dimension=\"press\"}"), 3);
    assert_eq!(value(&text, "spike_gateway_denied_total{dimension=\"user\"}"), 0);
    assert_eq!(core.shared.counters.requests(HotRoute::Buy, Outcome::Limited), 3);
}

#[test]
fn a_client_that_goes_away_is_counted_as_aborted() {
    let core = HotCore::start();
    // Redis stands still, so the press waits until its client has gone.
    core.redis.pause().unwrap();
    let mut stream = std::net::TcpStream::connect(core.address).unwrap();
    stream.write_all(super::raw::buy_request(&core.token(1), "", "").as_bytes()).unwrap();
    until("the press waits", || core.shared.counters.sum(Counter::ReserveCalls) == 1);
    drop(stream);
    until("it is counted", || core.shared.counters.requests(HotRoute::Buy, Outcome::Aborted) == 1);
    core.redis.resume().unwrap();
    let buys = of(&core.shared.counters, HotRoute::Buy);
    assert_eq!(buys, [(Outcome::Aborted, 1)]);
}
