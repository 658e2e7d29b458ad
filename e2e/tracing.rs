//! What a collector is told: one trace from a client's press to the row in the database, over HTTP, ledger, outbox, broker and
//! worker. And what else tells operators where time goes: the log's level, profiles, the heap.

mod collector;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use spike_domain::{OrderId, TraceContext};

use crate::http::{self, call};
use crate::poll::until;
use crate::system::{Sale, System, order_of, shared};
use collector::{Collector, Seen};

/// A trace that a client has begun.
fn client(sampled: bool) -> TraceContext {
    TraceContext { trace_id: new_trace_id(), span_id: 0x00f0_67aa_0ba9_02b7, sampled }
}

fn new_trace_id() -> u128 {
    OrderId::new(spike_domain::clock::now_ms()).0.as_u128()
}

fn system(collector: &Collector, ratio: &str) -> System {
    let endpoint = format!("http://{}", collector.at);
    System::start(&[
        ("SPIKE_TELEMETRY_OTLP_ENDPOINT", endpoint.as_str()),
        ("SPIKE_TELEMETRY_SAMPLE_RATIO", ratio),
        ("SPIKE_TELEMETRY_SLOW_MS", "0"),
        ("SPIKE_HOT_FAST_LANE", "false"),
    ])
}

/// Holds the way of one recorded buy: each step a child of the one before.
fn check_way(spans: &[Seen], from: u64, order: OrderId) {
    let way = [
        ("spike-gateway", "POST /api/v1/spike/events/{event}/orders", 2),
        ("spike-gateway", "reserve", 3),
        ("spike-gateway", "outbox", 1),
        ("spike-gateway", "publish", 4),
        ("spike-worker", "process", 5),
        ("spike-worker", "settle", 3),
    ];
    let mut parent = from;
    for (service, name, kind) in way {
        let found = spans.iter().find(|span| span.parent == parent && span.name == name);
        let span = found.unwrap_or_else(|| panic!("no {name} below {parent:x}: {spans:#?}"));
        assert_eq!((span.service.as_str(), span.kind), (service, kind), "{span:?}");
        assert!(span.error.is_none() && span.start_ns <= span.end_ns, "{span:?}");
        if ["POST /api/v1/spike/events/{event}/orders", "outbox", "process"].contains(&name) {
            assert_eq!(span.attribute("spike.order"), Some(order.to_string().as_str()), "{span:?}");
        }
        if name == "process" {
            let sql = spans.iter().find(|one| one.parent == span.id && one.name == "database");
            assert_eq!(sql.unwrap_or_else(|| panic!("no SQL: {spans:#?}")).service, "spike-worker");
        }
        parent = span.id;
    }
}

#[test]
fn one_trace_leads_from_the_press_to_the_row() {
    let collector = Collector::start();
    let system = system(&collector, "0");
    let event = system.open(Sale::of(10));
    let [(_, ann), (_, bob), (_, joe)] = &system.users(3)[..] else { unreachable!("three") };

    let trace = client(true);
    let answer = system.buy(event, ann, &[("traceparent", &trace.to_string())], None);
    assert_eq!(answer.status, 202);
    let back = TraceContext::parse(answer.header("traceresponse").expect("told").as_bytes()).expect("valid");
    assert_eq!((back.trace_id, back.sampled), (trace.trace_id, true));
    let spans = until("the whole way of the buy", || {
        let spans = collector.of(trace.trace_id);
        let names: BTreeSet<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        ["reserve", "publish", "process", "database", "settle"]
            .iter()
            .all(|name| names.contains(name))
            .then_some(spans)
    });
    check_way(&spans, trace.span_id, order_of(&answer));
    let request = spans.iter().find(|span| span.parent == trace.span_id).expect("found above");
    assert_eq!(request.id, back.span_id);
    assert_eq!(request.attribute("http.response.status_code"), Some("202"));

    // Neither a client that does not want it, nor one that says nothing, at a ratio of 0.
    let unwanted = client(false);
    assert_eq!(system.buy(event, bob, &[("traceparent", &unwanted.to_string())], None).status, 202);
    assert_eq!(system.buy(event, joe, &[], None).status, 202);
    // The control API continues a trace as well, down to its SQL, by which time those would have come.
    let asked = client(true);
    let listed = call(
        system.http,
        "GET",
        "/api/v1/users/me",
        &[("Authorization", &format!("Bearer {ann}")), ("traceparent", &asked.to_string())],
        None,
    );
    assert_eq!(listed.status, 200);
    let spans = until("the request with its SQL", || {
        let spans = collector.of(asked.trace_id);
        (spans.len() >= 2).then_some(spans)
    });
    let request = spans.iter().find(|span| span.name == "GET /api/v1/users/me").expect("the request");
    assert_eq!((request.parent, request.kind), (asked.span_id, 2));
    assert!(spans.iter().any(|span| span.parent == request.id && span.name == "database"), "{spans:#?}");
    assert_eq!(collector.of(unwanted.trace_id).len(), 0);
    // What fails is kept in any case: on a slow machine setting the sale up may have met a 503.
    let asked_for = |span: &&Seen| [trace.trace_id, asked.trace_id].contains(&span.trace_id);
    let all = collector.all();
    let failed: BTreeSet<u128> =
        all.iter().filter(|span| span.error.is_some()).map(|span| span.trace_id).collect();
    let others: Vec<&Seen> =
        all.iter().filter(|span| !asked_for(span) && !failed.contains(&span.trace_id)).collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn what_fails_is_kept_although_nothing_is_sampled() {
    let collector = Collector::start();
    let mut system = system(&collector, "0");
    let event = system.open(Sale::of(10));
    let (_, token) = system.user();
    system.worker.kill9();
    system.redis.kill9();
    let failed = until("a press fails", || {
        let answer = system.buy(event, &token, &[("x-request-id", "failing-1")], None);
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(failed.header("x-request-id"), Some("failing-1"));
    let span = until("the failed buy", || {
        let spans = collector.all();
        spans.into_iter().find(|span| span.attribute("spike.request_id") == Some("failing-1"))
    });
    assert_eq!((span.error.as_deref(), span.parent), (Some("status 503"), 0));
    assert_eq!(span.attribute("http.response.status_code"), Some("503"));
    let line = until("its line in the log", || {
        let log = system.gateway.log();
        log.lines().find(|line| line.contains("buy failed") && line.contains("failing-1")).map(str::to_owned)
    });
    assert!(line.contains(&format!("{:032x}", span.trace_id)), "{line}");
    assert!(!line.contains(&token) && !system.gateway.log().contains(&token), "a token is in the log");
}

#[test]
fn a_collector_that_is_away_costs_spans_and_no_buys() {
    let nobody = crate::system::loopback();
    let system = System::start(&[
        ("SPIKE_TELEMETRY_OTLP_ENDPOINT", &format!("http://{nobody}")),
        ("SPIKE_TELEMETRY_SAMPLE_RATIO", "1"),
    ]);
    let event = system.open(Sale::of(10));
    for (_, token) in system.users(5) {
        assert_eq!(system.buy(event, &token, &[], None).status, 202);
    }
    until("spans are counted as failed", || {
        let text = call(system.gateway_ops, "GET", "/metrics", &[], None).body;
        let text = String::from_utf8(text).expect("UTF-8");
        let count = text.lines().find_map(|line| line.strip_prefix("spike_trace_spans_failed_total "));
        count.and_then(|count| count.parse::<u64>().ok()).filter(|count| *count > 0)
    });
    // Turned off while it runs, a press that asks to be recorded is not; turned on, it is.
    for (words, recorded) in [("off", false), ("0.5", true)] {
        let put = call(system.gateway_ops, "PUT", "/debug/traces", &[], Some(words));
        assert_eq!((put.status, put.body), (200, format!("{words}\n").into_bytes()));
        let (_, token) = system.user();
        let answer = system.buy(event, &token, &[("traceparent", &client(true).to_string())], None);
        assert_eq!((answer.status, answer.header("traceresponse").is_some()), (202, recorded), "{words}");
    }
    let put = |part: &str| call(worker_ops(&system), "PUT", "/debug/traces", &[], Some(part)).status;
    assert_eq!((put("1.5"), put("off")), (400, 200));
}

fn worker_ops(system: &System) -> SocketAddr {
    system.worker.env()["SPIKE_WORKER_OPS_LISTEN"].parse().expect("an address")
}

#[test]
fn gateway_and_worker_tell_where_time_and_memory_go_and_turn_their_log() {
    let system = shared();
    for ops in [system.gateway_ops, worker_ops(system)] {
        let get = |path: &str| call(ops, "GET", path, &[], None);
        let profile = get("/debug/pprof/profile?seconds=1");
        assert_eq!((profile.status, profile.header("content-type")), (200, Some("application/octet-stream")));
        let svg = get("/debug/pprof/profile?seconds=1&format=svg");
        assert_eq!((svg.status, svg.header("content-type")), (200, Some("image/svg+xml")));
        assert!(svg.body.starts_with(b"<svg "), "{}", String::from_utf8_lossy(&svg.body));
        for bad in ["seconds=0", "seconds=61", "seconds=x", "format=png", "second=1"] {
            assert_eq!(get(&format!("/debug/pprof/profile?{bad}")).status, 400, "{bad}");
        }
        let heap = get("/debug/heap").json();
        assert!(heap["process"]["resident_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{heap}");
        assert!(heap["mimalloc"].is_object(), "{heap}");

        assert_eq!(get("/debug/traces").status, 404, "no collector is set");
        assert_eq!(get("/debug/log").body, b"info,lapin=off\n");
        let put = |level: &str| call(ops, "PUT", "/debug/log", &[], Some(level));
        assert_eq!(put("inof").status, 400);
        assert_eq!(put("info,spike_gateway=debug").status, 200);
        assert_eq!(get("/debug/log").body, b"info,spike_gateway=debug\n");
        assert_eq!(put("info,lapin=off").status, 200);
    }
    assert_eq!(system.get("/debug/heap", "").status, 404, "not on the public port");
}

#[test]
fn the_debug_endpoints_can_be_closed() {
    let system = System::start(&[("SPIKE_TELEMETRY_DEBUG_ENDPOINTS", "false")]);
    for ops in [system.gateway_ops, worker_ops(&system)] {
        for path in ["/debug/log", "/debug/heap", "/debug/pprof/profile?seconds=1"] {
            assert_eq!(http::call(ops, "GET", path, &[], None).status, 404, "{path}");
        }
    }
}
