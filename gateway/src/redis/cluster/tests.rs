use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::redis::resp::{Reader, Reply};

/// What a node answers to each command, by its words.
type Script = dyn Fn(&[String]) -> String + Send + Sync;

/// A server of scripted answers; it counts the GETs it was sent.
struct Fake {
    port: u16,
    gets: Arc<AtomicUsize>,
    script: Arc<Mutex<Arc<Script>>>,
}

impl Fake {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let nothing: Arc<Script> = Arc::new(|_: &[String]| "+OK\r\n".to_owned());
        let fake = Self { port, gets: Arc::default(), script: Arc::new(Mutex::new(nothing)) };
        let (gets, script) = (fake.gets.clone(), fake.script.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (gets, script) = (gets.clone(), script.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &gets, &script));
            }
        });
        fake
    }

    fn answer(&self, script: impl Fn(&[String]) -> String + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    fn gets(&self) -> usize {
        self.gets.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, gets: &AtomicUsize, script: &Mutex<Arc<Script>>) {
    let (mut reader, mut buffer) = (Reader::default(), vec![0; 4096]);
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        reader.push(&buffer[..n]);
        while let Some(Reply::Array(words)) = reader.next_reply().unwrap() {
            let word = |word: &Reply| match word {
                Reply::Bulk(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                other => panic!("{other:?}"),
            };
            let words: Vec<String> = words.iter().map(word).collect();
            gets.fetch_add(usize::from(words[0] == "GET"), Ordering::SeqCst);
            let answer = script.lock().unwrap().clone()(&words);
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// CLUSTER SLOTS with every slot on one node.
fn all_on(port: u16) -> String {
    format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:{port}\r\n")
}

/// What the handshake and the table get; everything else is `otherwise`.
fn otherwise(slots_on: u16, answer: impl Fn(&[String]) -> String) -> impl Fn(&[String]) -> String {
    move |words| match words[0].as_str() {
        "CLIENT" | "ASKING" => "+OK\r\n".to_owned(),
        "CLUSTER" => all_on(slots_on),
        _ => answer(words),
    }
}

fn on_a_core(seed: u16, test: impl AsyncFnOnce(Cluster)) {
    let mut runtime = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new().enable_timer().build().unwrap();
    runtime.block_on(async move {
        let seed =
            RedisEndpoint { host: "127.0.0.1".into(), port: seed, database: 0, user: None, password: None };
        let cluster = Cluster::new(vec![seed], Duration::from_secs(5), || ());
        let running = cluster.clone();
        monoio::spawn(async move { running.run().await });
        test(cluster).await;
    });
}

async fn get(cluster: &Cluster, copies: Option<Copies>) -> Result<Kept, LinkError> {
    cluster.call(7, |out| link::command(out, &[b"GET", b"key"]), copies).await
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..10_000 {
        if done().await {
            return;
        }
        monoio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{what}: not in time");
}

async fn until_ok(cluster: &Cluster) {
    until("a node answers", async || get(cluster, None).await.is_ok()).await;
}

#[test]
fn a_call_follows_its_slot_and_the_next_one_goes_there_at_once() {
    let (old, new) = (Fake::start(), Fake::start());
    let (old_port, new_port) = (old.port, new.port);
    old.answer(otherwise(old_port, |_| ":1\r\n".into()));
    new.answer(otherwise(new_port, |_| ":2\r\n".into()));
    on_a_core(old.port, async |cluster| {
        until_ok(&cluster).await;
        old.answer(otherwise(new_port, move |_| format!("-MOVED 7 127.0.0.1:{new_port}\r\n")));
        assert_eq!(get(&cluster, None).await.map(|kept| kept.reply), Ok(Reply::Number(2)));
        let asked = old.gets();
        assert_eq!(get(&cluster, None).await.map(|kept| kept.reply), Ok(Reply::Number(2)));
        assert_eq!(old.gets(), asked, "what was said of the slot is remembered");
    });
}

#[test]
fn nodes_that_send_a_call_to_and_fro_are_asked_a_few_times_only() {
    let (a, b) = (Fake::start(), Fake::start());
    let (a_port, b_port) = (a.port, b.port);
    a.answer(otherwise(a_port, |_| ":1\r\n".into()));
    on_a_core(a.port, async |cluster| {
        until_ok(&cluster).await;
        a.answer(otherwise(a_port, move |_| format!("-MOVED 7 127.0.0.1:{b_port}\r\n")));
        b.answer(otherwise(b_port, move |_| format!("-MOVED 7 127.0.0.1:{a_port}\r\n")));
        let before = a.gets() + b.gets();
        assert_eq!(get(&cluster, None).await, Err(LinkError::Down), "nobody ran it");
        assert_eq!(a.gets() + b.gets() - before, 1 + REDIRECTS_MAX);
    });
}

#[test]
fn a_slot_on_its_way_is_asked_for_where_it_goes_and_stays_where_it_is() {
    let (from, to) = (Fake::start(), Fake::start());
    let (from_port, to_port) = (from.port, to.port);
    from.answer(otherwise(from_port, |_| ":1\r\n".into()));
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    to.answer(move |words| {
        counted.fetch_add(usize::from(words[0] == "ASKING"), Ordering::SeqCst);
        otherwise(from_port, |_| ":2\r\n".into())(words)
    });
    on_a_core(from.port, async |cluster| {
        until_ok(&cluster).await;
        from.answer(otherwise(from_port, move |_| format!("-ASK 7 127.0.0.1:{to_port}\r\n")));
        for round in 1..=2 {
            let before = from.gets();
            assert_eq!(get(&cluster, None).await.map(|kept| kept.reply), Ok(Reply::Number(2)));
            assert_eq!((from.gets() - before, asked.load(Ordering::SeqCst)), (1, round));
        }
    });
}

#[test]
fn a_node_that_takes_nothing_now_has_done_nothing() {
    let node = Fake::start();
    let port = node.port;
    node.answer(otherwise(port, |_| ":1\r\n".into()));
    on_a_core(node.port, async |cluster| {
        until_ok(&cluster).await;
        for error in ["CLUSTERDOWN The cluster is down", "TRYAGAIN x", "LOADING x", "READONLY x", "MOVED 7 x"]
        {
            node.answer(otherwise(port, move |_| format!("-{error}\r\n")));
            assert_eq!(get(&cluster, None).await, Err(LinkError::Down), "{error}");
        }
        node.answer(otherwise(port, |_| "-NOSCRIPT x\r\n".into()));
        assert!(get(&cluster, None).await.unwrap().reply.is_error(b"NOSCRIPT"), "the caller's to read");
    });
}

#[test]
fn what_too_few_replicas_have_is_not_called_kept() {
    let node = Fake::start();
    let port = node.port;
    node.answer(otherwise(port, |_| ":1\r\n".into()));
    on_a_core(node.port, async |cluster| {
        until_ok(&cluster).await;
        let copies = Some(Copies { replicas: 2, timeout_ms: 50 });
        for (have, copied) in [(":2", true), (":3", true), (":1", false), (":0", false), ("-ERR x", false)] {
            node.answer(otherwise(port, move |words| match words {
                [wait, replicas, timeout] if wait == "WAIT" => {
                    assert_eq!((replicas.as_str(), timeout.as_str()), ("2", "50"));
                    format!("{have}\r\n")
                }
                _ => ":1\r\n".into(),
            }));
            assert_eq!(get(&cluster, copies).await, Ok(Kept { reply: Reply::Number(1), copied }), "{have}");
        }
    });
}
