//! Open-loop load over real sockets: stalls are seen, nobody is dropped, the pool keeps its limit.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use loadtest::http::{Connection, Request};
use loadtest::open::{OpenError, OpenProgress, OpenResult, OpenSpec, Scenario, Stream, run};
use loadtest::{Buyer, Mode, loopback_sources};
use spike_domain::{EventId, OrderId, ProductId, UserId};
use tokio::time::{Instant, sleep, sleep_until};

use crate::server::{Server, Talk, answer};

const STALL: Duration = Duration::from_secs(1);

fn browse(name: &str, rate_per_s: f64) -> Stream {
    let scenario = Scenario::Browse { events: vec![EventId(1)], products: vec![ProductId(2)] };
    Stream { name: name.to_owned(), rate_per_s, scenario }
}

fn spec(base: SocketAddr, streams: Vec<Stream>) -> OpenSpec {
    OpenSpec {
        base,
        host: base.to_string(),
        streams,
        duration: Duration::from_secs(2),
        requests_max: u64::MAX,
        connections_max: 8,
        deadline: Duration::from_secs(20),
        patience: Duration::from_secs(20),
        seed: 11,
        sources: Vec::new(),
    }
}

async fn load(spec: OpenSpec) -> OpenResult {
    let progress = Arc::new(OpenProgress::new(&spec));
    let painter = Arc::clone(&progress).paint(Mode::Silent);
    let result = run(spec, Arc::clone(&progress)).await.unwrap();
    painter.finish().await;
    assert_eq!(progress.snapshot().under_way(), 0);
    result
}

/// A server whose every answer waits for the end of one stall, which begins with the first request after `calm`.
async fn stalling(calm: Duration) -> Server {
    let begin = Instant::now();
    let stall_end = Arc::new(std::sync::OnceLock::new());
    Server::start(move |mut talk| {
        let stall_end = Arc::clone(&stall_end);
        async move {
            while talk.request().await.is_some() {
                if begin.elapsed() >= calm {
                    sleep_until(*stall_end.get_or_init(|| Instant::now() + STALL)).await;
                }
                talk.say(&answer(200, "", "{}")).await;
            }
        }
    })
    .await
}

/// Both loops ask the same of servers that stall once for a second. The closed one has a handful of slow answers, as many
/// as it has connections; the open one sees everybody who came in that second.
#[tokio::test]
async fn a_stall_is_seen_by_the_open_loop_and_hidden_by_the_closed_one() {
    let server = stalling(Duration::from_millis(500)).await;
    let result = load(spec(server.addr, vec![browse("pages", 400.0)])).await;
    let figures = &result.streams[0].figures;
    assert_eq!((figures.answers.accepted, figures.not_sent), (figures.offered, 0));
    let latency_us = &result.streams[0].latency_us;
    let slow = latency_us.len() - latency_us.count_between(0, 250_000);
    // Three quarters of a second's arrivals waited longer than a quarter of a second.
    assert!(slow >= 200, "{slow} of {} arrivals saw the stall", figures.offered);
    assert!(figures.latency.p99_ms >= 800.0 && figures.latency.max_ms >= 950.0, "{:?}", figures.latency);
    assert!(figures.seconds.iter().any(|second| second.p99_ms >= 800.0), "{:?}", figures.seconds);

    let server = stalling(Duration::from_millis(500)).await;
    let closed = (0..8).map(|_| tokio::spawn(closed_loop(server.addr, Duration::from_secs(2))));
    let mut slow = 0;
    for task in closed.collect::<Vec<_>>() {
        slow += task.await.unwrap().iter().filter(|latency| **latency > Duration::from_millis(250)).count();
    }
    assert!((1..100).contains(&slow), "one a connection, and a few for a busy machine: {slow}");
}

/// The latencies of one closed-loop client, measured from when it sent.
async fn closed_loop(addr: SocketAddr, duration: Duration) -> Vec<Duration> {
    let mut connection = Connection::new(addr, None, Duration::from_secs(20));
    let request = Request::new("GET", "/", "h", &[], None);
    let (begin, mut latencies) = (Instant::now(), Vec::new());
    while begin.elapsed() < duration {
        let sent = Instant::now();
        connection.send(&request).await.unwrap();
        latencies.push(sent.elapsed());
    }
    latencies
}

/// Whoever finds no connection leaves sooner than those who have one, so that these have the time to be answered.
#[tokio::test]
async fn patience_in_the_line_ends_before_the_wait_for_an_answer() {
    let late = Duration::from_millis(700);
    let server = Server::start(move |mut talk| async move {
        while talk.request().await.is_some() {
            sleep(late).await;
            talk.say(&answer(200, "", "{}")).await;
        }
    })
    .await;
    let spec = OpenSpec {
        connections_max: 1,
        duration: Duration::from_secs(1),
        patience: Duration::from_millis(50),
        ..spec(server.addr, vec![browse("pages", 200.0)])
    };
    let result = load(spec).await;
    let figures = &result.streams[0].figures;
    assert!(figures.not_sent > 0 && figures.answers.errors == 0, "{figures:?}");
    assert_eq!(figures.sent, figures.answers.accepted, "{figures:?}");
    // Everybody else was gone after 50 ms, unless the machine was busy for longer than the server.
    assert!(figures.latency.p50_ms < 700.0 && figures.accepted_latency.p50_ms >= 700.0, "{figures:?}");
}

#[tokio::test]
async fn whoever_cannot_be_sent_in_time_is_counted_as_not_sent() {
    // Nobody is ever answered, so the connection is free again when a request gives up. By then more have come to their
    // deadline than one connection can take.
    let server = Server::start(|mut talk| async move { while talk.request().await.is_some() {} }).await;
    let spec = OpenSpec {
        connections_max: 1,
        deadline: Duration::from_millis(400),
        patience: Duration::from_millis(400),
        duration: Duration::from_secs(1),
        ..spec(server.addr, vec![browse("pages", 2000.0), browse("more pages", 1000.0)])
    };
    let result = load(spec).await;
    for stream in &result.streams {
        let figures = &stream.figures;
        assert_eq!(figures.offered, figures.sent + figures.not_sent);
        assert_eq!(
            (figures.sent, figures.words.get("timeout")),
            (figures.answers.errors, Some(&figures.sent))
        );
        assert!(figures.sent > 0 && figures.not_sent > 0, "{figures:?}");
        // Nobody gave up before the deadline.
        assert!(figures.latency.p50_ms >= 399.0, "{figures:?}");
        let by_second: u64 = figures.seconds.iter().map(|second| second.not_sent).sum();
        assert_eq!(by_second, figures.not_sent);
    }
    assert_eq!(result.connections, 1);
    let sent: u64 = result.streams.iter().map(|stream| stream.figures.sent).sum();
    let patience = Instant::now() + Duration::from_secs(20);
    while (server.received().len() as u64) < sent && Instant::now() < patience {
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(server.received().len() as u64, sent, "what counts as sent has arrived");
    // A request that timed out has closed its connection.
    let connections: HashSet<usize> = server.received().iter().map(|one| one.connection).collect();
    assert_eq!(connections.len() as u64, sent);
}

#[tokio::test]
async fn the_pool_keeps_its_limit_and_deals_the_sources_out() {
    let open = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let counts = (Arc::clone(&open), Arc::clone(&most));
    let server = Server::start(move |mut talk: Talk| {
        let (open, most) = counts.clone();
        async move {
            most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            while talk.request().await.is_some() {
                sleep(Duration::from_millis(50)).await;
                talk.say(&answer(200, "", "{}")).await;
            }
            open.fetch_sub(1, Ordering::SeqCst);
        }
    })
    .await;
    let sources: Vec<Ipv4Addr> = loopback_sources(4).collect();
    let result = load(OpenSpec {
        connections_max: 6,
        sources: sources.clone(),
        duration: Duration::from_secs(1),
        ..spec(server.addr, vec![browse("pages", 300.0)])
    })
    .await;
    assert_eq!(result.streams[0].figures.answers.accepted, result.streams[0].figures.offered);
    assert_eq!(result.connections, 6, "more are due than six can carry");
    // The server may notice the end of the probe late.
    assert!(most.load(Ordering::SeqCst) <= 7, "{most:?}");
    let received = server.received();
    let seen: HashSet<IpAddr> = received.iter().map(|one| one.peer.ip()).collect();
    assert_eq!(seen, sources.into_iter().map(IpAddr::V4).collect());
    assert_eq!(received.iter().map(|one| one.connection).collect::<HashSet<_>>().len(), 6);
}

/// Two streams press for one event, some buyers in both; the auditor gets one history of it.
#[tokio::test]
async fn presses_are_told_to_the_auditor_by_event() {
    let claims = Arc::new(std::sync::Mutex::new(std::collections::HashMap::<String, OrderId>::new()));
    let shared = Arc::clone(&claims);
    let server = Server::start(move |mut talk| {
        let claims = Arc::clone(&shared);
        async move {
            while let Some(request) = talk.request().await {
                let reply = if request.starts_with("POST /api/v1/spike/events/9/orders ") {
                    buy(&mut claims.lock().unwrap(), &request)
                } else {
                    answer(429, "Retry-After: 1\r\n", r#"{"code":1,"reason":"too-many-requests"}"#)
                };
                talk.say(&reply).await;
            }
        }
    })
    .await;
    let buyers: Vec<Buyer> = (1..=100)
        .map(|user: i64| Buyer { user: UserId(user), token: user.to_string(), source: Ipv4Addr::UNSPECIFIED })
        .collect();
    let event = EventId(9);
    let bots = Scenario::Bots { event, buyers: buyers[..2].to_vec() };
    let spike = Scenario::Spike { event, buyers, quantity: 1 };
    let streams = vec![
        Stream { name: "bots".into(), rate_per_s: 100.0, scenario: bots },
        Stream { name: "spike".into(), rate_per_s: 200.0, scenario: spike },
        browse("pages", 50.0),
    ];
    let result = load(spec(server.addr, streams)).await;
    let [sale] = &result.sales[..] else { panic!("{:?}", result.sales) };
    let claims = claims.lock().unwrap();
    assert_eq!((sale.event, claims.len()), (event, 60));
    assert_eq!((sale.counts.accepted, sale.history.acknowledged.len()), (60, 60));
    assert!(sale.history.acknowledged.iter().all(|(user, order)| claims[&user.to_string()] == *order));
    assert!(sale.history.doubled.is_empty() && sale.history.unknown.is_empty(), "{:?}", sale.history);
    assert!(sale.counts.duplicates > 0 && sale.counts.sold_out > 0, "{:?}", sale.counts);
    let sent: u64 = result.streams[..2].iter().map(|stream| stream.figures.sent).sum();
    assert_eq!((sale.requests, sale.counts.answered()), (sent, sent));
    let pages = &result.streams[2].figures;
    assert_eq!(pages.answers.refused, pages.offered);
    assert_eq!(pages.words["too-many-requests"], pages.offered);
}

/// Sixty units, one a user.
fn buy(claims: &mut std::collections::HashMap<String, OrderId>, request: &str) -> String {
    let token = request.lines().find_map(|line| line.strip_prefix("Authorization: Bearer ")).unwrap();
    if let Some(order) = claims.get(token) {
        let body = format!(r#"{{"code":2002,"reason":"already-bought","data":{{"order_id":"{order}"}}}}"#);
        return answer(409, "", &body);
    }
    if claims.len() == 60 {
        return answer(409, "", r#"{"code":2000,"reason":"sold-out","message":"x"}"#);
    }
    let order = OrderId::new(claims.len() as u64);
    claims.insert(token.to_owned(), order);
    answer(202, "", &format!(r#"{{"code":0,"data":{{"order_id":"{order}","status":"queued"}}}}"#))
}

#[tokio::test]
async fn a_load_without_a_server_does_not_begin() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let spec = spec(nobody, vec![browse("pages", 10.0)]);
    let progress = Arc::new(OpenProgress::new(&spec));
    assert!(matches!(run(spec, progress).await, Err(OpenError::Unreachable { .. })));
}

#[tokio::test]
async fn buyers_press_once_before_anyone_presses_twice_and_what_they_were_told_is_kept() {
    let server = Server::start(|mut talk: Talk| async move {
        while talk.request().await.is_some() {
            let order = OrderId::new(1);
            talk.say(&answer(202, "", &format!(r#"{{"code":0,"data":{{"order_id":"{order}"}}}}"#))).await;
        }
    })
    .await;
    let buyer = |user: i64| Buyer {
        user: UserId(user),
        token: format!("token-{user}"),
        source: Ipv4Addr::UNSPECIFIED,
    };
    let buyers: Vec<Buyer> = (1..=40).map(buyer).collect();
    let scenario = Scenario::Spike { event: EventId(9), buyers, quantity: 1 };
    let streams = vec![Stream { name: "spike".into(), rate_per_s: 100.0, scenario }];
    let result = load(spec(server.addr, streams)).await;
    let told = &result.sales[0];
    assert_eq!((told.event, told.requests), (EventId(9), result.streams[0].figures.sent));
    assert!(told.requests > 40, "each presses, and some again: {}", told.requests);
    assert_eq!(told.history.acknowledged.len(), 40);
    assert!(
        server
            .received()
            .iter()
            .all(|request| request.text.starts_with("POST /api/v1/spike/events/9/orders "))
    );
}
