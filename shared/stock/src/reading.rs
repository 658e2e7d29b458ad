//! Reading a ledger in Redis off the hot path: views, look-ups, what it alone may know, its clock, its locks.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use redis::aio::ConnectionLike;
use redis::{FromRedisValue, Value};
use spike_domain::{EventId, LedgerState, OrderId, QueuedOrder, UserId};

use crate::keys::{EVENTS, EventKeys};
use crate::{Claim, Ledger, StockError, View};

/// Renews or deletes a lock that is still the caller's. Not fenced: a lock only saves work.
const KEEP_LOCK: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
     if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end return redis.call('PEXPIRE', KEYS[1], ARGV[2])";

impl<C: ConnectionLike + Clone + Send + Sync> Ledger<C> {
    /// Epoch, state, version and stock of each event, in one round trip, or one each to the masters of a cluster at once. A
    /// ledger that cannot be read has an error of its own: one of them must not hide the others.
    pub async fn views(
        &self,
        events: &[EventId],
    ) -> Result<Vec<Result<Option<View>, StockError>>, StockError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        if self.sharded {
            let views = events.iter().map(|event| self.views_at_once(std::slice::from_ref(event)));
            return Ok(join_all(views).await.into_iter().map(|view| view?.remove(0)).collect());
        }
        self.views_at_once(events).await
    }

    async fn views_at_once(
        &self,
        events: &[EventId],
    ) -> Result<Vec<Result<Option<View>, StockError>>, StockError> {
        let mut pipe = redis::pipe();
        pipe.ignore_errors();
        for &event in events {
            let keys = EventKeys::new(event);
            pipe.cmd("HMGET").arg(keys.meta).arg(&["epoch", "state", "version"]);
            pipe.cmd("GET").arg(keys.stock);
        }
        let replies: Vec<Value> = pipe.query_async(&mut self.connection()).await?;
        let read = |pair: &[Value]| view(&pair[0], &pair[1]).ok_or_else(|| StockError::reply("view", &pair));
        Ok(replies.chunks_exact(2).map(read).collect())
    }

    /// The user's claim, and its last order that ended without one.
    pub async fn lookup(
        &self,
        event: EventId,
        user: UserId,
    ) -> Result<(Option<Claim>, Option<Claim>), StockError> {
        let keys = EventKeys::new(event);
        let mut pipe = redis::pipe();
        pipe.cmd("HGET").arg(keys.buyers).arg(user.0).cmd("HGET").arg(keys.ended).arg(user.0);
        let (claim, ended): (Option<Vec<u8>>, Option<Vec<u8>>) =
            pipe.query_async(&mut self.connection()).await?;
        let bad = |bytes: &Vec<u8>| StockError::reply("lookup", bytes);
        let claim = claim.map(|bytes| Claim::parse(&bytes).ok_or_else(|| bad(&bytes))).transpose()?;
        let ended = ended.map(|bytes| Claim::parse_ended(&bytes).ok_or_else(|| bad(&bytes))).transpose()?;
        Ok((claim, ended))
    }

    /// Every order that a claim or a key knows, once. What cannot be read is logged and passed over.
    pub async fn known_orders(&self, event: EventId) -> Result<Vec<QueuedOrder>, StockError> {
        let keys = EventKeys::new(event);
        let mut known: HashMap<OrderId, QueuedOrder> = HashMap::new();
        self.each(&keys.keys, |field, value| {
            let kept = Claim::parse_key(value)?;
            let order = QueuedOrder::of_key_field(field, kept.order, kept.quantity)?;
            known.insert(order.order, order);
            Some(())
        })
        .await?;
        // The key says more than the claim: it was read first and stays.
        self.each(&keys.buyers, |user, value| {
            let (claim, user) = (Claim::parse(value)?, UserId::parse(user)?);
            let (order, quantity) = (claim.order, claim.quantity);
            known.entry(order).or_insert(QueuedOrder { order, user, quantity, key: None, accepted_at_ms: 0 });
            Some(())
        })
        .await?;
        Ok(known.into_values().collect())
    }

    /// Every order that is somebody's claim. What cannot be read is logged and passed over.
    pub async fn claimed_orders(&self, event: EventId) -> Result<Vec<OrderId>, StockError> {
        let mut claimed = Vec::new();
        self.each(&EventKeys::new(event).buyers, |_, value| {
            claimed.push(Claim::parse(value)?.order);
            Some(())
        })
        .await?;
        Ok(claimed)
    }

    /// The epoch in Redis, if there is one that can be read.
    pub(crate) async fn epoch_of(&self, event: EventId) -> Result<Option<u64>, StockError> {
        let mut get = redis::cmd("HGET");
        get.arg(EventKeys::new(event).meta).arg("epoch");
        let held: Option<Vec<u8>> = get.query_async(&mut self.connection()).await?;
        Ok(held.and_then(|held| std::str::from_utf8(&held).ok()?.parse().ok()))
    }

    /// The epoch in Redis, 0 without one. The ledger's other fields may be in any state: a rebuild makes them anew.
    pub async fn held_epoch(&self, event: EventId) -> Result<u64, StockError> {
        let (mut connection, meta) = (self.connection(), EventKeys::new(event).meta);
        let mut get = redis::cmd("HGET");
        let held: Option<Vec<u8>> = get.arg(&meta).arg("epoch").query_async(&mut connection).await?;
        let Some(held) = held else { return Ok(0) };
        if let Some(epoch) = std::str::from_utf8(&held).ok().and_then(|text| text.parse().ok()) {
            return Ok(epoch);
        }
        // No epoch is above one that is no number; without it the ledger is simply not there.
        tracing::error!(%event, held = ?held.escape_ascii(), "the ledger's epoch is no number and is dropped");
        let mut drop_it = redis::cmd("HDEL");
        drop_it.arg(&meta).arg("epoch").query_async::<i64>(&mut connection).await?;
        Ok(0)
    }

    /// Redis TIME in Unix milliseconds.
    pub async fn time_ms(&self) -> Result<u64, StockError> {
        let mut pipe = redis::pipe();
        // A key, so that of a cluster's clocks it is always the same one.
        pipe.cmd("TIME").cmd("EXISTS").arg(EVENTS).ignore();
        let ((seconds, micros),): ((u64, u64),) = pipe.query_async(&mut self.connection()).await?;
        Ok(seconds * 1000 + micros / 1000)
    }

    /// Takes the lock `name` if nobody has it.
    pub async fn try_lock(&self, name: &str, token: &str, ttl: Duration) -> Result<bool, StockError> {
        let mut cmd = redis::cmd("SET");
        cmd.arg(name).arg(token).arg("NX").arg("PX").arg(millis(ttl));
        let reply: Option<String> = cmd.query_async(&mut self.connection()).await?;
        Ok(reply.is_some())
    }

    /// Renews (`Some`) or gives back (`None`) a lock that is still `token`'s; false: it is not.
    pub async fn keep_lock(
        &self,
        name: &str,
        token: &str,
        ttl: Option<Duration>,
    ) -> Result<bool, StockError> {
        let mut cmd = redis::cmd("EVAL");
        let ttl = ttl.map(|ttl| millis(ttl).to_string()).unwrap_or_default();
        cmd.arg(KEEP_LOCK).arg(1).arg(name).arg(token).arg(ttl);
        Ok(cmd.query_async::<u64>(&mut self.connection()).await? == 1)
    }

    /// Shows every pair of a hash to `take`, which gives `None` for one it cannot read.
    async fn each(
        &self,
        hash: &str,
        mut take: impl FnMut(&str, &[u8]) -> Option<()>,
    ) -> Result<(), StockError> {
        let mut cursor = 0;
        loop {
            let (next, pairs) = self.scan(hash, cursor).await?;
            for (field, value) in pairs {
                if take(&field, &value).is_none() {
                    tracing::error!(hash, field, "this part of the ledger cannot be read and is passed over");
                }
            }
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }
}

/// The outer `None`: not readable.
fn view(meta: &Value, stock: &Value) -> Option<Option<View>> {
    let fields: Vec<Option<String>> = FromRedisValue::from_redis_value_ref(meta).ok()?;
    let stock: Option<u64> = FromRedisValue::from_redis_value_ref(stock).ok()?;
    let [Some(epoch), Some(state), version] = &fields[..] else { return Some(None) };
    Some(Some(View {
        epoch: epoch.parse().ok()?,
        state: LedgerState::parse(state)?,
        version: version.as_ref().and_then(|text| text.parse().ok()).unwrap_or(0),
        stock,
    }))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
