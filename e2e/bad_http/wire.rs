//! A bare connection: bytes out, answers back one by one, and how it ends.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::http::Answer;

/// Longest wait for a byte.
const DEADLINE: Duration = Duration::from_secs(30);

/// One connection.
pub struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    /// Connects.
    pub fn connect(at: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&at, DEADLINE).expect("the gateway accepts");
        stream.set_read_timeout(Some(DEADLINE)).expect("a time limit");
        stream.set_write_timeout(Some(DEADLINE)).expect("a time limit");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, read: Vec::new() }
    }

    /// Sends what the peer may have stopped taking; whether it took all.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Says that nothing more will come.
    pub fn finish(&self) {
        // A peer that has reset the connection already knows.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Closes with a reset in the place of an end.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("a reset at the end");
    }

    /// The next answer; `None` when the peer closes instead. An answer to HEAD has a length and no body.
    pub fn answer(&mut self, to_head: bool) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if !self.more() {
                let left = String::from_utf8_lossy(&self.read);
                assert!(left.is_empty(), "half an answer: {left:?}");
                return None;
            }
        };
        let head: Vec<u8> = self.read.drain(..end + 4).collect();
        let head = String::from_utf8(head[..end].to_vec()).expect("an ASCII head");
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status line");
        assert!(head.starts_with("HTTP/1."), "{head}");
        let mut answer = Answer { status, head, body: Vec::new() };
        let bare = to_head || matches!(status, 100..=199 | 204 | 304);
        let length = match answer.header("content-length") {
            _ if bare => 0,
            Some(length) => length.parse().expect("a length"),
            None => panic!("no length: {}", answer.head),
        };
        while self.read.len() < length {
            assert!(self.more(), "the body ends early: {}", answer.head);
        }
        answer.body = self.read.drain(..length).collect();
        Some(answer)
    }

    /// Whether the peer closes without another byte.
    pub fn closed(&mut self) -> bool {
        self.read.is_empty() && !self.more()
    }

    fn more(&mut self) -> bool {
        let mut piece = [0; 16 << 10];
        match self.stream.read(&mut piece) {
            Ok(0) => false,
            Ok(count) => {
                self.read.extend_from_slice(&piece[..count]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("no byte within {DEADLINE:?}: {error}"),
        }
    }
}
