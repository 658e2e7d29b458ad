//! The line against a Redis that does not answer, and names of several addresses.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Answers the handshake of every connection, then reads nothing more of it.
fn deaf_redis(accepted: Arc<AtomicUsize>) -> RedisEndpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            stream.write_all(b"+OK\r\n").unwrap();
            held.push(stream);
            accepted.fetch_add(1, Ordering::SeqCst);
        }
    });
    RedisEndpoint { host: "127.0.0.1".into(), port, database: 0, user: None, password: None }
}

fn on_a_core(future: impl Future<Output = ()>) {
    let mut runtime = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new().enable_timer().build().unwrap();
    runtime.block_on(future);
}

/// Looks every ms, with the link's clock running a hundred times as fast.
async fn until(link: &Link, what: &str, done: impl Fn() -> bool) {
    for ms in 0..10_000 {
        if done() {
            return;
        }
        link.tick(ms * 100, 1000);
        monoio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{what}: not in time");
}

#[test]
fn a_half_open_connection_is_given_up_while_its_writer_hangs() {
    on_a_core(async {
        let accepted = Arc::new(AtomicUsize::new(0));
        let (endpoint, link) = (deaf_redis(accepted.clone()), Link::new());
        let running = link.clone();
        monoio::spawn(async move { running.run(&endpoint, Duration::from_secs(5), || ()).await });
        until(&link, "connected", || link.up()).await;
        let large = link.send(|out| out.resize(16 << 20, b'x')).expect("the link is up");
        assert_eq!(link.call(|out| out.push(b'x')).await, Err(LinkError::Down), "16 MB wait already");
        until(&link, "a second connection", || accepted.load(Ordering::SeqCst) == 2).await;
        assert_eq!(large.await, Some(Err(LinkError::Unknown)), "some of it may have arrived");
    });
}

#[test]
fn a_name_is_looked_up_and_its_addresses_tried() {
    on_a_core(async {
        let mut endpoint = deaf_redis(Arc::default());
        let running = Link::new();
        // It may stand for ::1 as well, where nobody listens.
        endpoint.host = "localhost".into();
        let link = running.clone();
        monoio::spawn(async move { running.run(&endpoint, Duration::from_secs(5), || ()).await });
        until(&link, "connected", || link.up()).await;
    });
}
