//! A collector that takes every trace and keeps none, for gateways whose tracing is measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::OnceLock;

/// Where it answers; started by the first who asks, and there until the process ends.
///
/// # Panics
/// Where there is no port or thread left.
pub fn address() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let at = listener.local_addr().expect("it is bound");
        let serve = move || {
            for stream in listener.incoming().flatten() {
                // A connection that breaks is its gateway's affair.
                std::thread::spawn(move || drop(answer(stream)));
            }
        };
        std::thread::Builder::new().name("collector".into()).spawn(serve).expect("a thread");
        at
    })
}

/// Answers request after request until the peer leaves.
fn answer(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
        }
        std::io::copy(&mut stream.by_ref().take(length), &mut std::io::sink())?;
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_one_request_after_the_other() {
        let mut stream = TcpStream::connect(address()).unwrap();
        for body in ["", "twelve bytes"] {
            let head = format!("POST /v1/traces HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(head.as_bytes()).unwrap();
            let mut answer = [0; 38];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    }
}
