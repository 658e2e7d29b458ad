//! Keep-alive, splits, closes and deadlines of one connection.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use loadtest::http::{Connection, Request, SendError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::server::{Server, answer};

const PATIENCE: Duration = Duration::from_secs(20);

fn get(path: &str) -> Request {
    Request::new("GET", path, "h", &[], None)
}

/// Returns when the runtime has asked the system for events, and so knows of every close that happened before.
async fn driver_turn() {
    let (mut near, mut far) = tokio::net::UnixStream::pair().unwrap();
    far.write_all(b"x").await.unwrap();
    near.read_exact(&mut [0]).await.unwrap();
}

async fn body(connection: &mut Connection, path: &str) -> Result<String, SendError> {
    let request = get(path);
    connection.send(&request).await.map(|response| String::from_utf8(response.body.to_vec()).unwrap())
}

#[tokio::test]
async fn one_connection_from_its_source_carries_every_request() {
    let server = Server::start(|mut talk| async move {
        let mut turn = 0;
        while let Some(request) = talk.request().await {
            assert!(request.starts_with("GET /"), "{request}");
            turn += 1;
            talk.say(&answer(
                200,
                "Location: /here\r\nRetry-After: 2\r\nIdempotent-Replayed: true\r\n",
                &turn.to_string(),
            ))
            .await;
        }
    })
    .await;
    let source = Ipv4Addr::new(127, 9, 8, 7);
    let mut connection = Connection::connect(server.addr, Some(source), PATIENCE).await.unwrap();
    for turn in 1..=50 {
        let request = get("/a");
        let response = connection.send(&request).await.unwrap();
        assert_eq!((response.status, response.body), (200, turn.to_string().as_bytes()));
        assert_eq!((response.location, response.retry_after), (Some(&b"/here"[..]), Some(&b"2"[..])));
        assert!(response.replayed && response.request_id.is_none());
    }
    let received = server.received();
    assert!(received.iter().all(|one| one.peer.ip() == IpAddr::V4(source) && one.connection == 0));
}

#[tokio::test]
async fn an_answer_split_at_any_byte_is_one_answer() {
    let whole = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Request-Id: r\r\n\r\n4\r\nspli\r\n1\r\nt\r\n0\r\n\r\n";
    let server = Server::start(move |mut talk| async move {
        let mut cut = 0;
        while talk.request().await.is_some() {
            talk.say(&whole[..cut]).await;
            // The client's read may come before, between or after: every case is right.
            tokio::task::yield_now().await;
            talk.say(&whole[cut..]).await;
            cut += 1;
        }
    })
    .await;
    let mut connection = Connection::new(server.addr, None, PATIENCE);
    for cut in 0..=whole.len() {
        assert_eq!(body(&mut connection, "/").await.unwrap(), "split", "cut at {cut}");
    }
    assert!(server.received().iter().all(|one| one.connection == 0));
}

#[tokio::test]
async fn a_large_answer_is_read_whole() {
    let large = "x".repeat(300_000);
    let expected = large.clone();
    let server = Server::start(move |mut talk| {
        let large = large.clone();
        async move {
            while talk.request().await.is_some() {
                talk.say(&answer(200, "", &large)).await;
            }
        }
    })
    .await;
    let mut connection = Connection::new(server.addr, None, PATIENCE);
    for _ in 0..3 {
        assert_eq!(body(&mut connection, "/").await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_server_that_closes_gets_a_new_connection() {
    // Announced, unannounced while idle, and by HTTP/1.0 with a body until the close.
    for farewell in [
        answer(200, "Connection: close\r\n", "bye"),
        answer(200, "", "bye"),
        "HTTP/1.0 200 OK\r\n\r\nbye".into(),
    ] {
        let (closed, mut closes) = mpsc::unbounded_channel();
        let server = Server::start(move |mut talk| {
            let (closed, farewell) = (closed.clone(), farewell.clone());
            async move {
                if talk.request().await.is_some() {
                    talk.say(&farewell).await;
                }
                drop(talk);
                let _ = closed.send(());
            }
        })
        .await;
        let mut connection = Connection::new(server.addr, None, PATIENCE);
        for turn in 0..5 {
            assert_eq!(body(&mut connection, "/").await.unwrap(), "bye");
            timeout(PATIENCE, closes.recv()).await.unwrap().unwrap();
            driver_turn().await;
            assert_eq!(server.received().last().unwrap().connection, turn);
        }
    }
}

#[tokio::test]
async fn a_close_in_the_middle_of_an_answer_is_an_unknown_outcome_and_not_sent_twice() {
    let server = Server::start(|mut talk| async move {
        talk.request().await;
        if talk.number == 0 {
            talk.say("HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\nhalf").await;
        } else if talk.number > 1 {
            talk.say(&answer(200, "", "well")).await;
        }
    })
    .await;
    let mut connection = Connection::new(server.addr, None, PATIENCE);
    for path in ["/half", "/nothing"] {
        let error = body(&mut connection, path).await.unwrap_err();
        assert!(error.may_have_arrived(), "{error:?}");
        assert!(matches!(error, SendError::Closed | SendError::Io(_)), "{error:?}");
    }
    assert_eq!(body(&mut connection, "/again").await.unwrap(), "well");
    let lines: Vec<String> =
        server.received().iter().map(|one| one.text.lines().next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["GET /half HTTP/1.1", "GET /nothing HTTP/1.1", "GET /again HTTP/1.1"]);
}

#[tokio::test]
async fn a_late_answer_is_a_timeout_and_never_the_answer_of_the_next_request() {
    let server = Server::start(|mut talk| async move {
        while let Some(request) = talk.request().await {
            if request.starts_with("GET /late ") {
                continue;
            }
            talk.say(&answer(200, "", "in time")).await;
        }
    })
    .await;
    let deadline = Duration::from_millis(400);
    let mut connection = Connection::new(server.addr, None, deadline);
    for _ in 0..3 {
        assert_eq!(body(&mut connection, "/").await.unwrap(), "in time");
        let started = Instant::now();
        let error = body(&mut connection, "/late").await.unwrap_err();
        assert!(matches!(error, SendError::Timeout) && error.may_have_arrived(), "{error:?}");
        assert!(started.elapsed() >= deadline && started.elapsed() < PATIENCE);
    }
    // Dropped by its caller while it waits: the answer owed must not reach the next request either.
    assert_eq!(body(&mut connection, "/").await.unwrap(), "in time");
    let before = server.received().last().unwrap().connection;
    assert!(timeout(Duration::from_millis(20), body(&mut connection, "/late")).await.is_err());
    assert_eq!(body(&mut connection, "/").await.unwrap(), "in time");
    assert_eq!(server.received().last().unwrap().connection, before + 1);
}

#[tokio::test]
async fn bytes_nobody_asked_for_end_the_connection() {
    let server = Server::start(|mut talk| async move {
        while talk.request().await.is_some() {
            let twice = answer(200, "", "once") + &answer(200, "", "twice");
            talk.say(&twice).await;
        }
    })
    .await;
    let mut connection = Connection::new(server.addr, None, PATIENCE);
    for _ in 0..4 {
        assert_eq!(body(&mut connection, "/").await.unwrap(), "once");
    }
}

#[tokio::test]
async fn garbage_and_absence_are_told_apart() {
    let server = Server::start(|mut talk| async move {
        talk.request().await;
        talk.say("SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    })
    .await;
    let mut connection = Connection::new(server.addr, None, PATIENCE);
    assert!(matches!(body(&mut connection, "/").await, Err(SendError::Malformed(_))));

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let error = Connection::connect(nobody, None, PATIENCE).await.unwrap_err();
    assert!(matches!(error, SendError::Connect(_)) && !error.may_have_arrived());
}
