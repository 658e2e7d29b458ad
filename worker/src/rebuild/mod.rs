//! Rebuild and restart fence: a ledger is made anew from the database and the outbox, without stopping anything else.
//!
//! 1. The event's epoch rises in the database: from here on no insert of an older epoch succeeds (V1, V12).
//! 2. `begin` takes the ledger: nobody else writes to it until it opens.
//! 3. One transaction that demands the epoch closes restock markers, writes LOST rows for what only Redis knew, and reads
//!    every row (V3, V6).
//! 4. `open` makes the figures valid, if the ledger still is this rebuild's.
//! 5. The fenced scripts are loaded: only now can buys be taken.
//!
//! Everything towards Redis runs on one connection that never reconnects (V7), to the event's master: if it restarts or is
//! deposed in between, what was read is worth nothing, every later step fails, and the watch starts again at 1. Two rebuilds of one event may run at once:
//! the one of the lower epoch is refused at its next step.

mod known;
mod lock;
mod plan;

use spike_domain::{EventId, EventState, clock};
use spike_stock::{Opening, Stock, StockError};
use spike_store::{Fenced, Store, StoreError};
use spike_telemetry::Arrow;

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
    /// The ledger; each rebuild has a connection of its own.
    pub stock: Stock,
    /// Units that may be accepted and not settled.
    pub inflight_max: u64,
}

impl Rebuilder {
    /// Makes the ledger of `event` anew and opens it in the state the operator wants.
    ///
    /// # Errors
    /// Any refusal or failure of a step; nothing needs to be undone.
    pub async fn rebuild(&self, event: EventId) -> Result<Rebuilt, RebuildError> {
        let ledger = self.stock.for_rebuild(event).await?;
        let held = ledger.held_epoch(event).await?;
        let epoch = self.store.bump_epoch(event, held + 1, clock::now_ms()).await?;
        Arrow::RebuildBumped.pass();
        ledger.begin(event, epoch).await?;
        Arrow::RebuildBegun.pass();

        let outbox = known::outbox(&ledger, event).await?;
        let claims = known::claims(&ledger, event).await?;
        let in_outbox = known::order_ids(&outbox);
        let snapshot = match self.store.rebuild_snapshot(event, epoch, &claims, &in_outbox).await? {
            Fenced::Done(snapshot) => snapshot,
            Fenced::EpochMoved { now } => return Err(RebuildError::Overtaken { now }),
        };
        Arrow::RebuildRead.pass();
        let state = snapshot.state.ledger().ok_or(RebuildError::NoLedger(snapshot.state))?;
        let plan = plan_ledger(&snapshot, &outbox)?;

        ledger.load(event, epoch, &plan.claims, &plan.keys).await?;
        Arrow::RebuildLoaded.pass();
        let opening = Opening {
            state,
            stock: plan.stock,
            inflight: plan.inflight,
            cap: self.inflight_max,
            def: &snapshot.def,
        };
        ledger.open(event, epoch, &opening).await?;
        Arrow::RebuildOpened.pass();
        ledger.load_fenced(event, epoch).await?;
        let LedgerPlan { stock, counted, inflight, .. } = plan;
        Ok(Rebuilt { epoch, stock, counted, inflight, claims: plan.claims.len() })
    }
}
