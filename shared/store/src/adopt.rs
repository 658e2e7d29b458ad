//! The worker's second transaction: orders that came too late for their epoch, after the ledger has judged them.

use spike_domain::{EventId, OrderId, OrderStatus, QueuedOrder};

use crate::{Fenced, Result, Store};

/// The ledger's verdict on an order of another epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adopted {
    /// It holds stock and its user's claim in this epoch.
    Counted,
    /// It holds nothing.
    Rejected,
}

impl Store {
    /// Writes judged orders, if the event still is in the epoch of the verdict: counted ones as PENDING (or REJECTED with a
    /// marker, as in [`Store::insert_entries`]), rejected ones as REJECTED without a marker. Existing rows stay as they are.
    /// Returns the status each order's row has now. Errors: `NotFound`.
    pub async fn insert_adopted(
        &self,
        event: EventId,
        expected_epoch: u64,
        orders: &[(QueuedOrder, Adopted)],
    ) -> Result<Fenced<Vec<(OrderId, OrderStatus)>>> {
        let _ = (event, expected_epoch, orders);
        Err(crate::unwritten())
    }
}
