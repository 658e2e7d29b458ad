//! Rebuild and restart fence: a ledger is made anew from the database and the outbox, without stopping anything else.
//!
//! 1. The event's epoch rises in the database: from here on no insert of an older epoch succeeds (V1, V12).
//! 2. `begin` takes the ledger: nobody else writes to it until it opens.
//! 3. One transaction that demands the epoch closes restock markers, writes LOST rows for what only Redis knew, and reads
//!    every row (V3, V6).
//! 4. `open` makes the figures valid, if the ledger still is this rebuild's.
//! 5. The fenced scripts are loaded: only now can buys be taken.
//!
//! Everything towards Redis runs on one connection that never reconnects (V7): if Redis restarts in between, what was read
//! is worth nothing, every later step fails, and the watch starts again at 1. Two rebuilds of one event may run at once:
//! the one of the lower epoch is refused at its next step.

mod known;
mod lock;
mod plan;

use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use spike_config::RedisConfig;
use spike_domain::{EventId, EventState, clock};
use spike_stock::{EventKeys, Ledger, Opening, StockError};
use spike_store::{Fenced, Store, StoreError};

pub(crate) use lock::Lock;
pub use plan::{LedgerPlan, Overdrawn, plan_ledger};

/// Why a rebuild was given up. The ledger is closed or another rebuild's; the watch looks again.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Redis refused a step, or is away.
    #[error(transparent)]
    Stock(#[from] StockError),
    /// The database is away, or does not know the event.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another rebuild has begun.
    #[error("another rebuild has begun epoch {now}")]
    Overtaken {
        /// Its epoch.
        now: u64,
    },
    /// The operator has not opened the event yet.
    #[error("the event is {0:?} and has no ledger")]
    NoLedger(EventState),
    /// The database breaks I2.
    #[error(transparent)]
    Overdrawn(#[from] Overdrawn),
}

/// What a rebuild has opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebuilt {
    /// The ledger's new epoch.
    pub epoch: u64,
    /// R, units.
    pub stock: u64,
    /// F, units.
    pub counted: u64,
    /// Units of the outbox.
    pub inflight: u64,
    /// Orders with a claim.
    pub claims: usize,
}

/// What a rebuild works with.
#[derive(Clone)]
pub struct Rebuilder {
    /// The database.
    pub store: Store,
    /// Redis, for a connection of each rebuild's own.
    pub redis: redis::Client,
    /// Longest wait for that connection.
    pub connect_timeout: Duration,
    /// Longest wait for a reply on it.
    pub command_timeout: Duration,
    /// Units that may be accepted and not settled.
    pub inflight_max: u64,
}

impl Rebuilder {
    /// A rebuilder with the timeouts of section `[redis]` and the cap of section `[outbox]`.
    pub fn new(store: Store, redis: redis::Client, config: &RedisConfig, inflight_max: u64) -> Self {
        Self {
            store,
            redis,
            connect_timeout: Duration::from_millis(config.connect_timeout_ms),
            command_timeout: Duration::from_millis(config.command_timeout_ms),
            inflight_max,
        }
    }

    /// Makes the ledger of `event` anew and opens it in the state the operator wants.
    ///
    /// # Errors
    /// Any refusal or failure of a step; nothing needs to be undone.
    pub async fn rebuild(&self, event: EventId) -> Result<Rebuilt, RebuildError> {
        let ledger = Ledger::new(self.connect().await?);
        let held = held_epoch(&ledger, event).await?;
        let epoch = self.store.bump_epoch(event, held + 1, clock::now_ms()).await?;
        ledger.begin(event, epoch).await?;

        let outbox = known::outbox(&ledger, event).await?;
        let claims = known::claims(&ledger, event).await?;
        let in_outbox = known::order_ids(&outbox);
        let snapshot = match self.store.rebuild_snapshot(event, epoch, &claims, &in_outbox).await? {
            Fenced::Done(snapshot) => snapshot,
            Fenced::EpochMoved { now } => return Err(RebuildError::Overtaken { now }),
        };
        let state = snapshot.state.ledger().ok_or(RebuildError::NoLedger(snapshot.state))?;
        let plan = plan_ledger(&snapshot, &outbox)?;

        ledger.load(event, epoch, &plan.claims, &plan.keys).await?;
        let opening = Opening {
            state,
            stock: plan.stock,
            inflight: plan.inflight,
            cap: self.inflight_max,
            def: &snapshot.def,
        };
        ledger.open(event, epoch, &opening).await?;
        ledger.load_fenced(event).await?;
        let LedgerPlan { stock, counted, inflight, .. } = plan;
        Ok(Rebuilt { epoch, stock, counted, inflight, claims: plan.claims.len() })
    }

    async fn connect(&self) -> Result<MultiplexedConnection, StockError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.command_timeout));
        Ok(self.redis.get_multiplexed_async_connection_with_config(&config).await?)
    }
}

/// The epoch in Redis, 0 without one. The other fields may be in any state: they are made anew.
async fn held_epoch(ledger: &Ledger<MultiplexedConnection>, event: EventId) -> Result<u64, StockError> {
    let (mut connection, meta) = (ledger.connection(), EventKeys::new(event).meta);
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
