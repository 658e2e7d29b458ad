//! The bridge: whole requests over, answers back, streams with backpressure, panics kept, gone clients noticed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::body::Body;
use axum::extract::Request;
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tower_http::catch_panic::CatchPanicLayer;

use super::core::{HotCore, Wishes};
use super::raw::until;

fn with(router: axum::Router) -> HotCore {
    HotCore::start_with(Wishes { router, ..Wishes::default() })
}

#[test]
fn method_path_headers_and_body_arrive_whole() {
    let echo = async |request: Request| {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let header = head.headers["x-test"].to_str().unwrap().to_owned();
        format!("{} {} {header} {}", head.method, head.uri, String::from_utf8_lossy(&body))
    };
    let core = with(axum::Router::new().fallback(echo));
    let mut client = core.client();
    client.send(b"PUT /any/path?q=1 HTTP/1.1\r\nHost: t\r\nX-Test: yes\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    let answer = client.answer().unwrap();
    assert_eq!(String::from_utf8_lossy(&answer.body), "PUT /any/path?q=1 yes abcde");
    let body = "x".repeat(70_000);
    client.send(
        format!("PUT / HTTP/1.1\r\nHost: t\r\nX-Test: y\r\nContent-Length: {}\r\n\r\n", body.len())
            .as_bytes(),
    );
    assert_eq!(client.answer().unwrap().reason(), "body-too-large");
}

#[test]
fn a_stream_is_held_back_by_its_reader_and_ends_with_it() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    static DROPPED: AtomicBool = AtomicBool::new(false);
    struct Guard;
    impl Drop for Guard {
        fn drop(&mut self) {
            DROPPED.store(true, Ordering::SeqCst);
        }
    }
    let endless = async || {
        let guard = Arc::new(Guard);
        let pieces = stream::unfold(guard, async |guard| {
            MADE.fetch_add(1, Ordering::SeqCst);
            Some((Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 256 << 10])), guard))
        });
        Body::from_stream(pieces)
    };
    let core = with(axum::Router::new().route("/stream", get(endless)));
    let mut client = core.client();
    client.send(b"GET /stream HTTP/1.1\r\nHost: t\r\n\r\n");
    client.read_until(b"transfer-encoding: chunked");
    let settled = || {
        let before = MADE.load(Ordering::SeqCst);
        std::thread::yield_now();
        before > 0
    };
    until("the stream starts", settled);
    assert!(MADE.load(Ordering::SeqCst) < 200, "a reader that stopped holds the maker back");
    drop(client);
    until("the maker ends with its client", || DROPPED.load(Ordering::SeqCst));
}

#[test]
fn a_stream_that_fails_half_way_has_no_end() {
    let parts = |last: fn() -> Option<std::io::Result<Bytes>>| {
        let answer = move || {
            let rest = stream::iter(0..1).filter_map(move |_| std::future::ready(last()));
            let pieces = stream::iter([Ok(Bytes::from_static(b"part"))]).chain(rest);
            std::future::ready(Body::from_stream(pieces))
        };
        get(answer)
    };
    let router = axum::Router::new()
        .route("/whole", parts(|| None))
        .route("/fails", parts(|| Some(Err(std::io::Error::other("planted")))))
        .route("/panics", parts(|| panic!("planted")));
    let core = with(router);
    for (path, whole) in [("/whole", true), ("/fails", false), ("/panics", false)] {
        let mut client = core.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").as_bytes());
        let sent = client.read_to_close();
        assert!(sent.contains("part") || !whole, "{path}: {sent}");
        assert_eq!(sent.ends_with("\r\n0\r\n\r\n"), whole, "{path}: {sent}");
    }
}

#[test]
fn a_client_that_goes_away_cancels_its_work() {
    static STARTED: AtomicBool = AtomicBool::new(false);
    static CANCELLED: AtomicBool = AtomicBool::new(false);
    struct Guard;
    impl Drop for Guard {
        fn drop(&mut self) {
            CANCELLED.store(true, Ordering::SeqCst);
        }
    }
    let forever = async || {
        let _guard = Guard;
        STARTED.store(true, Ordering::SeqCst);
        std::future::pending::<()>().await;
    };
    let core = with(axum::Router::new().route("/wait", post(forever)));
    let mut client = core.client();
    client.send(b"POST /wait HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n");
    until("the handler runs", || STARTED.load(Ordering::SeqCst));
    drop(client);
    until("the handler is dropped", || CANCELLED.load(Ordering::SeqCst));
}

#[test]
fn a_panic_behind_the_bridge_answers_500() {
    let panics = async || -> &'static str { panic!("planted") };
    let caught = axum::Router::new().route("/caught", get(panics)).layer(CatchPanicLayer::new());
    let core = with(axum::Router::new().route("/bare", get(panics)).merge(caught));
    for path in ["/caught", "/bare"] {
        let mut client = core.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes());
        assert_eq!(client.answer().unwrap().status, 500, "{path}");
    }
    assert_eq!(core.client().buy(&core.token(1), "", "").status, 202);
}
