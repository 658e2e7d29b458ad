//! `spike dead-letters`, on servers and on the embedded database.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use spike_broker::{Consumer, Delivery};
use spike_devstack::fixture;
use spike_domain::EventId;
use spike_store::{DatabaseSettings, Store};
use tokio::runtime::Runtime;

use crate::process::{Env, run};

const PATIENCE: Duration = Duration::from_secs(30);
const ORDERS: &str = "spike.orders";

/// The command on a database, with letters put there by hand.
struct Desk {
    env: Env,
    dir: std::path::PathBuf,
    runtime: Runtime,
    store: Store,
}

/// What the command said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Desk {
    fn on_servers() -> Self {
        let (database, amqp) = (fixture::database(), fixture::vhost());
        let env = [("SPIKE_DATABASE_URL", database.clone()), ("SPIKE_AMQP_URL", amqp)];
        Self::at(
            env.map(|(name, value)| (name.to_owned(), value)).into(),
            database,
            fixture::folder("letters"),
        )
    }

    fn embedded() -> Self {
        let dir = fixture::folder("letters");
        let data = dir.join("data");
        std::fs::create_dir_all(&data).unwrap();
        let env = [("SPIKE_DATA_DIR".to_owned(), data.display().to_string())].into();
        Self::at(env, format!("sqlite://{}", data.join("spike.db").display()), dir)
    }

    fn at(env: Env, url: String, dir: std::path::PathBuf) -> Self {
        let runtime = Runtime::new().unwrap();
        let settings = DatabaseSettings {
            url,
            connections_min: 0,
            connections_max: 2,
            acquire_timeout: PATIENCE,
            statement_timeout: PATIENCE,
        };
        let store = runtime.block_on(async {
            let store = Store::connect(&settings).await.unwrap();
            store.migrate().await.unwrap();
            store
        });
        Self { env, dir, runtime, store }
    }

    fn park(&self, message_id: &str, reason: &str, payload: &[u8], event: Option<i64>) {
        let event = event.map(EventId);
        self.runtime.block_on(self.store.park_message(ORDERS, message_id, reason, payload, event)).unwrap();
    }

    fn ask(&self, words: &[&str]) -> Said {
        self.ask_with(words, &self.env)
    }

    fn ask_with(&self, words: &[&str], env: &Env) -> Said {
        let words: Vec<&str> = ["dead-letters"].iter().chain(words).copied().collect();
        let output = run(&words, env, Path::new(&self.dir));
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn json(&self, words: &[&str]) -> Value {
        let said = self.ask(&[words, &["--json"]].concat());
        assert_eq!(said.code, Some(0), "{}", said.err);
        serde_json::from_str(&said.out).expect("one JSON object")
    }

    /// Names of the letters that a list shows.
    fn names(&self, words: &[&str]) -> Vec<String> {
        let letters = self.json(&[&["list"], words].concat())["letters"].take();
        let name = |letter: &Value| letter["message_id"].as_str().unwrap().to_owned();
        letters.as_array().unwrap().iter().map(name).collect()
    }

    fn id_of(&self, name: &str) -> String {
        let letters = self.json(&["list", "--state", "all"])["letters"].take();
        let found = letters.as_array().unwrap().iter().find(|letter| letter["message_id"] == name).unwrap();
        found["id"].to_string()
    }

    /// What is in the orders queue within a moment.
    fn published(&self, count: usize) -> Vec<Delivery> {
        let url = &self.env["SPIKE_AMQP_URL"];
        self.runtime.block_on(async {
            let mut consumer = Consumer::connect(url, 100, PATIENCE).await.unwrap();
            let mut deliveries = Vec::new();
            for _ in 0..count {
                let next = tokio::time::timeout(PATIENCE, consumer.next());
                deliveries.push(next.await.expect("a message in time").unwrap());
            }
            let more = tokio::time::timeout(Duration::from_millis(300), consumer.next()).await;
            assert!(more.is_err(), "more was published: {more:?}");
            let tags: Vec<_> = deliveries.iter().map(|delivery| delivery.tag).collect();
            consumer.ack(&tags).await.unwrap();
            consumer.close().await;
            deliveries
        })
    }
}

#[test]
fn letters_are_listed_by_page_and_filter_for_eyes_and_for_programs() {
    let desk = Desk::on_servers();
    let nothing = desk.ask(&["list"]);
    assert_eq!((nothing.code, nothing.out.as_str()), (Some(0), ""), "{}", nothing.err);
    desk.park("m-1", "not a message: \u{1b}[31mred", b"\xff\x00", None);
    desk.park("m-2", "the event does not exist", b"{}", Some(7));
    desk.park("m-3", "not written in 5 attempts", b"[]", Some(8));
    desk.park("m-3", "not written in 5 attempts", b"[]", Some(8));

    let table = desk.ask(&["list"]);
    let lines: Vec<&str> = table.out.lines().collect();
    assert_eq!(lines.len(), 4, "{}", table.out);
    assert!(lines[0].starts_with("ID") && lines[0].ends_with("REASON"), "{}", table.out);
    assert!(lines[1].contains("m-3") && lines[3].contains("m-1"), "newest first: {}", table.out);
    assert!(!table.out.contains('\u{1b}'), "no message moves a terminal's cursor");

    let all = desk.json(&["list"]);
    assert_eq!(all["next"], Value::Null);
    let newest = &all["letters"][0];
    assert_eq!((newest["parks"].as_u64(), newest["bytes"].as_u64()), (Some(2), Some(2)));
    assert_eq!((&newest["state"], newest["event_id"].as_i64()), (&"open".into(), Some(8)));
    assert_eq!(desk.names(&["--event", "7"]), ["m-2"]);
    assert_eq!(desk.names(&["--reason", "NOT WRITTEN"]), ["m-3"]);
    assert_eq!(desk.names(&["--reason", "%"]), Vec::<String>::new());
    let page = desk.json(&["list", "--limit", "2"]);
    let next = page["next"].to_string();
    assert_eq!(desk.names(&["--limit", "2", "--before", &next]), ["m-1"]);
    assert_eq!(desk.ask(&["list", "--limit", "0"]).code, Some(2));
}

#[test]
fn a_letter_is_replayed_as_it_was_once_unless_asked_again() {
    let desk = Desk::on_servers();
    desk.park("m-1", "no", b"\xff\x00{", None);
    desk.park("m-2", "no", b"two", Some(7));
    desk.park("m-3", "other", b"three", Some(7));
    for words in [&["replay"][..], &["replay", "1", "--all"], &["replay", "one"]] {
        assert_eq!(desk.ask(words).code, Some(2), "{words:?}");
    }
    let unknown = desk.ask(&["replay", "999999"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.err.contains("no dead letter 999999"), "{}", unknown.err);

    let mut away = desk.env.clone();
    away.insert("SPIKE_AMQP_URL".into(), format!("amqp://{}/%2f", crate::system::loopback()));
    let first = desk.id_of("m-1");
    let failed = desk.ask_with(&["replay", &first], &away);
    assert_eq!(failed.code, Some(1));
    assert!(failed.err.contains("broker"), "{}", failed.err);
    assert_eq!(
        desk.names(&["--state", "replayed"]),
        Vec::<String>::new(),
        "nothing was sent, nothing is noted"
    );

    let replayed = desk.ask(&["replay", &first, "--by", "ann"]);
    assert_eq!((replayed.code, replayed.out), (Some(0), format!("{first} replayed\n")), "{}", replayed.err);
    let published = desk.published(1);
    assert_eq!((published[0].message_id.as_str(), &published[0].body[..]), ("m-1", &b"\xff\x00{"[..]));
    assert_eq!(published[0].trail, spike_broker::Trail::default(), "nothing is counted against it");
    let twice = desk.ask(&["replay", &first]);
    assert_eq!(twice.code, Some(0));
    assert!(twice.out.contains("replayed before"), "{}", twice.out);
    desk.published(0);
    assert_eq!(desk.ask(&["replay", &first, "--again"]).code, Some(0));
    desk.published(1);

    assert_eq!(desk.ask(&["replay", "--event", "7", "--reason", "NO"]).code, Some(0));
    assert_eq!(desk.published(1)[0].message_id, "m-2");
    assert_eq!(desk.ask(&["replay", "--all"]).code, Some(0));
    assert_eq!(desk.published(1)[0].message_id, "m-3");
    assert_eq!(desk.names(&["--state", "open"]), Vec::<String>::new());
    // It could not be written again: the same letter, open.
    desk.park("m-2", "no again", b"two", Some(7));
    assert_eq!(desk.names(&["--state", "open"]), ["m-2"]);
    assert_eq!(desk.names(&["--state", "all"]).len(), 3);
}

#[test]
fn a_letter_is_dropped_by_name_with_a_reason_and_stays_on_record() {
    let desk = Desk::on_servers();
    for name in ["m-1", "m-2", "m-3"] {
        desk.park(name, "no", name.as_bytes(), Some(7));
    }
    let why = ["--why", "a test's own"];
    for words in [&["drop"][..], &["drop", "--event", "7"], &["drop", "1", "--yes"]] {
        assert_eq!(desk.ask(&[words, &why].concat()).code, Some(2), "{words:?}");
    }
    let first = desk.id_of("m-1");
    assert_eq!(desk.ask(&["drop", &first]).code, Some(2), "nobody drops without saying why");
    assert_eq!(desk.ask(&["drop", &first, "--why", " "]).code, Some(2));
    let dropped = desk.ask(&[&["drop", &first, "--by", "bob"], &why[..]].concat());
    assert_eq!((dropped.code, dropped.out), (Some(0), format!("{first} dropped\n")), "{}", dropped.err);
    let again = desk.ask(&[&["drop", &first, "999999"], &why[..]].concat());
    assert_eq!(again.code, Some(1), "one of them is not there");
    assert!(again.out.contains("dropped before") && again.err.contains("no dead letter 999999"));

    let letter = desk.json(&["list", "--state", "dropped"])["letters"][0].take();
    assert_eq!((&letter["changed_by"], &letter["changed_why"]), (&"bob".into(), &"a test's own".into()));
    assert!(letter["changed_at"].is_string());
    let refused = desk.ask(&["replay", &first]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("was dropped"), "{}", refused.err);
    assert_eq!(desk.ask(&[&["drop", "--event", "7", "--yes"], &why[..]].concat()).code, Some(0));
    assert_eq!(desk.names(&["--state", "dropped"]).len(), 3);
    desk.published(0);
}

#[test]
fn the_embedded_database_has_letters_too_and_no_queue_to_replay_them_to() {
    let desk = Desk::embedded();
    desk.park("m-1", "no", b"one", Some(7));
    assert_eq!(desk.names(&["--event", "7"]), ["m-1"]);
    let id = desk.id_of("m-1");
    let replay = desk.ask(&["replay", &id]);
    assert_eq!(replay.code, Some(2));
    assert!(replay.err.contains("SPIKE_AMQP_URL"), "{}", replay.err);
    assert_eq!(desk.ask(&["drop", &id, "--why", "done"]).code, Some(0));
    assert_eq!(desk.names(&["--state", "open"]), Vec::<String>::new());
}
