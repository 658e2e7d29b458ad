//! A blocking HTTP/1.1 client on a bare socket: what is sent and what comes back, byte for byte.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(20);

/// One connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap_or("").to_owned()
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    /// Connects from another address of this machine.
    pub fn connect_from(source: IpAddr, address: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// This client to read with, and what writes on its connection meanwhile.
    pub fn with_writer(self) -> (Self, impl FnMut(&str) + Send) {
        let mut stream = self.stream.try_clone().unwrap();
        (self, move |text: &str| stream.write_all(text.as_bytes()).unwrap())
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends what the peer may already refuse to take.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    pub fn get(&mut self, path: &str, token: &str) -> Answer {
        self.send(
            format!("GET {path} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes(),
        );
        self.answer().expect("an answer")
    }

    /// `POST /api/v1/spike/events/7/orders`; `headers` are whole lines with their ends.
    pub fn buy(&mut self, token: &str, headers: &str, body: &str) -> Answer {
        self.send(buy_request(token, headers, body).as_bytes());
        self.answer().expect("an answer")
    }

    /// The next answer; `None` when the peer closes instead.
    pub fn answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            if !self.more() {
                assert!(
                    self.buffer.is_empty(),
                    "half an answer: {:?}",
                    String::from_utf8_lossy(&self.buffer)
                );
                return None;
            }
        };
        let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new() };
        let length: usize = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
        while self.buffer.len() < length {
            assert!(self.more(), "the body ends early");
        }
        answer.body = self.buffer.drain(..length).collect();
        Some(answer)
    }

    /// The head of an answer whose body is read chunk by chunk.
    pub fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            assert!(self.more(), "closed before a head");
        };
        let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).unwrap();
        Answer { status: head.split(' ').nth(1).unwrap().parse().unwrap(), head, body: Vec::new() }
    }

    /// The next chunk of a body in chunks; `None` at its proper end.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                break at;
            }
            assert!(self.more(), "closed within a body");
        };
        let digits = String::from_utf8(self.buffer[..end].to_vec()).unwrap();
        let length = usize::from_str_radix(&digits, 16).unwrap_or_else(|e| panic!("{e}: {digits:?}"));
        while self.buffer.len() < end + 4 + length {
            assert!(self.more(), "closed within a chunk");
        }
        let chunk = self.buffer[end + 2..end + 2 + length].to_vec();
        self.buffer.drain(..end + 4 + length);
        (length > 0).then_some(chunk)
    }

    /// Whether the peer closes without another byte.
    pub fn closed(&mut self) -> bool {
        self.buffer.is_empty() && !self.more()
    }

    /// Reads bytes as they come, until `wanted` is among them.
    pub fn read_until(&mut self, wanted: &[u8]) {
        while find(&self.buffer, wanted).is_none() {
            assert!(self.more(), "closed before {:?}", String::from_utf8_lossy(wanted));
        }
        self.buffer.clear();
    }

    /// Everything until the peer closes.
    pub fn read_to_close(&mut self) -> String {
        while self.more() {}
        String::from_utf8_lossy(&self.buffer).into_owned()
    }

    fn more(&mut self) -> bool {
        let mut piece = [0; 4096];
        match self.stream.read(&mut piece) {
            Ok(0) => false,
            Ok(n) => {
                self.buffer.extend_from_slice(&piece[..n]);
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("no byte within {DEADLINE:?}: {error}"),
        }
    }
}

pub fn buy_request(token: &str, headers: &str, body: &str) -> String {
    format!(
        "POST /api/v1/spike/events/7/orders HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// Polls `done` until it says yes or the deadline passes.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the poller that everything else uses instead of sleeping"
)]
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
