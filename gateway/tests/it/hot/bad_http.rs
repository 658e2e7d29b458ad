//! Malformed, ambiguous and slow HTTP against a hot core: the classes. The large corpus is `e2e/bad_http`.

use super::core::{HotCore, Wishes};
use super::raw::{Client, until};
use spike_gateway::shared::DrainPhase;

const ORDERS: &str = "POST /api/v1/spike/events/7/orders HTTP/1.1\r\n";

#[test]
fn what_is_ambiguous_is_refused_and_its_second_request_never_runs() {
    let core = HotCore::start();
    let auth = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", core.token(1));
    let hidden = format!("{ORDERS}Host: t\r\n{auth}Content-Length: 0\r\n\r\n");
    let cases = [
        (format!("{ORDERS}{auth}Content-Length: 0\r\n\r\n"), 400, "no Host"),
        (format!("{ORDERS}Host: a\r\nHost: b\r\n{auth}Content-Length: 0\r\n\r\n"), 400, "two Hosts"),
        (
            format!("{ORDERS}Host: t\r\n{auth}Content-Length: 1\r\nContent-Length: 2\r\n\r\n{{}}"),
            400,
            "two lengths",
        ),
        (format!("{ORDERS}Host: t\r\n{auth}Content-Length: -1\r\n\r\n"), 400, "negative length"),
        (
            format!(
                "{ORDERS}Host: t\r\n{auth}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
            ),
            400,
            "both",
        ),
        (
            format!("{ORDERS}Host: t\r\n{auth}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
            400,
            "chunks on a hot route",
        ),
        (
            format!("{ORDERS}Host: t\r\n{auth}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
            400,
            "odd coding",
        ),
        (format!("{ORDERS}Host: t\r\nX: a\r\n folded\r\n{auth}Content-Length: 0\r\n\r\n"), 400, "folding"),
        (format!("{ORDERS}Host : t\r\n{auth}Content-Length: 0\r\n\r\n"), 400, "space before the colon"),
        ("NONSENSE\r\n\r\n".to_owned(), 400, "no request line"),
        (format!("{ORDERS}Host: t\r\nX: {}\r\n\r\n", "x".repeat(40_000)), 431, "large header"),
        (format!("GET /{} HTTP/1.1\r\nHost: t\r\n\r\n", "x".repeat(70_000)), 414, "long target"),
        (format!("{ORDERS}Host: t\r\n{auth}Content-Length: 5000\r\n\r\n"), 413, "large body"),
    ];
    for (bytes, status, what) in cases {
        let mut client = core.client();
        client.try_send(bytes.as_bytes());
        let answer = client.answer().unwrap_or_else(|| panic!("{what}: closed without an answer"));
        let tolerated = what == "long target" && answer.status == 431;
        assert!(answer.status == status || tolerated, "{what}: {answer:?}");
        assert!(client.answer().is_none(), "{what}: nothing after it is answered");
    }
    let mine = core.client().get("/api/v1/spike/events/7/orders/mine", &core.token(1));
    assert_eq!(mine.status, 404, "no hidden request has bought");
}

#[test]
fn slow_heads_slow_bodies_and_idlers_are_closed() {
    let env = ["HEADER", "BODY", "IDLE"].map(|what| {
        (
            ["SPIKE_HTTP_HEADER_TIMEOUT_MS", "SPIKE_HTTP_BODY_TIMEOUT_MS", "SPIKE_HTTP_IDLE_TIMEOUT_MS"]
                .into_iter()
                .find(|name| name.contains(what))
                .unwrap(),
            "1000".to_owned(),
        )
    });
    let core = HotCore::start_with(Wishes { env: env.to_vec(), ..Wishes::default() });
    let head = format!("{ORDERS}Host: t\r\nAuthorization: Bearer {}\r\n", core.token(1));
    let slow = [
        String::new(),
        head[..20].to_owned(),
        format!("{head}Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{{"),
    ];
    for bytes in slow {
        let mut client = core.client();
        client.send(bytes.as_bytes());
        assert!(client.closed(), "{bytes:?}");
    }
    let mut client = core.client();
    assert_eq!(client.buy(&core.token(1), "", "").status, 202);
    assert!(client.closed(), "idle after an answer");
    assert_eq!(core.shared.counters.sum(spike_telemetry::Counter::ConnectionsTimedOut), 4);
}

#[test]
fn a_body_that_never_comes_is_given_up_also_where_redis_was_asked_first() {
    let env = vec![("SPIKE_HTTP_BODY_TIMEOUT_MS", "1000".to_owned())];
    let core = HotCore::start_with(Wishes { env, ..Wishes::default() });
    let order = spike_domain::OrderId::new(1);
    let token = core.token(1);
    for event in [999_999_999, 7] {
        let mut client = core.client();
        client.send(
            format!(
                "GET /api/v1/spike/events/{event}/orders/{order} HTTP/1.1\r\nHost: t\r\n\
                 Authorization: Bearer {token}\r\nContent-Length: 10\r\n\r\n"
            )
            .as_bytes(),
        );
        assert!(client.closed(), "event {event}");
    }
    assert_eq!(core.shared.counters.sum(spike_telemetry::Counter::ConnectionsTimedOut), 2);
}

#[test]
fn a_client_that_came_just_before_the_listener_closed_is_answered() {
    let core = HotCore::start();
    let mut kept = core.client();
    let token = core.token(1);
    assert_eq!(kept.buy(&token, "", "").status, 202);
    let (mut late, mut silent) = (core.client(), core.client());
    core.shared.drain.advance(DrainPhase::Unready);
    core.shared.drain.advance(DrainPhase::Closing);
    until("the listener closes", || std::net::TcpStream::connect(core.address).is_err());
    let answer = late.buy(&core.token(2), "", "");
    assert_eq!((answer.status, answer.header("connection")), (202, Some("close")));
    assert!(late.closed() && kept.closed() && silent.closed(), "nothing outlives the drain");
}

#[test]
fn connections_beyond_the_cap_are_told_so() {
    let env = vec![("SPIKE_HTTP_CONNECTIONS_MAX", "2".to_owned())];
    let core = HotCore::start_with(Wishes { env, ..Wishes::default() });
    let held: Vec<Client> = (0..2).map(|_| held(&core)).collect();
    let refused = core.client().answer().unwrap();
    assert!(!refused.body.is_empty(), "{refused:?}");
    assert_eq!((refused.status, refused.reason().as_str()), (503, "overloaded"));
    drop(held);
    until("a seat is given back", || {
        let mut client = core.client();
        client.try_send(b"GET /api/v1/spike/events/7 HTTP/1.1\r\nHost: t\r\n\r\n");
        client.answer().is_some_and(|answer| answer.status == 200)
    });
}

/// A connection that certainly has a seat: it has been answered.
fn held(core: &HotCore) -> Client {
    let mut seated = None;
    until("a seat", || {
        let mut client = core.client();
        client.try_send(b"GET /api/v1/spike/events/7 HTTP/1.1\r\nHost: t\r\n\r\n");
        let answered = client.answer().is_some_and(|answer| answer.status == 200);
        seated = answered.then_some(client);
        answered
    });
    seated.unwrap()
}
