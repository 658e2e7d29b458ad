//! Clients that are slow, that leave, or that never read: closed by their deadlines, without a thread, a seat or memory kept.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::case::Ground;
use super::wire::Wire;
use crate::poll::{lasting, until};
use crate::shop::Shop;
use crate::system::Sale;

/// Each of the limits under test, in ms.
const LIMIT_MS: u64 = 1000;
/// Beyond what any limit and the sweep need, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than a gateway may need for all of this, in KiB.
const GROWTH_KIB: u64 = 64 << 10;
/// Connections of those that never read.
const DEAF: usize = 32;

/// What is sent at once, and what then follows for ever, if anything.
const SLOW: &[(&str, &str, &str)] = &[
    ("nothing at all", "", ""),
    ("one byte", "G", ""),
    ("half a line", "POST {orders} HT", ""),
    ("a head without an end", "POST {orders} HTTP/1.1\r\nHost: t\r\n", ""),
    ("a head byte by byte", "GET {page} HTTP/1.1\r\nX: ", "x"),
    ("headers one by one", "GET {page} HTTP/1.1\r\nHost: t\r\n", "X: y\r\n"),
    ("empty lines for ever", "\r\n", "\r\n"),
    (
        "a press without its body",
        "POST {orders} HTTP/1.1\r\nHost: t\r\n{auth}{json}Content-Length: 10\r\n\r\n",
        "",
    ),
    (
        "a press byte by byte",
        "POST {orders} HTTP/1.1\r\nHost: t\r\n{auth}{json}Content-Length: 4000\r\n\r\n",
        " ",
    ),
    (
        "a login without its body",
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: t\r\n{json}Content-Length: 10\r\n\r\n",
        "",
    ),
    (
        "a login byte by byte",
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: t\r\n{json}Content-Length: 4000\r\n\r\n",
        " ",
    ),
    (
        "chunks one by one",
        "GET {cold} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n",
        "1\r\nx\r\n",
    ),
    (
        "a chunk of nearly 2^64 bytes",
        "GET {cold} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffe\r\n",
        "x",
    ),
    (
        "an extension byte by byte",
        "GET {cold} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        "x",
    ),
    (
        "trailers one by one",
        "GET {cold} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        "X: y\r\n",
    ),
    (
        "an expectation and no body",
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: t\r\n{json}Expect: 100-continue\r\nContent-Length: 10\r\n\r\n",
        "",
    ),
];

fn shop() -> (Shop, Ground) {
    let limit = LIMIT_MS.to_string();
    let names = ["HEADER", "BODY", "WRITE", "IDLE"].map(|name| format!("SPIKE_HTTP_{name}_TIMEOUT_MS"));
    let settings: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), limit.as_str())).collect();
    let mut shop = Shop::start_with(1, &settings);
    let event = shop.open(Sale::of(5)).to_string();
    let (_, token) = shop.take_buyers(1).remove(0);
    (shop, Ground { event, token, hidden: String::new() })
}

#[test]
fn slow_clients_are_closed_in_time() {
    let (shop, ground) = shop();
    thread::scope(|scope| {
        for &(what, first, then) in SLOW {
            let (at, first) = (shop.http, ground.fill(first));
            scope.spawn(move || closes_in_time(at, what, &first, then));
        }
    });
    let mut wire = Wire::connect(shop.http);
    wire.send(ground.fill("GET {page} HTTP/1.1\r\nHost: t\r\n\r\nGET {page} HT").as_bytes());
    assert_eq!(wire.answer(false).expect("an answer").status, 200);
    assert!(wire.closed(), "half a request behind a whole one");
    assert_eq!(shop.metric("spike_gateway_accepted_total"), 0);
    assert!(shop.metric("spike_gateway_connections_timed_out_total") >= 12, "closed by the sweep");
}

/// Without an answer, but for an interim 100.
fn closes_in_time(at: SocketAddr, what: &str, first: &str, then: &str) {
    let mut wire = Wire::connect(at);
    let begun = Instant::now();
    assert!(wire.send(first.as_bytes()), "{what}");
    while !then.is_empty() && wire.send(then.as_bytes()) {
        assert!(begun.elapsed() < PATIENCE, "{what}: still taken after {:?}", begun.elapsed());
        lasting(Duration::from_millis(20));
    }
    while let Some(answer) = wire.answer(false) {
        assert_eq!(answer.status, 100, "{what}: {answer:?}");
    }
    assert!(begun.elapsed() < PATIENCE, "{what}: {:?}", begun.elapsed());
}

#[test]
fn those_who_never_read_keep_neither_seats_nor_memory() {
    let (shop, ground) = shop();
    let page = ground.fill("GET {page} HTTP/1.1\r\nHost: t\r\n\r\n").repeat(64);
    let before = shop.resident_kib();
    let deaf: Vec<_> = (0..DEAF).map(|_| deaf(shop.http)).collect();
    let mut most = 0;
    let ended = deaf.into_iter().map(|mut stream| {
        // Until its own buffers and ours are full; then the write waits for a reader that never comes.
        let begun = Instant::now();
        while stream.write_all(page.as_bytes()).is_ok() {
            assert!(begun.elapsed() < PATIENCE, "it still reads what nobody wants answered");
        }
        most = most.max(shop.resident_kib());
        stream
    });
    let ended: Vec<_> = ended.collect();
    until("their seats are given back", || {
        (shop.metric("spike_gateway_connections_open") <= 1).then_some(())
    });
    assert!(most.saturating_sub(before) < GROWTH_KIB, "from {before} KiB to {most} KiB");
    drop(ended);
}

/// A connection with the smallest window there is, so that few answers fill it.
fn deaf(at: SocketAddr) -> std::net::TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(1).expect("a small window");
    socket.set_send_buffer_size(4096).expect("a small buffer");
    socket.connect(&at.into()).expect("the gateway accepts");
    let stream: std::net::TcpStream = socket.into();
    stream.set_write_timeout(Some(Duration::from_secs(30))).expect("a time limit");
    stream
}

#[test]
fn those_who_leave_early_leave_nothing_behind() {
    let (shop, ground) = shop();
    let parts = [
        "",
        "G",
        "GET {page} HTTP/1.1\r\nHost",
        "GET {page} HTTP/1.1\r\nHost: t\r\n\r\n",
        "POST {orders} HTTP/1.1\r\nHost: t\r\n{json}Content-Length: 10\r\n\r\n{",
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: t\r\n{json}Content-Length: 10\r\n\r\n{",
        "GET {cold} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "GET {cold} HTTP/1.1\r\nHost: t\r\n\r\nGET {cold}",
    ];
    for part in parts.map(|part| ground.fill(part)) {
        for leave in [Wire::reset, drop] {
            let mut wire = Wire::connect(shop.http);
            wire.send(part.as_bytes());
            leave(wire);
        }
        let mut wire = Wire::connect(shop.http);
        wire.send(part.as_bytes());
        wire.finish();
        // Half closed: what was whole is answered, what was not is not, and nothing is waited for.
        while let Some(answer) = wire.answer(false) {
            assert!([200, 400, 401].contains(&answer.status), "{part:?}: {answer:?}");
        }
    }
    until("their seats are given back", || {
        (shop.metric("spike_gateway_connections_open") <= 1).then_some(())
    });
    assert_eq!(shop.metric("spike_gateway_panics_total"), 0);
    assert_eq!(shop.metric("spike_gateway_accepted_total"), 0);
    let mut stream = std::net::TcpStream::connect(shop.http).expect("it still accepts");
    stream.write_all(ground.fill("GET {page} HTTP/1.0\r\n\r\n").as_bytes()).expect("it reads");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("it answers");
    assert!(said.starts_with("HTTP/1.0 200 OK\r\n"), "{said}");
}
