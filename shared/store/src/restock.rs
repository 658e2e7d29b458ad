//! Table `restock_outbox`: stock that is free in the database and not yet in Redis (K).

use spike_domain::{EventId, OrderId, OrderStatus, UserId};

use crate::{Fenced, Result, Store};

/// An open marker: one order to release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// The order.
    pub order: OrderId,
    /// Its event.
    pub event: EventId,
    /// Its buyer.
    pub user: UserId,
    /// Units to give back.
    pub quantity: u32,
    /// The event's epoch, read in the same statement: release with it.
    pub epoch: u64,
    /// Why it is released: cancelled or rejected.
    pub status: OrderStatus,
}

impl Store {
    /// Open markers, at most `limit_per_event` of each event, so that an event whose ledger is down starves no other.
    pub async fn open_markers(&self, limit_per_event: u32) -> Result<Vec<Marker>> {
        let _ = limit_per_event;
        Err(crate::unwritten())
    }

    /// Marks orders as released, if the event still is in the epoch the release ran in. Returns how many markers were open.
    /// Errors: `NotFound`.
    pub async fn markers_done(
        &self,
        event: EventId,
        epoch: u64,
        orders: &[OrderId],
    ) -> Result<Fenced<usize>> {
        let _ = (event, epoch, orders);
        Err(crate::unwritten())
    }
}
