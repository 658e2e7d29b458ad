//! The ledger for everything off the hot path: settle, release, adopt, the rebuild's steps, and reading.

use redis::aio::ConnectionLike;
use redis::{FromRedisValue, Value};
use spike_domain::mutant::{self, Mutant};
use spike_domain::{
    ClaimState, EntryId, EventDef, EventId, LedgerState, OrderId, OutboxEntry, QueuedOrder, SessionId, UserId,
};

use crate::hint;
use crate::keys::{EVENTS, EventKeys, HINTS, RELAY_GROUP};
use crate::reserve::{Buyer, Decided};
use crate::scripts::{self, FencedScript, Script};
use crate::{Claim, Meta, Refused, StockError};

/// Most orders, claims or keys in one script call: Lua's `unpack` takes some 8,000 values.
const PER_CALL: usize = 1000;

/// The ledger behind a connection. With a `ConnectionManager` it reconnects; a rebuild uses a `MultiplexedConnection`,
/// which never does (V7). Every call is about keys of one slot, so that a cluster's connection knows where to send it.
#[derive(Clone)]
pub struct Ledger<C> {
    connection: C,
    /// Events are on several masters.
    pub(crate) sharded: bool,
}

/// An entry whose orders all have rows, with what the rows say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The entry.
    pub id: EntryId,
    /// Its units, as counted in flight.
    pub units: u64,
    /// User, order and the row's status.
    pub orders: Vec<(UserId, OrderId, ClaimState)>,
}

/// An order that holds no stock any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedOrder {
    /// Its user.
    pub user: UserId,
    /// The order.
    pub order: OrderId,
    /// How it ended.
    pub state: ClaimState,
}

/// What a rebuild opens the ledger with.
#[derive(Debug, Clone)]
pub struct Opening<'a> {
    /// Open, paused or closed.
    pub state: LedgerState,
    /// Units left.
    pub stock: u64,
    /// Units in the outbox.
    pub inflight: u64,
    /// Units that may be in flight.
    pub cap: u64,
    /// The event.
    pub def: &'a EventDef,
}

impl<C: ConnectionLike + Clone + Send + Sync> Ledger<C> {
    /// A ledger over `connection` to the one server that has every event.
    pub fn new(connection: C) -> Self {
        Self { connection, sharded: false }
    }

    /// A ledger over `connection` to a cluster.
    pub fn sharded(connection: C) -> Self {
        Self { connection, sharded: true }
    }

    /// The connection, for commands of one's own.
    pub fn connection(&self) -> C {
        self.connection.clone()
    }

    /// Decides a batch of buyers, as the hot cores do on their own connections.
    pub async fn reserve(
        &self,
        event: EventId,
        epoch: u64,
        now_ms: u64,
        buyers: &[Buyer],
    ) -> Result<Decided, StockError> {
        let mut args = vec![epoch.to_string(), now_ms.to_string()];
        for buyer in buyers {
            let key = buyer.key.as_deref().unwrap_or_default().to_owned();
            args.extend([buyer.user.to_string(), buyer.order.to_string(), buyer.quantity.to_string(), key]);
        }
        args.extend(crate::reserve::trace_lines(buyers));
        let reply = self
            .call_fenced(&scripts::reserve(event, epoch), &EventKeys::new(event).reserve(), &args)
            .await?;
        let elements = strings("reserve", &reply)?;
        crate::reserve::decode(elements.iter().map(Vec::as_slice), buyers.len())
            .ok_or_else(|| StockError::reply("reserve", &reply))?
            .map_err(StockError::Refused)
    }

    /// Drops entries whose orders all have rows; returns the units that left flight by this call.
    pub async fn settle(&self, event: EventId, epoch: u64, entries: &[Settled]) -> Result<u64, StockError> {
        let keys = EventKeys::new(event);
        let mut units = 0;
        for chunk in chunks_by_orders(entries) {
            let mut args = vec![epoch.to_string(), chunk.len().to_string()];
            for entry in chunk {
                args.extend([entry.id.to_string(), entry.units.to_string()]);
            }
            for (user, order, state) in chunk.iter().flat_map(|entry| &entry.orders) {
                args.extend([user.to_string(), order.to_string(), char::from(state.letter()).to_string()]);
            }
            let named = [&*keys.meta, &keys.inflight, &keys.buyers, &keys.ended, &keys.outbox];
            let words = self.call(scripts::settle(), &named, &args).await?;
            units += number("settle", &words, 0)?;
        }
        Ok(units)
    }

    /// Gives the units of ended orders back; returns the units released by this call.
    pub async fn release(
        &self,
        event: EventId,
        epoch: u64,
        orders: &[EndedOrder],
    ) -> Result<u64, StockError> {
        let keys = EventKeys::new(event);
        let mut units = 0;
        for chunk in orders.chunks(PER_CALL) {
            let mut args = vec![epoch.to_string(), event.to_string(), HINTS.to_owned()];
            args.extend(chunk.iter().flat_map(triple));
            let named = [&*keys.meta, &keys.stock, &keys.buyers, &keys.ended];
            let words = self.call(scripts::release(), &named, &args).await?;
            units += number("release", &words, 2)?;
        }
        Ok(units)
    }

    /// Decides orders accepted in another epoch: true = counted, false = rejected, in their order.
    pub async fn adopt(
        &self,
        event: EventId,
        epoch: u64,
        now_ms: u64,
        orders: &[QueuedOrder],
    ) -> Result<Vec<bool>, StockError> {
        let keys = EventKeys::new(event);
        let script = scripts::adopt(event, epoch);
        let mut counted = Vec::with_capacity(orders.len());
        for chunk in orders.chunks(PER_CALL) {
            let mut args = vec![epoch.to_string(), now_ms.to_string()];
            for order in chunk {
                let key = order.key.clone().unwrap_or_default();
                args.extend([
                    order.user.to_string(),
                    order.order.to_string(),
                    order.quantity.to_string(),
                    key,
                ]);
            }
            let named = [
                &*keys.meta,
                &keys.stock,
                &keys.inflight,
                &keys.buyers,
                &keys.keys,
                &keys.outbox,
                &keys.ended,
            ];
            let reply = self.call_fenced(&script, &named, &args).await?;
            let words = accepted("adopt", &reply)?;
            if words.len() != chunk.len() || words.iter().any(|word| word != b"C" && word != b"R") {
                return Err(StockError::reply("adopt", &reply));
            }
            counted.extend(words.iter().map(|word| word == b"C"));
        }
        Ok(counted)
    }

    /// First step of a rebuild.
    pub async fn begin(&self, event: EventId, epoch: u64) -> Result<(), StockError> {
        let args = [epoch.to_string(), event.to_string(), HINTS.to_owned()];
        self.call(scripts::begin(), &[&EventKeys::new(event).meta], &args).await.map(drop)
    }

    /// Middle steps of a rebuild: replaces claims and keys. `claims` are (user, value), `fields` (key field, value).
    pub async fn load(
        &self,
        event: EventId,
        epoch: u64,
        claims: &[(UserId, String)],
        fields: &[(String, String)],
    ) -> Result<(), StockError> {
        let keys = EventKeys::new(event);
        let pieces = claims.len().max(fields.len()).div_ceil(PER_CALL).max(1);
        for piece in 0..pieces {
            let part = |len: usize| (piece * PER_CALL).min(len)..((piece + 1) * PER_CALL).min(len);
            let (claims, fields) = (&claims[part(claims.len())], &fields[part(fields.len())]);
            let order = if piece == 0 { "first" } else { "more" };
            let mut args = vec![epoch.to_string(), order.to_owned(), claims.len().to_string()];
            args.extend(claims.iter().flat_map(|(user, value)| [user.to_string(), value.clone()]));
            args.extend(fields.iter().flat_map(|(field, value)| [field.clone(), value.clone()]));
            self.call(scripts::load(), &[&keys.meta, &keys.buyers, &keys.keys], &args).await?;
        }
        Ok(())
    }

    /// Puts the event on the list of those that have a ledger.
    pub async fn list(&self, event: EventId) -> Result<(), StockError> {
        Ok(redis::cmd("SADD").arg(EVENTS).arg(event.0).query_async::<()>(&mut self.connection()).await?)
    }

    /// Last step of a rebuild, of an event that is on the list; returns the new version.
    pub async fn open(&self, event: EventId, epoch: u64, opening: &Opening<'_>) -> Result<u64, StockError> {
        let keys = EventKeys::new(event);
        let args = [
            epoch.to_string(),
            opening.state.as_str().to_owned(),
            opening.stock.to_string(),
            opening.inflight.to_string(),
            opening.cap.to_string(),
            opening.def.per_user_limit.to_string(),
            doc_json(opening.def),
            RELAY_GROUP.to_owned(),
            event.to_string(),
            HINTS.to_owned(),
        ];
        let words = self
            .call(scripts::open(), &[&keys.meta, &keys.stock, &keys.inflight, &keys.outbox], &args)
            .await?;
        number("open", &words, 0)
    }

    /// Pauses, resumes or closes a standing ledger, and renews its document if one is given.
    pub async fn transition(
        &self,
        event: EventId,
        epoch: u64,
        state: LedgerState,
        def: Option<&EventDef>,
    ) -> Result<u64, StockError> {
        assert!(state.standing(), "only a rebuild sets recovering");
        let doc = def.map(doc_json).unwrap_or_default();
        let args = [epoch.to_string(), state.as_str().to_owned(), doc, event.to_string(), HINTS.to_owned()];
        let words = self.call(scripts::transition(), &[&EventKeys::new(event).meta], &args).await?;
        number("transition", &words, 0)
    }

    /// Shows new states beside their claims. Refused while there is no ledger or a rebuild is under way: try again.
    pub async fn mark(&self, event: EventId, orders: &[EndedOrder]) -> Result<(), StockError> {
        let keys = EventKeys::new(event);
        for chunk in orders.chunks(PER_CALL) {
            let args: Vec<String> = chunk.iter().flat_map(triple).collect();
            self.call(scripts::mark(), &[&keys.meta, &keys.buyers], &args).await?;
        }
        Ok(())
    }

    /// The event's figures; `None` without a ledger.
    pub async fn meta(&self, event: EventId) -> Result<Option<Meta>, StockError> {
        let keys = EventKeys::new(event);
        let mut pipe = redis::pipe();
        // A transaction in plain words: the library's own does not follow a slot that has moved.
        pipe.cmd("MULTI").ignore().cmd("HMGET").arg(&keys.meta).arg(&Meta::FIELDS).ignore();
        pipe.cmd("MGET").arg(&keys.stock).arg(&keys.inflight).ignore().cmd("EXEC");
        let ((fields, figures),): ((Value, Value),) = pipe.query_async(&mut self.connection()).await?;
        Meta::read(&fields, &figures).map_err(|_| StockError::reply("meta", &(fields, figures)))
    }

    /// One round trip; in a cluster to any node: a shard that fails over is no reason to turn away who buys elsewhere.
    pub async fn ping(&self) -> Result<(), StockError> {
        let mut pipe = redis::pipe();
        Ok(pipe.cmd("PING").query_async::<Vec<String>>(&mut self.connection()).await.map(drop)?)
    }

    /// Events that have, or had, a ledger.
    pub async fn events(&self) -> Result<Vec<EventId>, StockError> {
        let ids: Vec<i64> = redis::cmd("SMEMBERS").arg(EVENTS).query_async(&mut self.connection()).await?;
        Ok(ids.into_iter().map(EventId).collect())
    }

    /// One page of `buyers` or `keys` (by HSCAN): the next cursor, 0 at the end, and the pairs.
    pub async fn scan(&self, hash: &str, cursor: u64) -> Result<(u64, Vec<(String, Vec<u8>)>), StockError> {
        let mut cmd = redis::cmd("HSCAN");
        cmd.arg(hash).arg(cursor).arg("COUNT").arg(PER_CALL);
        Ok(cmd.query_async(&mut self.connection()).await?)
    }

    /// The user's claim now; `None` without one.
    pub async fn claim(&self, event: EventId, user: UserId) -> Result<Option<Claim>, StockError> {
        let mut cmd = redis::cmd("HGET");
        cmd.arg(EventKeys::new(event).buyers).arg(user.0);
        let value: Option<Vec<u8>> = cmd.query_async(&mut self.connection()).await?;
        value.map(|bytes| Claim::parse(&bytes).ok_or_else(|| StockError::reply("claim", &bytes))).transpose()
    }

    /// Tells every gateway and worker to look at `event` again. A hint only: polls find it anyway.
    pub async fn hint(&self, event: EventId) -> Result<(), StockError> {
        let mut cmd = redis::cmd("PUBLISH");
        cmd.arg(HINTS).arg(event.0);
        Ok(cmd.query_async::<i64>(&mut self.connection()).await.map(drop)?)
    }

    /// Tells every gateway to look at the rate limits again. A hint only: polls find them anyway.
    pub async fn hint_limits(&self) -> Result<(), StockError> {
        let mut cmd = redis::cmd("PUBLISH");
        cmd.arg(HINTS).arg(hint::LIMITS);
        Ok(cmd.query_async::<i64>(&mut self.connection()).await.map(drop)?)
    }

    /// Tells every gateway that tokens of `sessions` with a smaller `ver` than `min_ver` are dead; polls find it anyway.
    pub async fn hint_revoked(&self, sessions: &[SessionId], min_ver: u32) -> Result<(), StockError> {
        for message in hint::of_revoked(sessions, min_ver) {
            let mut cmd = redis::cmd("PUBLISH");
            cmd.arg(HINTS).arg(message);
            cmd.query_async::<i64>(&mut self.connection()).await?;
        }
        Ok(())
    }

    pub(crate) async fn call(
        &self,
        script: &'static Script,
        keys: &[&str],
        args: &[String],
    ) -> Result<Vec<Vec<u8>>, StockError> {
        let reply = match self.evalsha(&script.sha, keys, args).await {
            Err(StockError::Fenced) => self.load_and_call(&script.text, &script.sha, keys, args).await?,
            other => other?,
        };
        accepted(script.name, &reply)
    }

    async fn call_fenced(
        &self,
        script: &FencedScript,
        keys: &[&str],
        args: &[String],
    ) -> Result<Value, StockError> {
        match self.evalsha(&script.sha, keys, args).await {
            Err(StockError::Fenced) if mutant::on(Mutant::EvalFallback) => {
                self.load_and_call(&script.text, &script.sha, keys, args).await
            }
            other => other,
        }
    }

    /// Loads a script where its keys are and calls it there.
    async fn load_and_call(
        &self,
        text: &str,
        sha: &str,
        keys: &[&str],
        args: &[String],
    ) -> Result<Value, StockError> {
        let mut pipe = redis::pipe();
        pipe.cmd("SCRIPT").arg("LOAD").arg(text).ignore();
        pipe.cmd("EVALSHA").arg(sha).arg(keys.len()).arg(keys).arg(args);
        let (reply,): (Value,) = pipe.query_async(&mut self.connection()).await?;
        Ok(reply)
    }

    async fn evalsha(&self, sha: &str, keys: &[&str], args: &[String]) -> Result<Value, StockError> {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(sha).arg(keys.len()).arg(keys).arg(args);
        Ok(cmd.query_async(&mut self.connection()).await?)
    }
}

/// Cuts entries into runs of at most `PER_CALL` orders and entries; one larger entry is a run of its own.
fn chunks_by_orders(entries: &[Settled]) -> Vec<&[Settled]> {
    let mut chunks = Vec::new();
    let (mut start, mut orders) = (0, 0);
    for (at, entry) in entries.iter().enumerate() {
        if at > start && (orders + entry.orders.len() > PER_CALL || at - start == PER_CALL) {
            chunks.push(&entries[start..at]);
            (start, orders) = (at, 0);
        }
        orders += entry.orders.len();
    }
    if start < entries.len() {
        chunks.push(&entries[start..]);
    }
    chunks
}

fn triple(ended: &EndedOrder) -> [String; 3] {
    [ended.user.to_string(), ended.order.to_string(), char::from(ended.state.letter()).to_string()]
}

fn doc_json(def: &EventDef) -> String {
    serde_json::to_string(def).expect("an event has no map with non-string keys and so always encodes")
}

fn strings(script: &'static str, reply: &Value) -> Result<Vec<Vec<u8>>, StockError> {
    FromRedisValue::from_redis_value_ref(reply).map_err(|_| StockError::reply(script, reply))
}

/// The words after `OK`; `NO` is the refusal it names.
fn accepted(script: &'static str, reply: &Value) -> Result<Vec<Vec<u8>>, StockError> {
    let mut words = strings(script, reply)?;
    match words.first().map(Vec::as_slice) {
        Some(b"OK") => {
            words.remove(0);
            Ok(words)
        }
        Some(b"NO") if words.len() == 3 => {
            Err(Refused::parse(&words[1], &words[2]).ok_or_else(|| StockError::reply(script, reply))?.into())
        }
        _ => Err(StockError::reply(script, reply)),
    }
}

fn number(script: &'static str, words: &[Vec<u8>], at: usize) -> Result<u64, StockError> {
    words
        .get(at)
        .and_then(|word| std::str::from_utf8(word).ok()?.parse().ok())
        .ok_or_else(|| StockError::reply(script, &words))
}

/// Units of an entry's orders with the states of their rows, ready to settle.
pub fn settled(entry: &OutboxEntry, state_of: impl Fn(&QueuedOrder) -> ClaimState) -> Settled {
    let orders = entry.orders.iter().map(|order| (order.user, order.order, state_of(order))).collect();
    Settled { id: entry.id, units: entry.units(), orders }
}
