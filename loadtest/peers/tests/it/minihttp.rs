//! The floor: its sold-out answer is the gateway's, and no answer of it waits for Nagle's algorithm.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use socket2::SockRef;
use spike_devstack::{fixture, free_port};
use spike_peers::minihttp::{Mode, start};

use super::client::{Answer, Client};
use super::gateway::Gateway;
use super::process::Peer;
use super::shop::{EPOCH, EVENT, config, def, open, press, settings, token};

fn peer(mode: &str) -> Peer {
    let listen = format!("127.0.0.1:{}", free_port().unwrap());
    let event = EVENT.to_string();
    let arguments = ["--listen", &listen, "--mode", mode, "--event", &event, "--threads", "1"];
    Peer::start(env!("CARGO_BIN_EXE_peer-minihttp"), &arguments, &[])
}

fn asked(address: SocketAddr, request: &str) -> Answer {
    let mut client = Client::connect(address);
    client.send(request.as_bytes());
    client.answer()
}

#[test]
fn the_sold_out_answer_is_the_gateways() {
    let redis = fixture::redis();
    let config = config(&settings(&redis, &[]));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(open(&redis, &def(1), EPOCH));
    let gateway = Gateway::start(config.clone(), def(1));
    let bought = asked(gateway.address, &press(EVENT, &token(&config, 1, 0), "", ""));
    assert_eq!(bought.status, 202, "the only unit");
    let peer = peer("sold-out");
    for headers in ["", "X-Request-Id: Abc-1.2_3\r\n", "X-Request-Id: not one\r\n"] {
        let request = press(EVENT, &token(&config, 2, 0), headers, "{}");
        let (ours, theirs) = (asked(peer.address(), &request), asked(gateway.address, &request));
        assert_eq!((theirs.status, theirs.header("x-request-id").is_some()), (409, true));
        assert_eq!(ours.comparable(), theirs.comparable(), "{headers}");
    }
}

#[test]
fn nothing_but_the_buy_is_sold_out() {
    let peer = peer("sold-out");
    let buy = press(EVENT, "t", "", "{}");
    let cases = [
        (buy.clone(), 409),
        (buy.replace("orders HTTP", "orders?a=1 HTTP"), 409),
        (buy.replace("events/7/", "events/8/"), 404),
        (buy.replace("events/7/", "events/07/"), 404),
        (buy.replace("POST", "GET"), 404),
        (buy.replace("orders HTTP", "orders/ HTTP"), 404),
        (press(EVENT, "t", "Idempotency-Key: k\r\n", ""), 404),
    ];
    let mut client = Client::connect(peer.address());
    for (request, status) in &cases {
        client.send(request.as_bytes());
        assert_eq!(client.answer().status, *status, "{request}");
    }
    // The bodies of pipelined requests are not taken for requests.
    client.send(cases.iter().map(|(request, _)| request.as_str()).collect::<String>().as_bytes());
    for (request, status) in &cases {
        assert_eq!(client.answer().status, *status, "{request}");
    }
}

#[test]
fn an_empty_answer_is_empty() {
    let peer = peer("empty");
    let answer = asked(peer.address(), &press(EVENT, "t", "", "{}"));
    assert_eq!((answer.status, answer.body.as_str(), answer.header("content-length")), (200, "", Some("0")));
}

/// In this process, because only a process itself can ask its sockets for their options.
#[test]
fn accepted_sockets_send_at_once() {
    let listen = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
    start(listen, Mode::Empty, EVENT, 1).unwrap();
    let mut client = Client::connect(listen);
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    let ours = client.stream.local_addr().unwrap();
    let accepted: Vec<bool> = open_descriptors()
        .filter(|fd| *fd != client.stream.as_raw_fd())
        .filter_map(|fd| {
            // SAFETY: a descriptor that is closed meanwhile answers with an error; none of them is used otherwise.
            let socket = unsafe { BorrowedFd::borrow_raw(fd) };
            let socket = SockRef::from(&socket);
            let peer = socket.peer_addr().ok()?.as_socket()?;
            (peer == ours).then(|| socket.tcp_nodelay().unwrap())
        })
        .collect();
    assert_eq!(accepted, [true], "the one socket whose other end is the client");
}

fn open_descriptors() -> impl Iterator<Item = i32> {
    let listed = std::fs::read_dir("/proc/self/fd").unwrap();
    listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}
