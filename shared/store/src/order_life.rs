//! Pay or cancel (I5): one conditional update each under the event's lock; who changes the row wins.

use spike_domain::{EventId, OrderId, OrderStatus, UserId};

use crate::{Result, Store};

/// An order that has just changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangedOrder {
    /// The order.
    pub order: OrderId,
    /// Its event.
    pub event: EventId,
    /// Its buyer.
    pub user: UserId,
    /// Its units.
    pub quantity: u32,
}

/// What became of a wish to change an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// This call changed it.
    Done(ChangedOrder),
    /// It was not to be had: the status it has now. PENDING here means that its deadline has passed (pay).
    Refused(OrderStatus),
}

impl Store {
    /// Cancels orders whose deadline has passed by the database's clock, oldest first, at most `limit` a call; their units
    /// go back to the event and a restock marker is left, in the same transaction. Returns the ones this call cancelled.
    pub async fn expire_due(&self, limit: u32) -> Result<Vec<ChangedOrder>> {
        let _ = limit;
        Err(crate::unwritten())
    }

    /// Cancels a pending order of `user`, with its restock marker. Errors: `NotFound`, also for another user's order.
    pub async fn cancel_order(&self, order: OrderId, user: UserId) -> Result<Change> {
        let _ = (order, user);
        Err(crate::unwritten())
    }

    /// Marks a pending order as paid, within its deadline by the database's clock. Errors: `NotFound`.
    pub async fn pay_order(&self, order: OrderId) -> Result<Change> {
        let _ = order;
        Err(crate::unwritten())
    }
}
