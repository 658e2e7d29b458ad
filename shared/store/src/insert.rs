//! The worker's first transaction: entries of the outbox become rows.

use spike_domain::{EntryId, EventId, OrderId, OrderStatus, OutboxEntry};

use crate::{Result, Store};

/// What became of the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsertOutcome {
    /// The event's epoch as this transaction saw it under the lock: settle with it.
    pub epoch: u64,
    /// The status each order's row has now, once an order. Orders of `foreign` entries are not among them.
    pub outcomes: Vec<(OrderId, OrderStatus)>,
    /// Entries of another epoch with orders that have no row: nothing was written for them, they need `adopt`.
    pub foreign: Vec<EntryId>,
}

impl Store {
    /// Writes the orders of `entries` under the event's lock. An order that has a row is left alone; one whose user holds
    /// another live order, or that does not fit into the total, gets a REJECTED row with a restock marker; entries
    /// of another epoch write nothing (V1). Errors: `NotFound` (no such event); a non-transient error may be one poison order.
    pub async fn insert_entries(&self, event: EventId, entries: &[OutboxEntry]) -> Result<InsertOutcome> {
        let _ = (event, entries);
        Err(crate::unwritten())
    }
}
