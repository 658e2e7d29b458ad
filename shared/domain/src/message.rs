//! What travels from the outbox to the worker: accepted orders, in the entries of one reserve call each.
//!
//! The queue message is JSON with a version. Every id is a string, so that no reader loses digits.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{EventId, OrderId, OrderTrace, UserId};

/// The version this build writes; it reads this one and refuses newer ones with a clear error.
pub const VERSION: u32 = 1;
/// Most orders in one message.
pub const ORDERS_PER_MESSAGE_MAX: usize = 256;

/// The id of an outbox entry, `<epoch>-<sequence>`: unique over epochs, and needs no clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId {
    /// The epoch in which the entry was written.
    pub epoch: u64,
    /// Its number within the epoch.
    pub sequence: u64,
}

impl EntryId {
    /// Parses `<epoch>-<sequence>`.
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, sequence) = text.split_once('-')?;
        Some(Self { epoch: epoch.parse().ok()?, sequence: sequence.parse().ok()? })
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.sequence)
    }
}

impl Serialize for EntryId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EntryId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("entry id must be <epoch>-<sequence>"))
    }
}

/// One accepted order on its way to the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedOrder {
    /// The order.
    #[serde(rename = "o")]
    pub order: OrderId,
    /// Its buyer.
    #[serde(rename = "u", with = "decimal")]
    pub user: UserId,
    /// Units, at least 1.
    #[serde(rename = "q")]
    pub quantity: u32,
    /// Hash of the client's idempotency key, if it sent one (see [`QueuedOrder::key_field`]).
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When the gateway accepted it, Unix milliseconds by the gateway's clock; informative only.
    #[serde(rename = "t")]
    pub accepted_at_ms: u64,
}

impl QueuedOrder {
    /// The field of this order in the event's `keys` hash: `<user>:<key hash>`, or `<user>:#<order>` for an order
    /// without a key, so that adopt and rebuild remember those too (V9).
    pub fn key_field(&self) -> String {
        match &self.key {
            Some(key) => format!("{}:{key}", self.user),
            None => format!("{}:#{}", self.user, self.order),
        }
    }

    /// The order that a field of the `keys` hash speaks of; `None` when it is no such field.
    pub fn of_key_field(field: &str, order: OrderId, quantity: u32) -> Option<Self> {
        let (user, key) = field.split_once(':')?;
        let key = (!key.starts_with('#')).then(|| key.to_owned());
        Some(Self { order, user: UserId::parse(user)?, quantity, key, accepted_at_ms: 0 })
    }
}

/// The accepted orders of one reserve call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// Its id in the stream; the epoch is part of it.
    pub id: EntryId,
    /// The orders, in the order in which they were accepted. Never empty.
    pub orders: Vec<QueuedOrder>,
    /// Traces of those orders that are sampled. Optional in the message: a reader that does not know it passes over it, and
    /// one that is not understood is no trace, for it must never keep an order from its row.
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty", deserialize_with = "understood")]
    pub traces: Vec<OrderTrace>,
}

impl OutboxEntry {
    /// An entry of which no order is traced.
    pub fn new(id: EntryId, orders: Vec<QueuedOrder>) -> Self {
        Self { id, orders, traces: Vec::new() }
    }

    /// Units of all its orders.
    pub fn units(&self) -> u64 {
        self.orders.iter().map(|order| u64::from(order.quantity)).sum()
    }
}

/// One queue message: whole entries of one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrdersMessage {
    /// Format version.
    pub v: u32,
    /// The event all entries belong to.
    #[serde(with = "decimal")]
    pub event: EventId,
    /// The entries. Never empty.
    pub entries: Vec<OutboxEntry>,
}

/// Why bytes are not a message of ours.
#[derive(Debug, thiserror::Error)]
pub enum BadMessage {
    /// Not JSON of the right shape.
    #[error("not an orders message: {0}")]
    Shape(#[from] serde_json::Error),
    /// Written by a newer build.
    #[error("orders message of version {0}, this build reads {VERSION}")]
    Version(u32),
    /// A message without orders, or an order without units.
    #[error("orders message with an empty entry or an order of no units")]
    Empty,
}

impl OrdersMessage {
    /// A message of this build's version.
    pub fn new(event: EventId, entries: Vec<OutboxEntry>) -> Self {
        Self { v: VERSION, event, entries }
    }

    /// Number of orders in all entries.
    pub fn order_count(&self) -> usize {
        self.entries.iter().map(|entry| entry.orders.len()).sum()
    }

    /// The JSON bytes.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a message has no map with non-string keys and so always encodes")
    }

    /// Reads and checks JSON bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadMessage> {
        #[derive(Deserialize)]
        struct Head {
            v: u32,
        }
        let head: Head = serde_json::from_slice(bytes)?;
        if head.v != VERSION {
            return Err(BadMessage::Version(head.v));
        }
        let message: Self = serde_json::from_slice(bytes)?;
        let hollow =
            |entry: &OutboxEntry| entry.orders.is_empty() || entry.orders.iter().any(|o| o.quantity == 0);
        if message.entries.is_empty() || message.entries.iter().any(hollow) {
            return Err(BadMessage::Empty);
        }
        Ok(message)
    }
}

fn understood<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<OrderTrace>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    let traces = value.as_array().into_iter().flatten();
    Ok(traces.filter_map(|trace| OrderTrace::deserialize(trace).ok()).collect())
}

/// Integer ids as decimal strings.
pub(crate) mod decimal {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<T: Display, S: Serializer>(id: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TraceContext;

    fn sample() -> OrdersMessage {
        let order = |user, key: Option<&str>| QueuedOrder {
            order: OrderId::new(1_763_800_000_000),
            user: UserId(user),
            quantity: 2,
            key: key.map(str::to_owned),
            accepted_at_ms: 1_763_800_000_001,
        };
        let id = EntryId { epoch: 1_763_800_000_000, sequence: 7 };
        let entry = OutboxEntry::new(id, vec![order(i64::MAX, None), order(2, Some("ab12"))]);
        OrdersMessage::new(EventId(9_007_199_254_740_993), vec![entry])
    }

    #[test]
    fn a_message_reads_back_and_its_ids_are_strings() {
        let message = sample();
        let bytes = message.encode();
        assert_eq!(OrdersMessage::decode(&bytes).unwrap(), message);
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(json["event"], "9007199254740993");
        assert_eq!(json["entries"][0]["id"], "1763800000000-7");
        assert_eq!(json["entries"][0]["orders"][0]["u"], "9223372036854775807");
        assert_eq!((message.order_count(), message.entries[0].units()), (2, 4));
    }

    #[test]
    fn traces_travel_along_and_cost_nothing_where_there_are_none() {
        let mut traced = sample();
        assert!(!String::from_utf8(traced.encode()).unwrap().contains("\"c\""));
        let context = TraceContext { trace_id: 0x4bf9, span_id: 0xb7, sampled: true };
        traced.entries[0].traces = vec![OrderTrace { order: traced.entries[0].orders[1].order, context }];
        assert_eq!(OrdersMessage::decode(&traced.encode()).unwrap(), traced);
        let mut odd: serde_json::Value = serde_json::from_slice(&traced.encode()).unwrap();
        for (traces, left) in [
            (serde_json::json!([{"o": "x"}, traced.entries[0].traces[0]]), 1),
            (serde_json::json!("of a later version"), 0),
        ] {
            odd["entries"][0]["c"] = traces;
            let read = OrdersMessage::decode(&serde_json::to_vec(&odd).unwrap()).unwrap();
            assert_eq!((read.entries[0].traces.len(), read.order_count()), (left, 2));
        }

        // A worker of a version that knows nothing of traces.
        #[derive(Deserialize)]
        struct Former {
            id: EntryId,
            orders: Vec<QueuedOrder>,
        }
        let bytes = serde_json::to_vec(&traced.entries[0]).unwrap();
        let former: Former = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((former.id, former.orders), (traced.entries[0].id, traced.entries[0].orders.clone()));
    }

    #[test]
    fn a_message_of_a_gateway_that_knows_nothing_of_traces_is_read() {
        let former = br#"{"v":1,"event":"5","entries":[{"id":"7-1","orders":[
            {"o":"019ab3b5-0000-7000-8000-000000000001","u":"2","q":1,"t":3}]}]}"#;
        let message = OrdersMessage::decode(former).unwrap();
        assert_eq!((message.event, message.order_count()), (EventId(5), 1));
        assert!(message.entries[0].traces.is_empty());
    }

    #[test]
    fn what_is_not_a_message_is_refused_with_its_reason() {
        let mut newer = sample();
        newer.v = 2;
        assert!(matches!(OrdersMessage::decode(&newer.encode()), Err(BadMessage::Version(2))));
        let mut hollow = sample();
        hollow.entries[0].orders.clear();
        assert!(matches!(OrdersMessage::decode(&hollow.encode()), Err(BadMessage::Empty)));
        for bytes in [&b""[..], b"{}", b"[]", b"\xff", br#"{"v":1,"event":5,"entries":[]}"#] {
            assert!(matches!(OrdersMessage::decode(bytes), Err(BadMessage::Shape(_))), "{bytes:?}");
        }
    }

    #[test]
    fn an_order_without_a_key_is_remembered_by_itself() {
        let message = sample();
        let [without, with] = &message.entries[0].orders[..] else { panic!("two orders") };
        assert_eq!(without.key_field(), format!("{}:#{}", i64::MAX, without.order));
        assert_eq!(with.key_field(), "2:ab12");
    }
}
