//! The proxy's faults, as a client behind it sees them.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use spike_devstack::{ChaosProxy, Fault, RedisOptions, RedisServer, fixture};

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(150);

/// A server that says back what it hears, and tells of it.
fn echo() -> (ChaosProxy, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let (tell, heard) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, tell) = (stream.expect("a connection"), tell.clone());
            std::thread::spawn(move || {
                let mut piece = [0; 64];
                while let Ok(bytes @ 1..) = stream.read(&mut piece) {
                    let _ = tell.send(piece[..bytes].to_vec());
                    if stream.write_all(&piece[..bytes]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (ChaosProxy::start(address).expect("a proxy"), heard)
}

fn connect(proxy: &ChaosProxy) -> TcpStream {
    TcpStream::connect_timeout(&proxy.address(), LONG).expect("the proxy accepts")
}

/// What comes within `wait`: bytes, or the kind of error.
fn read(stream: &mut TcpStream, wait: Duration) -> Result<Vec<u8>, ErrorKind> {
    stream.set_read_timeout(Some(wait)).expect("a timeout");
    let mut piece = [0; 64];
    stream.read(&mut piece).map(|bytes| piece[..bytes].to_vec()).map_err(|error| error.kind())
}

/// A new connection is reset, during the handshake or right after it.
fn assert_refused(proxy: &ChaosProxy) {
    let reset = match TcpStream::connect_timeout(&proxy.address(), LONG) {
        Ok(mut stream) => read(&mut stream, LONG),
        Err(error) => Err(error.kind()),
    };
    assert_eq!(reset, Err(ErrorKind::ConnectionReset));
}

#[test]
fn a_blackhole_holds_both_ways_and_delivers_when_healed() {
    let (proxy, heard) = echo();
    let mut stream = connect(&proxy);
    stream.write_all(b"one").expect("written");
    assert_eq!(read(&mut stream, LONG).as_deref(), Ok(&b"one"[..]));
    assert_eq!(heard.recv_timeout(LONG).as_deref(), Ok(&b"one"[..]));
    proxy.set(Fault::Blackhole);
    stream.write_all(b"two").expect("written: nobody is told");
    assert!(heard.recv_timeout(SHORT).is_err(), "it does not arrive");
    let mut late = connect(&proxy);
    late.write_all(b"new").expect("written");
    assert_eq!(read(&mut late, SHORT), Err(ErrorKind::WouldBlock));
    proxy.set(Fault::Healed);
    assert_eq!(read(&mut stream, LONG).as_deref(), Ok(&b"two"[..]));
    assert_eq!(read(&mut late, LONG).as_deref(), Ok(&b"new"[..]));
}

#[test]
fn half_a_connection_is_lost_at_a_time() {
    let (proxy, heard) = echo();
    let mut stream = connect(&proxy);
    proxy.set(Fault::AnswersLost);
    stream.write_all(b"one").expect("written");
    assert_eq!(heard.recv_timeout(LONG).as_deref(), Ok(&b"one"[..]), "the server works");
    assert_eq!(read(&mut stream, SHORT), Err(ErrorKind::WouldBlock), "and the client does not learn it");
    proxy.set(Fault::RequestsLost);
    assert_eq!(read(&mut stream, LONG).as_deref(), Ok(&b"one"[..]));
    stream.write_all(b"two").expect("written");
    assert!(heard.recv_timeout(SHORT).is_err());
    proxy.set(Fault::Healed);
    assert_eq!(heard.recv_timeout(LONG).as_deref(), Ok(&b"two"[..]));
}

#[test]
fn a_cut_resets_what_is_there_and_refuses_what_comes() {
    let (proxy, _heard) = echo();
    let mut stream = connect(&proxy);
    stream.write_all(b"one").expect("written");
    assert!(read(&mut stream, LONG).is_ok());
    proxy.set(Fault::Cut);
    assert_eq!(read(&mut stream, LONG), Err(ErrorKind::ConnectionReset));
    assert_refused(&proxy);
    proxy.set(Fault::Healed);
    let mut again = connect(&proxy);
    again.write_all(b"two").expect("written");
    assert_eq!(read(&mut again, LONG).as_deref(), Ok(&b"two"[..]));
}

#[test]
fn a_delay_is_kept_both_ways() {
    let (proxy, _heard) = echo();
    let mut stream = connect(&proxy);
    proxy.set(Fault::Delay(Duration::from_millis(100)));
    let start = Instant::now();
    stream.write_all(b"one").expect("written");
    assert_eq!(read(&mut stream, LONG).as_deref(), Ok(&b"one"[..]));
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
}

#[test]
fn a_server_behind_it_may_die_and_come_back() {
    let redis = RedisServer::start(&fixture::folder("chaos"), RedisOptions::default()).expect("a Redis");
    let proxy = ChaosProxy::start(([127, 0, 0, 1], redis.port()).into()).expect("a proxy");
    let ping = |stream: &mut TcpStream| {
        stream.write_all(b"PING\r\n").map_err(|error| error.kind())?;
        read(stream, LONG)
    };
    let mut stream = connect(&proxy);
    assert_eq!(ping(&mut stream).as_deref(), Ok(&b"+PONG\r\n"[..]));
    redis.kill9();
    assert_ne!(ping(&mut stream).as_deref(), Ok(&b"+PONG\r\n"[..]));
    assert_refused(&proxy);
    redis.restart().expect("it comes back");
    let mut again = connect(&proxy);
    assert_eq!(ping(&mut again).as_deref(), Ok(&b"+PONG\r\n"[..]));
}

#[test]
fn a_client_that_resets_is_gone_for_the_server_too() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let proxy = ChaosProxy::start(listener.local_addr().expect("its address")).expect("a proxy");
    let mut client = connect(&proxy);
    client.write_all(b"one").expect("written");
    let (mut server, _) = listener.accept().expect("the proxy connects");
    assert_eq!(read(&mut server, LONG).as_deref(), Ok(&b"one"[..]));
    // Closed with an answer unread, which TCP tells as a reset.
    server.write_all(b"two").expect("written");
    let mut piece = [0; 1];
    assert_eq!(client.peek(&mut piece).expect("the answer is there"), 1);
    drop(client);
    let end = read(&mut server, LONG);
    assert!(matches!(end.as_deref(), Ok(&[]) | Err(ErrorKind::ConnectionReset)), "{end:?}");
}
