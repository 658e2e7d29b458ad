//! Reading table `spike_orders` for the people it belongs to.

use spike_domain::{EventId, Money, OrderId, OrderStatus, UserId};

use crate::{Result, Store};

/// A spike order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpikeOrderRow {
    /// The order.
    pub order: OrderId,
    /// Its event.
    pub event: EventId,
    /// Its buyer.
    pub user: UserId,
    /// Units.
    pub quantity: u32,
    /// Price of one unit.
    pub price: Money,
    /// Price of all units.
    pub amount: Money,
    /// Where it is in its life.
    pub status: OrderStatus,
    /// The event's epoch in which the row was written.
    pub epoch: u64,
    /// When the gateway accepted it, Unix milliseconds by the gateway's clock.
    pub accepted_at_ms: u64,
    /// When its row was written, Unix milliseconds by the database's clock.
    pub created_at_ms: u64,
    /// From when on it may not be paid any more, Unix milliseconds by the database's clock.
    pub expires_at_ms: u64,
    /// Last change, Unix milliseconds by the database's clock.
    pub updated_at_ms: u64,
}

impl Store {
    /// An order of this user; another user's order is as absent as an unknown one.
    pub async fn order_for_user(&self, order: OrderId, user: UserId) -> Result<Option<SpikeOrderRow>> {
        let _ = (order, user);
        Err(crate::unwritten())
    }

    /// A user's orders, newest first, at most `limit`, those before the cursor `before` (the last id of the page before).
    pub async fn orders_of_user(
        &self,
        user: UserId,
        before: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<SpikeOrderRow>> {
        let _ = (user, before, limit);
        Err(crate::unwritten())
    }
}
