//! The outbox stream: read by the relay's group, acknowledged after the broker's confirm, deleted by settle.
//!
//! An entry that is not of this version's making (another program's, or a newer version's) is passed over by every reader
//! and stays in the stream: it is told once, and stands in nobody's way. Only a rebuild, which counts, must not pass over it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use redis::aio::ConnectionLike;
use redis::{FromRedisValue, Value};
use spike_domain::mutant::{self, Mutant};
use spike_domain::{EntryId, EventId, OutboxEntry};

use crate::entry;
use crate::keys::{EventKeys, RELAY_GROUP};
use crate::{Ledger, StockError};

/// A page of entries and where the next one starts.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Entries in stream order. Entries deleted meanwhile are left out.
    pub entries: Vec<OutboxEntry>,
    /// Cursor for the next call; `None` at the end.
    pub next: Option<String>,
    /// Entries that could not be read and are passed over.
    pub unreadable: usize,
}

/// Unreadable entries remembered as told; beyond it they are told again.
const TOLD_MAX: usize = 1000;

/// Unreadable entries already told of by this process: they are read again and again.
static TOLD: Mutex<BTreeSet<(EventId, String)>> = Mutex::new(BTreeSet::new());

impl<C: ConnectionLike + Clone + Send + Sync> Ledger<C> {
    /// Up to `count` entries never delivered to the group, now delivered to `consumer`. Does not block.
    pub async fn read_new(
        &self,
        event: EventId,
        consumer: &str,
        count: usize,
    ) -> Result<Vec<OutboxEntry>, StockError> {
        self.read_group(event, consumer, ">", count).await
    }

    /// Up to `count` entries delivered to `consumer` after `after` and not acknowledged: a restarted relay's own.
    pub async fn read_pending(
        &self,
        event: EventId,
        consumer: &str,
        after: &str,
        count: usize,
    ) -> Result<Vec<OutboxEntry>, StockError> {
        self.read_group(event, consumer, after, count).await
    }

    /// Takes over entries that another consumer has held for `idle_ms` without acknowledging.
    pub async fn claim_idle(
        &self,
        event: EventId,
        consumer: &str,
        idle_ms: u64,
        cursor: &str,
        count: usize,
    ) -> Result<Page, StockError> {
        let mut cmd = redis::cmd("XAUTOCLAIM");
        let keys = EventKeys::new(event);
        cmd.arg(&keys.outbox).arg(RELAY_GROUP).arg(consumer).arg(idle_ms).arg(cursor).arg("COUNT").arg(count);
        let reply = cmd.query_async::<Value>(&mut self.connection()).await?;
        let (next, entries, _deleted): (String, Value, Value) = FromRedisValue::from_redis_value_ref(&reply)
            .map_err(|_| StockError::reply("XAUTOCLAIM", &reply))?;
        let read = parse_entries(event, &entries)?;
        Ok(Page { next: (next != "0-0").then_some(next), ..read.into() })
    }

    /// Acknowledges entries to the group: the broker has them. They stay in the stream until settled.
    pub async fn ack(&self, event: EventId, entries: &[EntryId]) -> Result<u64, StockError> {
        if entries.is_empty() {
            return Ok(0);
        }
        let mut cmd = redis::cmd("XACK");
        cmd.arg(EventKeys::new(event).outbox).arg(RELAY_GROUP);
        for entry in entries {
            cmd.arg(entry.to_string());
        }
        Ok(cmd.query_async(&mut self.connection()).await?)
    }

    /// Up to `count` entries of the stream after `after` (`None`: from the start), whoever holds them.
    pub async fn entries(
        &self,
        event: EventId,
        after: Option<EntryId>,
        count: usize,
    ) -> Result<Page, StockError> {
        let outbox = EventKeys::new(event).outbox;
        let mut from = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
        let mut unreadable = 0;
        loop {
            let mut cmd = redis::cmd("XRANGE");
            cmd.arg(&outbox).arg(from).arg("+").arg("COUNT").arg(count);
            let read = parse_entries(event, &cmd.query_async::<Value>(&mut self.connection()).await?)?;
            unreadable += read.unreadable;
            let next = read.last.clone().filter(|_| read.seen == count);
            match next {
                // A page that is not the last one has an entry, so that callers get on by its id.
                Some(next) if read.entries.is_empty() => from = format!("({next}"),
                next => return Ok(Page { next, unreadable, ..read.into() }),
            }
        }
    }

    /// Entries in the stream, whoever holds them.
    pub async fn outbox_length(&self, event: EventId) -> Result<u64, StockError> {
        Ok(redis::cmd("XLEN").arg(EventKeys::new(event).outbox).query_async(&mut self.connection()).await?)
    }

    /// Creates the relay's group from the first entry, where a wiped Redis has lost it. True if it was missing.
    pub async fn ensure_group(&self, event: EventId) -> Result<bool, StockError> {
        let mut cmd = redis::cmd("XGROUP");
        let from = if mutant::on(Mutant::GroupAtEnd) { "$" } else { "0" };
        cmd.arg("CREATE").arg(EventKeys::new(event).outbox).arg(RELAY_GROUP).arg(from).arg("MKSTREAM");
        match cmd.query_async::<Value>(&mut self.connection()).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn read_group(
        &self,
        event: EventId,
        consumer: &str,
        after: &str,
        count: usize,
    ) -> Result<Vec<OutboxEntry>, StockError> {
        let mut cmd = redis::cmd("XREADGROUP");
        cmd.arg("GROUP").arg(RELAY_GROUP).arg(consumer).arg("COUNT").arg(count);
        cmd.arg("STREAMS").arg(EventKeys::new(event).outbox).arg(after);
        let reply: Value = cmd.query_async(&mut self.connection()).await?;
        let streams: Option<Vec<(String, Value)>> = FromRedisValue::from_redis_value_ref(&reply)
            .map_err(|_| StockError::reply("XREADGROUP", &reply))?;
        match streams.and_then(|mut streams| streams.pop()) {
            Some((_, entries)) => Ok(parse_entries(event, &entries)?.entries),
            None => Ok(Vec::new()),
        }
    }
}

/// What a reply held.
#[derive(Default)]
struct Read {
    entries: Vec<OutboxEntry>,
    unreadable: usize,
    /// Entries of any kind.
    seen: usize,
    /// Id of the last one.
    last: Option<String>,
}

impl From<Read> for Page {
    fn from(read: Read) -> Self {
        Self { entries: read.entries, next: None, unreadable: read.unreadable }
    }
}

/// Entries of a reply. A deleted entry (nil fields) is left out; one that is not ours is told and left out.
fn parse_entries(event: EventId, value: &Value) -> Result<Read, StockError> {
    let Value::Array(items) = value else { return Err(StockError::reply("outbox", value)) };
    let mut read = Read { seen: items.len(), ..Read::default() };
    for item in items {
        let (id, fields): (String, Value) = FromRedisValue::from_redis_value_ref(item)
            .map_err(|_| StockError::reply("outbox entry", item))?;
        if !matches!(fields, Value::Nil) {
            match parse_entry(&id, &fields) {
                Some(entry) => read.entries.push(entry),
                None => {
                    read.unreadable += 1;
                    tell(event, &id, item);
                }
            }
        }
        read.last = Some(id);
    }
    Ok(read)
}

fn parse_entry(id: &str, fields: &Value) -> Option<OutboxEntry> {
    let fields: Vec<String> = FromRedisValue::from_redis_value_ref(fields).ok()?;
    let field = |name: &str| fields.chunks_exact(2).find(|pair| pair[0] == name).map(|pair| pair[1].as_str());
    if field("v") != Some(entry::VERSION) {
        return None;
    }
    let orders = entry::parse_orders(field("o")?, field("t")?.parse().ok()?)?;
    Some(OutboxEntry { id: EntryId::parse(id)?, orders })
}

fn tell(event: EventId, id: &str, item: &Value) {
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.len() >= TOLD_MAX {
        told.clear();
    }
    if told.insert((event, id.to_owned())) {
        let error = StockError::reply("outbox entry", item);
        tracing::error!(%event, entry = id, %error, "an outbox entry is not readable and is passed over");
    }
}
