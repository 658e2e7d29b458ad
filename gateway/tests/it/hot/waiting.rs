//! Long polls and streams of an order, on real sockets, over both ledgers: what ends them, and what they cost.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use serde_json::Value;
use spike_domain::{ClaimState, OrderId, UserId};
use spike_gateway::shared::DrainPhase;
use spike_stock::EndedOrder;
use spike_stock::keys::EventKeys;
use spike_stock::ledger::settled;
use spike_telemetry::Counter;

use super::core::{EPOCH, EVENT, HotCore, Wishes};
use super::raw::{Client, until};

const MINE: &str = "/api/v1/spike/events/7/orders/mine";

/// A core on each kind of ledger.
fn cores(env: &[(&'static str, &str)]) -> Vec<HotCore> {
    let env: Vec<_> = env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let core = |embedded| HotCore::start_with(Wishes { env: env.clone(), embedded, ..Wishes::default() });
    vec![core(false), core(true)]
}

/// An order of `user`, and where it is.
fn bought(core: &HotCore, user: i64) -> (OrderId, String) {
    let answer = core.client().buy(&core.token(user), "", "");
    assert_eq!(answer.status, 202, "{answer:?}");
    let order = OrderId::parse(answer.json()["data"]["order_id"].as_str().unwrap()).unwrap();
    (order, answer.header("location").unwrap().to_owned())
}

/// Everything in the outbox gets a row, as the worker tells the ledger.
fn settle(core: &HotCore) {
    core.block_on(async {
        let entries = core.ledger.entries(EVENT, None, 100).await.unwrap().entries;
        let rows: Vec<_> = entries.iter().map(|entry| settled(entry, |_| ClaimState::Pending)).collect();
        core.ledger.settle(EVENT, EPOCH, &rows).await.unwrap();
    });
}

fn mark(core: &HotCore, user: i64, order: OrderId, state: ClaimState) {
    let ended = EndedOrder { user: UserId(user), order, state };
    core.block_on(core.ledger.mark(EVENT, &[ended])).unwrap();
}

/// Sends a request and does not wait for its answer.
fn ask(client: &mut Client, path: &str, token: &str, headers: &str) {
    let text = format!("GET {path} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {token}\r\n{headers}\r\n");
    client.send(text.as_bytes());
}

/// The next event of a stream: its id and its data. Comments are passed over.
fn event(client: &mut Client) -> (String, Value) {
    loop {
        let chunk = client.chunk().expect("the stream goes on");
        let text = String::from_utf8(chunk).unwrap();
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        if let (Some(id), Some(data)) = (field("id: "), field("data: ")) {
            assert_eq!(field("event: ").as_deref(), Some("status"), "{text}");
            assert!(text.ends_with("\n\n"), "{text:?}");
            return (id, serde_json::from_str(&data).unwrap());
        }
        assert!(text.starts_with(':'), "{text:?}");
    }
}

#[test]
fn a_long_poll_ends_when_the_state_does() {
    for core in cores(&[]) {
        let (order, path) = bought(&core, 1);
        let token = core.token(1);
        let shown = core.client().get(&path, &token);
        assert_eq!((shown.json()["data"]["queue_position"].as_u64(), shown.status), (Some(1), 200));
        assert_eq!(shown.header("cache-control"), Some("private, no-cache"));
        let tag = shown.header("etag").unwrap().to_owned();

        let asked = Instant::now();
        let mut waiting: Vec<Client> = [path.clone(), MINE.to_owned(), path.clone()]
            .iter()
            .zip(["", "", &format!("If-None-Match: {tag}\r\n")])
            .map(|(path, headers)| {
                let mut client = core.client();
                ask(&mut client, &format!("{path}?wait=20s"), &token, headers);
                client
            })
            .collect();
        settle(&core);
        for client in &mut waiting {
            let answer = client.answer().unwrap();
            assert_eq!(answer.json()["data"]["status"], "pending", "{answer:?}");
            assert_eq!(answer.json()["data"].get("queue_position"), None, "only while it is queued");
            assert_ne!(answer.header("etag"), Some(tag.as_str()));
        }
        assert!(asked.elapsed() < Duration::from_secs(10), "not held to its end: {:?}", asked.elapsed());

        // Not queued any more: nothing to wait for, but for one who names the state.
        let again = core.client().get(&format!("{path}?wait=20s"), &token);
        let tag = again.header("etag").unwrap().to_owned();
        let mut naming = core.client();
        ask(&mut naming, &format!("{path}?wait=20s"), &token, &format!("If-None-Match: {tag}\r\n"));
        mark(&core, 1, order, ClaimState::Paid);
        assert_eq!(naming.answer().unwrap().json()["data"]["status"], "paid");
    }
}

#[test]
fn a_wait_that_brings_nothing_says_so() {
    for core in cores(&[]) {
        let (_, path) = bought(&core, 1);
        let token = core.token(1);
        let asked = Instant::now();
        let still = core.client().get(&format!("{path}?wait=1s"), &token);
        assert_eq!((still.status, &still.json()["data"]["status"]), (200, &"queued".into()));
        assert!(asked.elapsed() >= Duration::from_secs(1), "{:?}", asked.elapsed());
        let mut client = core.client();
        let tag = format!("If-None-Match: {}\r\n", still.header("etag").unwrap());
        for query in ["", "?wait=1s"] {
            ask(&mut client, &format!("{path}{query}"), &token, &tag);
            let same = client.answer().unwrap();
            assert_eq!((same.status, same.body.len()), (304, 0), "{query}");
        }
        for wrong in ["0s", "31s", "10", "-1s", "x", ""] {
            let refused = client.get(&format!("{path}?wait={wrong}"), &token);
            assert_eq!((refused.status, refused.reason().as_str()), (422, "validation"), "{wrong}");
            assert_eq!(refused.json()["errors"][0]["field"], "wait");
        }
        let none = client.get(&format!("{MINE}?wait=20s"), &core.token(2));
        assert_eq!(none.status, 404, "who has no order waits for nothing");
    }
}

#[test]
fn only_so_many_wait_and_a_drain_lets_all_go() {
    for core in cores(&[("SPIKE_HOT_LONG_POLLS_MAX", "1"), ("SPIKE_HOT_STREAMS_MAX", "1")]) {
        let (_, path) = bought(&core, 1);
        let token = core.token(1);
        let (mut first, mut streaming) = (core.client(), core.client());
        ask(&mut streaming, &format!("{path}/events"), &token, "");
        assert_eq!(streaming.head().status, 200);
        ask(&mut first, &format!("{path}?wait=30s"), &token, "");
        // The first has its place for sure once another one is not held.
        until("no place is left", || {
            let asked = Instant::now();
            let answer = core.client().get(&format!("{path}?wait=2s"), &token);
            assert_eq!(answer.json()["data"]["status"], "queued");
            asked.elapsed() < Duration::from_secs(1)
        });
        let refused = core.client().get(&format!("{path}/events"), &token);
        assert_eq!((refused.status, refused.reason().as_str()), (503, "overloaded"));
        assert!(refused.header("retry-after").is_some());

        let left = Instant::now();
        core.shared.drain.advance(DrainPhase::Unready);
        assert_eq!(first.answer().unwrap().json()["data"]["status"], "queued");
        assert_eq!(event(&mut streaming).0, "queued");
        assert_eq!(streaming.chunk(), None, "a whole stream, ended in order");
        assert!(left.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn one_user_cannot_take_every_place() {
    for core in cores(&[]) {
        let ((_, path), (_, others)) = (bought(&core, 1), bought(&core, 2));
        let (token, other) = (core.token(1), core.token(2));
        let open = |path: &str, token: &str| {
            let mut client = core.client();
            ask(&mut client, &format!("{path}/events"), token, "");
            let head = client.head();
            assert_eq!(head.status, 200, "{head:?}");
            client
        };
        let mut streams: Vec<Client> = (0..4).map(|_| open(&path, &token)).collect();
        let refused = core.client().get(&format!("{path}/events"), &token);
        assert_eq!((refused.status, refused.reason().as_str()), (429, "too-many-requests"));
        assert!(refused.header("retry-after").is_some());
        drop(open(&others, &other));

        let mut held: Vec<Client> = (0..4).map(|_| core.client()).collect();
        held.iter_mut().for_each(|client| ask(client, &format!("{path}?wait=30s"), &token, ""));
        // One that asked before them may have had a place, and one of the four none: then another takes it.
        until("the user has no place left", || {
            let asked = Instant::now();
            let answer = core.client().get(&format!("{path}?wait=2s"), &token);
            assert_eq!(answer.json()["data"]["status"], "queued");
            let at_once = asked.elapsed() < Duration::from_secs(1);
            if !at_once {
                held.push(core.client());
                ask(held.last_mut().expect("just put there"), &format!("{path}?wait=30s"), &token, "");
            }
            at_once
        });
        let asked = Instant::now();
        core.client().get(&format!("{others}?wait=1s"), &other);
        assert!(asked.elapsed() >= Duration::from_secs(1), "somebody else is held");

        drop(streams.pop());
        until("a place is given back", || {
            let mut client = core.client();
            ask(&mut client, &format!("{path}/events"), &token, "");
            client.head().status == 200
        });
    }
}

#[test]
fn a_claim_that_cannot_be_read_is_nobody_elses_trouble() {
    let core = HotCore::start_with(Wishes::default());
    let ((_, path), (_, broken)) = (bought(&core, 1), bought(&core, 2));
    let asked = Instant::now();
    let (mut first, mut second) = (core.client(), core.client());
    ask(&mut first, &format!("{path}?wait=30s"), &core.token(1), "");
    ask(&mut second, &format!("{broken}?wait=30s"), &core.token(2), "");
    core.redis.command(&["HSET", &EventKeys::new(EVENT).buyers, "2", "no claim"]).unwrap();
    settle(&core);
    assert_eq!(first.answer().unwrap().json()["data"]["status"], "pending");
    let unread = second.answer().unwrap();
    assert_eq!((unread.status, unread.reason().as_str()), (503, "unavailable"), "{unread:?}");
    assert!(asked.elapsed() < Duration::from_secs(15), "not held to the end: {:?}", asked.elapsed());
}

#[test]
fn places_are_given_back_by_those_who_leave() {
    for core in cores(&[("SPIKE_HOT_STREAMS_MAX", "1")]) {
        let (_, path) = bought(&core, 1);
        let token = core.token(1);
        for _ in 0..3 {
            until("a stream opens", || {
                let mut client = core.client();
                ask(&mut client, &format!("{path}/events"), &token, "");
                let head = client.head();
                head.status == 200 && event(&mut client).0 == "queued"
            });
        }
    }
}

#[test]
fn a_stream_shows_each_state_until_the_last() {
    for core in cores(&[]) {
        let (order, path) = bought(&core, 1);
        let token = core.token(1);
        let mut client = core.client();
        ask(&mut client, &format!("{path}/events"), &token, "Accept: text/event-stream\r\n");
        let head = client.head();
        assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
        assert_eq!(head.header("cache-control"), Some("no-store"));
        let (id, data) = event(&mut client);
        assert_eq!(
            (id.as_str(), &data["status"], &data["order_id"]),
            ("queued", &"queued".into(), &order.to_string().into())
        );
        assert_eq!(data["queue_position"], 1);
        settle(&core);
        assert_eq!(event(&mut client).0, "pending");
        mark(&core, 1, order, ClaimState::Paid);
        assert_eq!(event(&mut client).0, "paid");
        assert_eq!(client.chunk(), None, "nothing follows");

        // The connection is as good as new, and who has heard the end is told to stay away.
        ask(&mut client, &format!("{path}/events"), &token, "Last-Event-ID: pending\r\n");
        assert_eq!(client.head().status, 200);
        assert_eq!((event(&mut client).0, client.chunk()), ("paid".to_owned(), None));
        ask(&mut client, &format!("{path}/events"), &token, "Last-Event-ID: paid\r\n");
        assert_eq!(client.head().status, 204);
    }
}

#[test]
fn a_cancelled_order_ends_its_stream() {
    for core in cores(&[]) {
        let (order, path) = bought(&core, 1);
        settle(&core);
        let mut client = core.client();
        ask(&mut client, &format!("{path}/events"), &core.token(1), "");
        client.head();
        assert_eq!(event(&mut client).0, "pending");
        let ended = EndedOrder { user: UserId(1), order, state: ClaimState::Cancelled };
        core.block_on(core.ledger.release(EVENT, EPOCH, &[ended])).unwrap();
        let (id, data) = event(&mut client);
        assert_eq!((id.as_str(), &data["status"]), ("cancelled", &"cancelled".into()));
        assert_eq!(client.chunk(), None);
    }
}

#[test]
fn strangers_get_what_nobody_gets() {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let keep = seen.clone();
    // The database's side: what crosses asks for no media type that the control API lacks.
    let cold = get(async move |request: axum::extract::Request| {
        keep.lock().unwrap().push(request.headers().contains_key("accept"));
        http::StatusCode::NOT_FOUND
    });
    let core =
        HotCore::start_with(Wishes { router: axum::Router::new().fallback(cold), ..Wishes::default() });
    let (order, path) = bought(&core, 1);
    let unknown = format!("/api/v1/spike/events/7/orders/{}/events", OrderId::new(1));
    for (path, user) in [(format!("{path}/events"), 2), (unknown, 1)] {
        let mut client = core.client();
        ask(&mut client, &path, &core.token(user), "Accept: text/event-stream\r\n");
        assert_eq!(client.head().status, 404, "{path} {user}");
    }
    assert_eq!(*seen.lock().unwrap(), [false, false]);
    let mut client = core.client();
    ask(&mut client, &format!("/api/v1/spike/events/7/orders/{order}/events"), "none", "");
    assert_eq!(client.answer().unwrap().reason(), "unauthorized");
}

#[test]
fn a_quiet_stream_outlives_the_idle_deadline_by_its_heartbeats() {
    for core in cores(&[("SPIKE_HTTP_IDLE_TIMEOUT_MS", "900")]) {
        let (_, path) = bought(&core, 1);
        settle(&core);
        let mut client = core.client();
        ask(&mut client, &format!("{path}/events"), &core.token(1), "");
        client.head();
        assert_eq!(event(&mut client).0, "pending");
        let since = Instant::now();
        while since.elapsed() < Duration::from_millis(2500) {
            assert_eq!(client.chunk().expect("still open"), b": alive\n\n");
        }
    }
}

#[test]
fn a_streamed_answer_without_a_sign_of_life_is_cut() {
    let silent = async || Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let core = HotCore::start_with(Wishes {
        env: vec![("SPIKE_HTTP_IDLE_TIMEOUT_MS", "500".into())],
        router: axum::Router::new().route("/silent", get(silent)),
        ..Wishes::default()
    });
    let mut client = core.client();
    ask(&mut client, "/silent", "", "");
    assert_eq!(client.head().status, 200);
    assert!(client.closed());
}

#[test]
fn those_who_wait_are_counted() {
    for core in cores(&[]) {
        let (_, path) = bought(&core, 1);
        let token = core.token(1);
        let sum = |counter| core.shared.counters.sum(counter);
        let mut poll = core.client();
        ask(&mut poll, &format!("{path}?wait=1s"), &token, "");
        until("it waits", || sum(Counter::LongPollsOpen) == 1);
        assert_eq!(poll.answer().unwrap().json()["data"]["status"], "queued");
        until("it has its answer", || sum(Counter::LongPollsOpen) == 0);
        assert_eq!((sum(Counter::LongPolls), sum(Counter::LongPollsTimedOut)), (1, 1));

        let mut stream = core.client();
        ask(&mut stream, &format!("{path}/events"), &token, "");
        until("it is open", || sum(Counter::StreamsOpen) == 1);
        drop(stream);
        until("it is closed", || sum(Counter::StreamsOpen) == 0);
        assert_eq!((sum(Counter::Streams), sum(Counter::LongPolls)), (1, 1));
    }
}
