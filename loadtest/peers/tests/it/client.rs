//! A blocking HTTP/1.1 client on a bare socket, and answers made comparable.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use spike_domain::OrderId;

/// Longest wait for anything.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// What servers add of their own, each in its way.
const OWN_HEADERS: [&str; 3] = ["date", "server", "connection"];

/// One connection.
pub struct Client {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case, in their order.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Without what differs from run to run: order ids, the request ids that servers make, and headers of their own.
    pub fn comparable(mut self) -> Self {
        self.headers.retain(|(name, _)| !OWN_HEADERS.contains(&name.as_str()));
        self.headers.sort();
        for (name, value) in &mut self.headers {
            let made = value.len() == 16 && value.bytes().all(|b| b.is_ascii_hexdigit());
            if name == "x-request-id" && made {
                "<made>".clone_into(value);
            }
            *value = without_orders(value);
        }
        self.body = without_orders(&self.body);
        self
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    /// Connects from another address of this machine.
    pub fn connect_from(source: [u8; 4], address: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next answer.
    pub fn answer(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            self.more();
        };
        let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).unwrap();
        let mut lines = head.trim_end().lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        let mut answer = Answer { status, headers: headers.collect(), body: String::new() };
        let length: usize = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.buffer.len() < length {
            self.more();
        }
        answer.body = String::from_utf8(self.buffer.drain(..length).collect()).unwrap();
        answer
    }

    fn more(&mut self) {
        let mut piece = [0; 4096];
        let read = self.stream.read(&mut piece).expect("bytes within the deadline");
        assert_ne!(read, 0, "closed within an answer: {:?}", String::from_utf8_lossy(&self.buffer));
        self.buffer.extend_from_slice(&piece[..read]);
    }
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

fn without_orders(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let order = rest.get(..OrderId::TEXT_LEN).filter(|head| OrderId::parse(head).is_some());
        let (shown, length) =
            order.map_or((&rest[..next.len_utf8()], next.len_utf8()), |order| ("<order>", order.len()));
        out.push_str(shown);
        rest = &rest[length..];
    }
    out
}
