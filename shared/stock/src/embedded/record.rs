//! A journal record: length (u32), CRC-32 of what follows (u32), then kind, event and the body; integers little-endian.

use spike_domain::{EntryId, EventId, OrderId, OutboxEntry, QueuedOrder, UserId};

const ACCEPTED: u8 = 1;
const SETTLED: u8 = 2;
/// Bytes before the body.
const HEAD: usize = 8;
/// Longest record taken at its word, in bytes; a reserve call's entry is far below.
const RECORD_MAX: usize = 16 << 20;

/// A record to write.
#[derive(Debug, Clone, Copy)]
pub enum Record<'a> {
    /// An entry of accepted orders.
    Accepted(EventId, &'a OutboxEntry),
    /// Entries whose orders are in the database.
    Settled(EventId, &'a [EntryId]),
}

/// A record as read.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// An entry of accepted orders.
    Accepted(EventId, OutboxEntry),
    /// Entries whose orders are in the database.
    Settled(EventId, Vec<EntryId>),
}

/// Appends `record` to `out`.
pub fn encode(record: &Record<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    match record {
        Record::Accepted(event, entry) => {
            out.push(ACCEPTED);
            out.extend_from_slice(&event.0.to_le_bytes());
            put_id(out, entry.id);
            put_count(out, entry.orders.len());
            entry.orders.iter().for_each(|order| put_order(out, order));
        }
        Record::Settled(event, ids) => {
            out.push(SETTLED);
            out.extend_from_slice(&event.0.to_le_bytes());
            put_count(out, ids.len());
            ids.iter().for_each(|id| put_id(out, *id));
        }
    }
    let body = &out[start + HEAD..];
    assert!(body.len() <= RECORD_MAX, "a record is one call's orders");
    let (length, sum) = (u32::try_from(body.len()).expect("bounded"), crc32fast::hash(body));
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + HEAD].copy_from_slice(&sum.to_le_bytes());
}

/// The first record of `bytes` and its length; `None` when it is not whole.
pub fn decode(bytes: &[u8]) -> Option<(Read, usize)> {
    let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let sum = u32::from_le_bytes(bytes.get(4..HEAD)?.try_into().ok()?);
    let body = bytes.get(HEAD..HEAD.checked_add(length).filter(|_| length <= RECORD_MAX)?)?;
    if crc32fast::hash(body) != sum {
        return None;
    }
    let mut cursor = Cursor(body);
    let kind = cursor.take(1)?[0];
    let event = EventId(i64::from_le_bytes(cursor.array()?));
    let read = match kind {
        ACCEPTED => {
            let id = cursor.id()?;
            let orders = (0..cursor.u32()?).map(|_| cursor.order()).collect::<Option<Vec<_>>>()?;
            Read::Accepted(event, OutboxEntry::new(id, orders))
        }
        SETTLED => Read::Settled(event, (0..cursor.u32()?).map(|_| cursor.id()).collect::<Option<Vec<_>>>()?),
        _ => return None,
    };
    cursor.0.is_empty().then_some((read, HEAD + length))
}

fn put_id(out: &mut Vec<u8>, id: EntryId) {
    out.extend_from_slice(&id.epoch.to_le_bytes());
    out.extend_from_slice(&id.sequence.to_le_bytes());
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).expect("a call's orders are few").to_le_bytes());
}

fn put_order(out: &mut Vec<u8>, order: &QueuedOrder) {
    out.extend_from_slice(order.order.bytes());
    out.extend_from_slice(&order.user.0.to_le_bytes());
    out.extend_from_slice(&order.quantity.to_le_bytes());
    out.extend_from_slice(&order.accepted_at_ms.to_le_bytes());
    let key = order.key.as_deref().unwrap_or_default().as_bytes();
    // Length 0 is "no key": a key's digest is never empty.
    put_count(out, key.len());
    out.extend_from_slice(key);
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn id(&mut self) -> Option<EntryId> {
        Some(EntryId { epoch: self.u64()?, sequence: self.u64()? })
    }

    fn order(&mut self) -> Option<QueuedOrder> {
        let order = OrderId::from_bytes(self.array()?);
        let user = UserId(i64::from_le_bytes(self.array()?));
        let (quantity, accepted_at_ms) = (self.u32()?, self.u64()?);
        let length = self.u32()? as usize;
        let key = std::str::from_utf8(self.take(length)?).ok()?;
        Some(QueuedOrder {
            order,
            user,
            quantity,
            key: (!key.is_empty()).then(|| key.to_owned()),
            accepted_at_ms,
        })
    }
}
