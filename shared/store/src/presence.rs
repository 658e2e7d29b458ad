//! Which orders have rows: asked by the settle sweep (V10) and before a republish.

use spike_domain::{EventId, OrderId, OrderStatus, UserId};

use crate::{Result, Store};

/// An answer about orders, with the epoch that was the event's when it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen<T> {
    /// The event's epoch, read under the same lock: settle with it.
    pub epoch: u64,
    /// The answer.
    pub rows: Vec<T>,
}

impl Store {
    /// The orders among `orders` that have no row of any status. Errors: `NotFound` (no such event).
    pub async fn rows_missing(&self, event: EventId, orders: &[OrderId]) -> Result<Seen<OrderId>> {
        let _ = (event, orders);
        Err(crate::unwritten())
    }

    /// User and status of those orders that have a row. Errors: `NotFound` (no such event).
    pub async fn row_statuses(
        &self,
        event: EventId,
        orders: &[OrderId],
    ) -> Result<Seen<(OrderId, UserId, OrderStatus)>> {
        let _ = (event, orders);
        Err(crate::unwritten())
    }
}
