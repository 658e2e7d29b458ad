//! HTTP as bytes: what a well-behaved client cannot send is half of what is tested.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Everything before the body.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header, if it is there once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.head.lines().skip(1).filter_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        });
        found.next().filter(|_| found.next().is_none())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error}: {} {:?}", self.head, String::from_utf8_lossy(&self.body))
        })
    }

    /// The stable word of an error.
    pub fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// The word of an error, asserting its status.
    #[track_caller]
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{} {}", self.head, String::from_utf8_lossy(&self.body));
        self.reason()
    }
}

/// One request on a connection of its own.
pub fn call(
    at: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Answer {
    send(at, request(at, method, path, headers, body).as_bytes())
}

/// The same; `None` when there is no answer.
pub fn try_call(
    at: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Option<Answer> {
    exchange(at, request(at, method, path, headers, body).as_bytes()).ok()
}

/// A GET; `None` when there is no answer within `deadline`.
pub fn try_call_within(at: SocketAddr, path: &str, deadline: Duration) -> Option<Answer> {
    exchange_within(at, request(at, "GET", path, &[], None).as_bytes(), deadline).ok()
}

/// These very bytes on a connection of their own, and the first answer to them.
pub fn send(at: SocketAddr, bytes: &[u8]) -> Answer {
    exchange(at, bytes).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

fn request(at: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if let Some(body) = body {
        if !typed {
            text.push_str("Content-Type: application/json\r\n");
        }
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body.unwrap_or_default());
    text
}

fn exchange(at: SocketAddr, bytes: &[u8]) -> std::io::Result<Answer> {
    exchange_within(at, bytes, DEADLINE)
}

fn exchange_within(at: SocketAddr, bytes: &[u8], deadline: Duration) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&at, deadline)?;
    stream.set_read_timeout(Some(deadline))?;
    stream.write_all(bytes)?;
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    loop {
        if let Some(answer) = parse(&read) {
            return Ok(answer);
        }
        match stream.read(&mut piece)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => read.extend_from_slice(&piece[..count]),
        }
    }
}

/// The first answer in `bytes`, when it is whole.
fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).expect("an ASCII head");
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status line");
    let answer = Answer { status, head, body: Vec::new() };
    let length: usize = match answer.header("content-length") {
        Some(length) => length.parse().expect("a number"),
        // A stream: its status is all that is waited for.
        None if status == 304 || answer.header("transfer-encoding") == Some("chunked") => 0,
        None => panic!("no length: {}", answer.head),
    };
    let body = bytes.get(end + 4..end + 4 + length)?.to_vec();
    Some(Answer { body, ..answer })
}
