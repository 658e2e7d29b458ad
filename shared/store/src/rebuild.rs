//! Rebuild and restart fence: the two transactions around `begin`.

use std::collections::HashSet;

use spike_domain::{EventDef, EventId, EventState, OrderId, OrderStatus, UserId};

use crate::{Fenced, Result, Store};

/// An order known to Redis (a claim or a key), whatever else is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownClaim {
    /// The order.
    pub order: OrderId,
    /// Its buyer.
    pub user: UserId,
    /// Units; 1 where Redis does not say.
    pub quantity: u32,
    /// Hash of the client's idempotency key.
    pub key: Option<String>,
}

/// One row, as a ledger needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRow {
    /// The order.
    pub order: OrderId,
    /// Its buyer.
    pub user: UserId,
    /// Units.
    pub quantity: u32,
    /// Status of the row.
    pub status: OrderStatus,
    /// Hash of the client's idempotency key.
    pub key: Option<Box<str>>,
}

/// All the database knows of an event, at one moment of one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The event.
    pub def: EventDef,
    /// What the operator wants it to be.
    pub state: EventState,
    /// Every row of every status, about 100 bytes each with a key; in no useful order.
    pub rows: Vec<SnapshotRow>,
}

impl Store {
    /// Starts an epoch above every one ever used: the largest of the database's + 1, `at_least` (Redis' + 1) and `now_ms`
    /// (V12). From here on no insert of an older epoch succeeds. Errors: `NotFound`.
    pub async fn bump_epoch(&self, event: EventId, at_least: u64, now_ms: u64) -> Result<u64> {
        let _ = (event, at_least, now_ms);
        Err(crate::unwritten())
    }

    /// In one transaction that demands `epoch` (V6): closes the event's open restock markers (V3), writes LOST rows for known
    /// claims with neither row nor outbox entry, and reads every row. Errors: `NotFound`.
    pub async fn rebuild_snapshot(
        &self,
        event: EventId,
        epoch: u64,
        known_claims: &[KnownClaim],
        in_outbox: &HashSet<OrderId>,
    ) -> Result<Fenced<Snapshot>> {
        let _ = (event, epoch, known_claims, in_outbox);
        Err(crate::unwritten())
    }
}
