//! Messages of the queue: what is read has orders with units, and reads back from what it writes.

use spike_domain::message::{BadMessage, EntryId, VERSION};
use spike_domain::{EventId, OrderId, OrdersMessage, OutboxEntry, QueuedOrder, UserId};
use uuid::Uuid;

/// What a message is made of.
pub const WORDS: &[&str] = &[
    "\"v\":1",
    "\"v\":2",
    "\"event\":\"7\"",
    "\"entries\":[]",
    "\"id\":\"1-1\"",
    "\"orders\":[]",
    "\"o\":",
    "\"u\":\"1\"",
    "\"q\":1",
    "\"q\":0",
    "\"k\":null",
    "\"k\":\"ab\"",
    "\"t\":0",
    ",",
    "{",
    "}",
    "[",
    "]",
    "null",
    "\\u0030",
    "1.0",
    "1e0",
];

/// Messages as a relay writes them.
pub fn seeds() -> Vec<Vec<u8>> {
    let order = |user, key: Option<&str>| QueuedOrder {
        order: OrderId(Uuid::from_u128(0x019a_aaaa_0000_7000_8000_0000_0000_0000 + user as u128)),
        user: UserId(user),
        quantity: 2,
        key: key.map(str::to_owned),
        accepted_at_ms: 1_763_800_000_001,
    };
    let entry = |sequence, orders| OutboxEntry::new(EntryId { epoch: 1_763_800_000_000, sequence }, orders);
    let entries = [
        vec![entry(1, vec![order(1, None)])],
        vec![
            entry(7, vec![order(2, Some("ab12")), order(i64::MAX, None)]),
            entry(u64::MAX, vec![order(3, None)]),
        ],
    ];
    entries.map(|entries| OrdersMessage::new(EventId(9_007_199_254_740_993), entries).encode()).into()
}

/// One input: the body of a delivery.
///
/// # Panics
/// When a promise is broken.
pub fn run(data: &[u8]) -> String {
    match OrdersMessage::decode(data) {
        Ok(message) => {
            assert_eq!(message.v, VERSION);
            assert!(!message.entries.is_empty() && message.order_count() >= message.entries.len());
            assert!(message.entries.iter().all(|entry| entry.units() >= entry.orders.len() as u64));
            let again = OrdersMessage::decode(&message.encode()).expect("it reads what it writes");
            assert_eq!(again, message);
            let keyed =
                message.entries.iter().flat_map(|entry| &entry.orders).any(|order| order.key.is_some());
            format!("{} {} {keyed}", message.entries.len().min(4), message.order_count().min(8))
        }
        // Of the parser's words only the kind of fault is of interest.
        Err(BadMessage::Shape(error)) => {
            let words = error.to_string();
            words
                .split([':', '"', '`'])
                .next()
                .unwrap_or_default()
                .split(" at line")
                .next()
                .unwrap_or_default()
                .to_owned()
        }
        Err(BadMessage::Version(version)) => format!("version {}", version.min(3)),
        Err(BadMessage::Empty) => "empty".to_owned(),
    }
}
