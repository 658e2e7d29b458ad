//! The outbox stream: read by the relay's group, acknowledged after the broker's confirm, deleted by settle.

use redis::aio::ConnectionLike;
use redis::{FromRedisValue, Value};
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
}

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
        Ok(Page { entries: parse_entries(&entries)?, next: (next != "0-0").then_some(next) })
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
        let from = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
        let mut cmd = redis::cmd("XRANGE");
        cmd.arg(EventKeys::new(event).outbox).arg(from).arg("+").arg("COUNT").arg(count);
        let entries = parse_entries(&cmd.query_async::<Value>(&mut self.connection()).await?)?;
        let next =
            (entries.len() == count).then(|| entries.last().map(|entry| entry.id.to_string())).flatten();
        Ok(Page { entries, next })
    }

    /// Creates the relay's group from the first entry, where a wiped Redis has lost it. True if it was missing.
    pub async fn ensure_group(&self, event: EventId) -> Result<bool, StockError> {
        let mut cmd = redis::cmd("XGROUP");
        cmd.arg("CREATE").arg(EventKeys::new(event).outbox).arg(RELAY_GROUP).arg("0").arg("MKSTREAM");
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
            Some((_, entries)) => parse_entries(&entries),
            None => Ok(Vec::new()),
        }
    }
}

/// Entries of a reply; a deleted entry (nil fields) is left out, an entry that is not ours is an error and stays.
fn parse_entries(value: &Value) -> Result<Vec<OutboxEntry>, StockError> {
    let Value::Array(items) = value else { return Err(StockError::reply("outbox", value)) };
    items.iter().filter_map(|item| parse_entry(item).transpose()).collect()
}

fn parse_entry(item: &Value) -> Result<Option<OutboxEntry>, StockError> {
    let bad = || StockError::reply("outbox entry", item);
    let (id, fields): (String, Option<Vec<String>>) =
        FromRedisValue::from_redis_value_ref(item).map_err(|_| bad())?;
    let Some(fields) = fields.filter(|fields| !fields.is_empty()) else { return Ok(None) };
    let field = |name: &str| fields.chunks_exact(2).find(|pair| pair[0] == name).map(|pair| pair[1].as_str());
    if field("v") != Some(entry::VERSION) {
        return Err(bad());
    }
    let accepted_at_ms = field("t").and_then(|text| text.parse().ok()).ok_or_else(bad)?;
    let orders = field("o").and_then(|text| entry::parse_orders(text, accepted_at_ms)).ok_or_else(bad)?;
    Ok(Some(OutboxEntry { id: EntryId::parse(&id).ok_or_else(bad)?, orders }))
}
