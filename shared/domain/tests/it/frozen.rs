//! Queue messages as version 0.1.0 wrote and read them. While versions run side by side a worker reads messages of gateways
//! that are older or newer than itself, so: the bytes kept here must be read for ever, and what is written now must be read by
//! the reader kept here. A change that cannot keep both is a new queue, not another number in `v`.

use serde_json::{Value, json};
use spike_domain::message::BadMessage;
use spike_domain::{DeadlineMessage, EntryId, EventId, OrderId, OrdersMessage, UserId};

const ORDERS: &[u8] = include_bytes!("frozen/orders-1.json");
const DEADLINE: &[u8] = include_bytes!("frozen/deadline-1.json");

/// The readers of version 0.1.0: what it does not name it passes over.
mod former {
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    pub struct Orders {
        pub v: u32,
        pub event: String,
        pub entries: Vec<Entry>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    pub struct Entry {
        pub id: String,
        pub orders: Vec<Order>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    pub struct Order {
        pub o: String,
        pub u: String,
        pub q: u32,
        #[serde(default)]
        pub k: Option<String>,
        pub t: u64,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    pub struct Deadline {
        pub v: u32,
        pub event: String,
        pub due_ms: String,
    }
}

/// With a field that nobody knows in every object.
fn with_more(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(with_more);
            fields.insert("of_a_later_version".into(), json!({ "with": ["anything"] }));
        }
        Value::Array(items) => items.iter_mut().for_each(with_more),
        _ => {}
    }
}

fn grown(bytes: &[u8]) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(bytes).expect("JSON");
    with_more(&mut value);
    serde_json::to_vec(&value).expect("JSON")
}

#[test]
fn messages_of_the_first_version_are_read() {
    let message = OrdersMessage::decode(ORDERS).expect("frozen bytes");
    assert_eq!((message.event, message.order_count()), (EventId(9_007_199_254_740_993), 3));
    let entry = &message.entries[0];
    assert_eq!(entry.id, EntryId { epoch: 1_763_800_000_000, sequence: 7 });
    let [plain, keyed] = &entry.orders[..] else { panic!("two orders") };
    let order = |last: u8| OrderId::parse(&format!("019a0000-0000-7000-8000-00000000000{last}"));
    assert_eq!((Some(plain.order), plain.user, plain.quantity), (order(1), UserId(i64::MAX), 2));
    assert_eq!((plain.key.as_deref(), plain.accepted_at_ms), (None, 1_763_800_000_001));
    assert_eq!((Some(keyed.order), keyed.key.as_deref()), (order(2), Some("ab12")));
    let deadline = DeadlineMessage::decode(DEADLINE).expect("frozen bytes");
    assert_eq!(deadline, DeadlineMessage::new(EventId(9_007_199_254_740_993), 1_763_800_060_000));
}

#[test]
fn fields_of_a_later_version_are_passed_over() {
    assert_eq!(
        OrdersMessage::decode(&grown(ORDERS)).expect("read"),
        OrdersMessage::decode(ORDERS).expect("read")
    );
    assert_eq!(
        DeadlineMessage::decode(&grown(DEADLINE)).expect("read"),
        DeadlineMessage::decode(DEADLINE).expect("read")
    );
}

#[test]
fn the_former_reader_reads_what_is_written_now() {
    let now = OrdersMessage::decode(ORDERS).expect("read").encode();
    let read =
        |bytes: &[u8]| serde_json::from_slice::<former::Orders>(bytes).expect("as version 0.1.0 reads");
    let theirs = read(&now);
    assert_eq!(theirs, read(ORDERS), "what goes in comes out, for them as well");
    assert_eq!(theirs, read(&grown(&now)));
    assert_eq!((theirs.v, theirs.event.as_str()), (1, "9007199254740993"), "they refuse any other number");
    let orders: Vec<_> = theirs.entries.iter().flat_map(|entry| &entry.orders).collect();
    assert_eq!(
        (orders.len(), orders[0].u.as_str(), orders[1].k.as_deref()),
        (3, "9223372036854775807", Some("ab12"))
    );

    let now = DeadlineMessage::decode(DEADLINE).expect("read").encode();
    let read =
        |bytes: &[u8]| serde_json::from_slice::<former::Deadline>(bytes).expect("as version 0.1.0 reads");
    assert_eq!(read(&now), read(DEADLINE));
    assert_eq!((read(&now).v, read(&now).due_ms.as_str()), (1, "1763800060000"));
}

#[test]
fn another_format_is_refused_with_its_number_and_so_kept() {
    let mut newer: Value = serde_json::from_slice(ORDERS).expect("JSON");
    newer["v"] = json!(2);
    newer["entries"] = json!("something else");
    let error = OrdersMessage::decode(&serde_json::to_vec(&newer).expect("JSON")).expect_err("not ours");
    assert!(matches!(error, BadMessage::Version(2)), "{error}");
}
