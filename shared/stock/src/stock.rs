//! The port that gateway and worker use: the ledger in Redis, or the embedded one of this process.
//!
//! Plain calls over an enum: both sides are real, and no caller chooses by kind.

use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::MultiplexedConnection;
use spike_domain::mutant::{self, Mutant};
use spike_domain::{
    EntryId, EventDef, EventId, LedgerState, OrderId, OutboxEntry, QueuedOrder, SessionId, UserId, clock,
};

use crate::connection::Servers;
use crate::guarded::Guarded;
use crate::hint::Hint;
use crate::keys::{EventKeys, HINTS};
use crate::outbox::Page;
use crate::reserve::{Buyer, Decided};
use crate::{Claim, EmbeddedLedger, EndedOrder, Ledger, Meta, Opening, Settled, StockError, View};

/// The ledger of every event. Clones share it.
#[derive(Clone)]
pub struct Stock(Kind);

#[derive(Clone)]
enum Kind {
    /// Redis, on a connection that is made again when lost.
    Redis { ledger: Ledger<Guarded>, servers: Servers, timeouts: Timeouts },
    /// Redis, on one connection to the event's master that never reconnects: for a rebuild (V7). The list of events may be
    /// on another master of a cluster.
    OneConnection { ledger: Ledger<MultiplexedConnection>, list: Ledger<Guarded> },
    /// This process.
    Embedded(EmbeddedLedger),
}

/// How long Redis may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// To connect.
    pub connect: Duration,
    /// To answer.
    pub command: Duration,
}

impl Default for Timeouts {
    /// Two seconds each, for tools and tests; processes state their own.
    fn default() -> Self {
        Self { connect: Duration::from_secs(2), command: Duration::from_secs(2) }
    }
}

type Result<T> = std::result::Result<T, StockError>;

/// Calls the method of the same shape on whichever ledger it is.
macro_rules! on {
    ($self:ident, $ledger:ident => $redis:expr, $embedded:ident => $own:expr) => {
        match &$self.0 {
            Kind::Redis { ledger: $ledger, .. } => $redis,
            Kind::OneConnection { ledger: $ledger, .. } => $redis,
            Kind::Embedded($embedded) => $own,
        }
    };
}

mod fence;

impl Stock {
    /// The ledger in Redis at `url`. Connects when first used, so that a process can start while Redis is away; a command
    /// fails rather than waits for it.
    ///
    /// # Errors
    /// The URL is none, or not called on a tokio runtime.
    pub fn redis(url: &str, timeouts: Timeouts) -> Result<Self> {
        let servers = Servers::one(url)?;
        let ledger = Ledger::new(Guarded::new(servers.connection(timeouts)?, false));
        Ok(Self(Kind::Redis { ledger, servers, timeouts }))
    }

    /// The ledgers in the Redis Cluster that the nodes at `urls` belong to, each on the master of its event's slot.
    ///
    /// # Errors
    /// As [`Servers::cluster`], or not called on a tokio runtime.
    pub fn cluster(urls: &[String], timeouts: Timeouts) -> Result<Self> {
        let servers = Servers::cluster(urls)?;
        let ledger = Ledger::sharded(Guarded::new(servers.connection(timeouts)?, true));
        Ok(Self(Kind::Redis { ledger, servers, timeouts }))
    }

    /// Whether events are on several masters, which fail one by one.
    pub fn sharded(&self) -> bool {
        matches!(&self.0, Kind::Redis { servers, .. } if servers.sharded())
    }

    /// The embedded ledger of `folder`.
    ///
    /// # Errors
    /// The folder cannot be used, or another process has it open.
    pub fn embedded(folder: &Path) -> std::io::Result<Self> {
        EmbeddedLedger::open(folder).map(|ledger| Self(Kind::Embedded(ledger)))
    }

    /// Whether calls fail at once because Redis does not answer.
    pub fn breaker_open(&self) -> bool {
        self.guarded().is_some_and(|guarded| guarded.breaker_open())
    }

    pub(crate) fn guarded(&self) -> Option<Guarded> {
        match &self.0 {
            Kind::Redis { ledger, .. } => Some(ledger.connection()),
            Kind::OneConnection { .. } | Kind::Embedded(_) => None,
        }
    }

    /// Entries in the outbox of an event.
    pub async fn outbox_length(&self, event: EventId) -> Result<u64> {
        on!(self, ledger => ledger.outbox_length(event).await, embedded => embedded.outbox_length(event).await)
    }

    /// The embedded ledger itself, for hot cores that speak to it without a connection.
    pub fn as_embedded(&self) -> Option<&EmbeddedLedger> {
        match &self.0 {
            Kind::Embedded(ledger) => Some(ledger),
            _ => None,
        }
    }

    /// The Redis of the ledger, for connections of one's own; `None` where there is none.
    pub fn servers(&self) -> Option<&Servers> {
        match &self.0 {
            Kind::Redis { servers, .. } => Some(servers),
            Kind::OneConnection { .. } | Kind::Embedded(_) => None,
        }
    }

    /// The same ledger for the steps of one rebuild of `event`: should its server restart or be deposed in between, every
    /// later step fails.
    ///
    /// # Errors
    /// Redis cannot be reached.
    pub async fn for_rebuild(&self, event: EventId) -> Result<Self> {
        match &self.0 {
            Kind::Redis { .. } if mutant::on(Mutant::OneConnection) => Ok(self.clone()),
            Kind::Redis { ledger, servers, timeouts } => {
                let (slot, guarded) = (EventKeys::new(event).slot(), ledger.connection());
                let connection = servers.master_of(slot, guarded.connection(), *timeouts).await?;
                Ok(Self(Kind::OneConnection { ledger: Ledger::new(connection), list: ledger.clone() }))
            }
            Kind::OneConnection { .. } => Ok(self.clone()),
            // A restart of the embedded ledger forgets begun rebuilds, and the next step says not_ready.
            Kind::Embedded(ledger) => Ok(Self(Kind::Embedded(ledger.clone()))),
        }
    }

    /// Takes the advisory lock `name` for `ttl`, so that workers do not do the same rebuild at once; false: somebody
    /// has it. In one process there is nobody else.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn try_lock(&self, name: &str, token: &str, ttl: Duration) -> Result<bool> {
        on!(self, ledger => ledger.try_lock(name, token, ttl).await, _embedded => Ok(true))
    }

    /// Renews (`Some`) or gives back (`None`) a lock that is still `token`'s.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn keep_lock(&self, name: &str, token: &str, ttl: Option<Duration>) -> Result<bool> {
        on!(self, ledger => ledger.keep_lock(name, token, ttl).await, _embedded => Ok(true))
    }

    /// Decides a batch of buyers.
    pub async fn reserve(
        &self,
        event: EventId,
        epoch: u64,
        now_ms: u64,
        buyers: &[Buyer],
    ) -> Result<Decided> {
        on!(self, ledger => ledger.reserve(event, epoch, now_ms, buyers).await,
            embedded => embedded.reserve(event, epoch, now_ms, buyers).await)
    }

    /// Drops entries whose orders all have rows; returns the units that left flight by this call.
    pub async fn settle(&self, event: EventId, epoch: u64, entries: &[Settled]) -> Result<u64> {
        on!(self, ledger => ledger.settle(event, epoch, entries).await,
            embedded => embedded.settle(event, epoch, entries).await)
    }

    /// Gives the units of ended orders back; returns the units released by this call.
    pub async fn release(&self, event: EventId, epoch: u64, orders: &[EndedOrder]) -> Result<u64> {
        on!(self, ledger => ledger.release(event, epoch, orders).await,
            embedded => embedded.release(event, epoch, orders).await)
    }

    /// Decides orders accepted in another epoch: true = counted, false = rejected, in their order.
    pub async fn adopt(
        &self,
        event: EventId,
        epoch: u64,
        now_ms: u64,
        orders: &[QueuedOrder],
    ) -> Result<Vec<bool>> {
        on!(self, ledger => ledger.adopt(event, epoch, now_ms, orders).await,
            embedded => embedded.adopt(event, epoch, now_ms, orders).await)
    }

    /// First step of a rebuild.
    pub async fn begin(&self, event: EventId, epoch: u64) -> Result<()> {
        on!(self, ledger => ledger.begin(event, epoch).await, embedded => embedded.begin(event, epoch).await)
    }

    /// Middle steps of a rebuild: replaces claims and keys. `claims` are (user, value), `fields` (key field, value).
    pub async fn load(
        &self,
        event: EventId,
        epoch: u64,
        claims: &[(UserId, String)],
        fields: &[(String, String)],
    ) -> Result<()> {
        on!(self, ledger => ledger.load(event, epoch, claims, fields).await,
            embedded => embedded.load(event, epoch, claims, fields).await)
    }

    /// Last step of a rebuild; returns the new version.
    pub async fn open(&self, event: EventId, epoch: u64, opening: &Opening<'_>) -> Result<u64> {
        // Of another slot than the event's keys, so not part of the script; an event on the list without a ledger is harmless.
        self.list(event).await?;
        on!(self, ledger => ledger.open(event, epoch, opening).await,
            embedded => embedded.open_book(event, epoch, opening).await)
    }

    /// Puts the event on the list of those that have a ledger: see [`Stock::events`].
    pub async fn list(&self, event: EventId) -> Result<()> {
        match &self.0 {
            Kind::Redis { ledger, .. } | Kind::OneConnection { list: ledger, .. } => ledger.list(event).await,
            Kind::Embedded(_) => Ok(()),
        }
    }

    /// Pauses, resumes or closes a standing ledger, and renews its document if one is given.
    pub async fn transition(
        &self,
        event: EventId,
        epoch: u64,
        state: LedgerState,
        def: Option<&EventDef>,
    ) -> Result<u64> {
        on!(self, ledger => ledger.transition(event, epoch, state, def).await,
            embedded => embedded.transition(event, epoch, state, def).await)
    }

    /// Puts the closed, empty ledger of an archived event away; what is gone already is put away.
    pub async fn archive(&self, event: EventId, epoch: u64, lifetime: Duration) -> Result<()> {
        on!(self, ledger => ledger.archive(event, epoch, lifetime).await,
            embedded => embedded.archive(event, epoch).await)
    }

    /// Shows new states beside their claims. Refused while there is no ledger or a rebuild is under way: try again.
    pub async fn mark(&self, event: EventId, orders: &[EndedOrder]) -> Result<()> {
        on!(self, ledger => ledger.mark(event, orders).await, embedded => embedded.mark(event, orders).await)
    }

    /// The event's figures; `None` without a ledger.
    pub async fn meta(&self, event: EventId) -> Result<Option<Meta>> {
        on!(self, ledger => ledger.meta(event).await, embedded => embedded.meta(event).await)
    }

    /// The epoch the ledger holds, 0 without one, also when nothing else of it can be read.
    pub async fn held_epoch(&self, event: EventId) -> Result<u64> {
        on!(self, ledger => ledger.held_epoch(event).await,
            embedded => embedded.held_epoch(event).await)
    }

    /// What followers need of each event, in one round trip; one that cannot be read has an error of its own.
    pub async fn views(&self, events: &[EventId]) -> Result<Vec<Result<Option<View>>>> {
        on!(self, ledger => ledger.views(events).await, embedded => embedded.views(events).await)
    }

    /// Events that have, or had, a ledger.
    pub async fn events(&self) -> Result<Vec<EventId>> {
        on!(self, ledger => ledger.events().await, embedded => embedded.events().await)
    }

    /// The user's claim, and its last order that ended without one.
    pub async fn lookup(&self, event: EventId, user: UserId) -> Result<(Option<Claim>, Option<Claim>)> {
        on!(self, ledger => ledger.lookup(event, user).await, embedded => embedded.lookup(event, user).await)
    }

    /// Every order that a claim or a key knows, once.
    pub async fn known_orders(&self, event: EventId) -> Result<Vec<QueuedOrder>> {
        on!(self, ledger => ledger.known_orders(event).await, embedded => embedded.known_orders(event).await)
    }

    /// Every order that is somebody's claim now.
    pub async fn claimed_orders(&self, event: EventId) -> Result<Vec<OrderId>> {
        on!(self, ledger => ledger.claimed_orders(event).await,
            embedded => embedded.claimed_orders(event).await)
    }

    /// Up to `count` entries of the outbox after `after`, whoever holds them.
    pub async fn entries(&self, event: EventId, after: Option<EntryId>, count: usize) -> Result<Page> {
        on!(self, ledger => ledger.entries(event, after, count).await,
            embedded => embedded.entries(event, after, count).await)
    }

    /// Up to `count` entries never delivered to the relay's group, now delivered to `consumer`. Does not block.
    pub async fn read_new(&self, event: EventId, consumer: &str, count: usize) -> Result<Vec<OutboxEntry>> {
        on!(self, ledger => ledger.read_new(event, consumer, count).await,
            embedded => embedded.read_new(event, consumer, count).await)
    }

    /// Up to `count` entries after `after` that `consumer` has not acknowledged.
    pub async fn read_pending(
        &self,
        event: EventId,
        consumer: &str,
        after: &str,
        count: usize,
    ) -> Result<Vec<OutboxEntry>> {
        on!(self, ledger => ledger.read_pending(event, consumer, after, count).await,
            embedded => embedded.read_pending(event, consumer, after, count).await)
    }

    /// Takes over entries that another consumer has held for `idle_ms` without acknowledging.
    pub async fn claim_idle(
        &self,
        event: EventId,
        consumer: &str,
        idle_ms: u64,
        cursor: &str,
        count: usize,
    ) -> Result<Page> {
        on!(self, ledger => ledger.claim_idle(event, consumer, idle_ms, cursor, count).await,
            embedded => embedded.claim_idle(event, consumer, idle_ms, count).await)
    }

    /// Acknowledges entries to the group: the broker has them.
    pub async fn ack(&self, event: EventId, entries: &[EntryId]) -> Result<u64> {
        on!(self, ledger => ledger.ack(event, entries).await, embedded => embedded.ack(event, entries).await)
    }

    /// Creates the relay's group where a wiped Redis has lost it. True if it was missing.
    pub async fn ensure_group(&self, event: EventId) -> Result<bool> {
        on!(self, ledger => ledger.ensure_group(event).await, _embedded => Ok(false))
    }

    /// Tells every gateway and worker to look at `event` again. A hint only: polls find it anyway.
    pub async fn hint(&self, event: EventId) -> Result<()> {
        on!(self, ledger => ledger.hint(event).await, embedded => embedded.hint().await)
    }

    /// Tells every gateway to look at the rate limits again. A hint only: polls find them anyway.
    pub async fn hint_limits(&self) -> Result<()> {
        on!(self, ledger => ledger.hint_limits().await, embedded => embedded.hint().await)
    }

    /// Tells every gateway that tokens of `sessions` with a smaller `ver` than `min_ver` are dead. A hint only: polls find
    /// it anyway. The embedded ledger has nobody to tell: its one gateway is the caller.
    pub async fn hint_revoked(&self, sessions: &[SessionId], min_ver: u32) -> Result<()> {
        on!(self, ledger => ledger.hint_revoked(sessions, min_ver).await, _embedded => Ok(()))
    }

    /// Calls `on_hint` at every hint, for as long as it is polled; a hint may be missed.
    pub async fn follow_hints(&self, on_hint: impl Fn(Hint) + Send) {
        match &self.0 {
            Kind::Embedded(ledger) => {
                let mut hints = ledger.hints();
                // Lagged is a hint too; closed means that the ledger's thread has ended.
                while !matches!(hints.recv().await, Err(tokio::sync::broadcast::error::RecvError::Closed)) {
                    on_hint(Hint::Look);
                }
                std::future::pending::<()>().await;
            }
            Kind::Redis { servers, .. } => follow_redis(servers, on_hint).await,
            Kind::OneConnection { .. } => std::future::pending().await,
        }
    }

    /// Waits until the ledger can take nothing until this process is restarted; never for Redis, which comes back.
    pub async fn failed(&self) {
        match &self.0 {
            Kind::Embedded(ledger) => ledger.failed().await,
            Kind::Redis { .. } | Kind::OneConnection { .. } => std::future::pending().await,
        }
    }

    /// One round trip.
    pub async fn ping(&self) -> Result<()> {
        on!(self, ledger => ledger.ping().await, embedded => embedded.events().await.map(drop))
    }

    /// The ledger's clock, Unix milliseconds: Redis TIME, or this machine's.
    pub async fn time_ms(&self) -> Result<u64> {
        on!(self, ledger => ledger.time_ms().await, _embedded => Ok(clock::now_ms()))
    }
}

/// Passes hints on, subscribing again after every break.
async fn follow_redis(servers: &Servers, on_hint: impl Fn(Hint) + Send) {
    loop {
        if let Ok(mut subscription) = servers.subscribe(HINTS).await {
            let mut messages = subscription.on_message();
            while let Some(message) = messages.next().await {
                on_hint(Hint::parse(message.get_payload_bytes()));
            }
        }
        tokio::time::sleep(Duration::from_millis(500 + fastrand::u64(0..500))).await;
    }
}
