//! The other end: a TCP server that reads whole requests and answers with the bytes it is told to.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub peer: SocketAddr,
    /// The number of its connection, from 0.
    pub connection: usize,
    pub text: String,
}

/// One connection of the server.
pub struct Talk {
    pub stream: TcpStream,
    pub number: usize,
    peer: SocketAddr,
    log: Arc<Mutex<Vec<Received>>>,
    pending: Vec<u8>,
}

impl Talk {
    /// The next whole request, or `None` when the client has closed.
    pub async fn request(&mut self) -> Option<String> {
        loop {
            let text = String::from_utf8(self.pending.clone()).expect("the tests send text");
            if let Some(end) = text.find("\r\n\r\n") {
                let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                let whole = end + 4 + length.map_or(0, |length| length.parse::<usize>().unwrap());
                if text.len() >= whole {
                    self.pending.drain(..whole);
                    let text = text[..whole].to_owned();
                    let received = Received { peer: self.peer, connection: self.number, text: text.clone() };
                    self.log.lock().unwrap().push(received);
                    return Some(text);
                }
            }
            if self.stream.read_buf(&mut self.pending).await.ok()? == 0 {
                return None;
            }
        }
    }

    pub async fn say(&mut self, bytes: &str) {
        // A client that gave up is what some cases are about.
        let _ = self.stream.write_all(bytes.as_bytes()).await;
        let _ = self.stream.flush().await;
    }
}

/// A running server; its tasks end with the test's runtime.
pub struct Server {
    pub addr: SocketAddr,
    log: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    /// Serves each connection with `serve`.
    pub async fn start<F, Served>(serve: F) -> Self
    where
        F: Fn(Talk) -> Served + Send + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&log);
        tokio::spawn(async move {
            let mut number = 0;
            while let Ok((stream, peer)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serve(Talk {
                    stream,
                    number,
                    peer,
                    log: Arc::clone(&shared),
                    pending: Vec::new(),
                }));
                number += 1;
            }
        });
        Self { addr, log }
    }

    /// Everything received so far.
    pub fn received(&self) -> Vec<Received> {
        self.log.lock().unwrap().clone()
    }
}

/// `HTTP/1.1 <status> X` with these header lines (each ending in CRLF) and this body.
pub fn answer(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}
