//! Which orders have rows: asked by the settle sweep (V10) and before a republish.

use spike_domain::{EventId, OrderId, OrderStatus, UserId};

use crate::order_rows::existing;
use crate::sql::{CHUNK, at, order_at, order_list, rows_of_text, status_at};
use crate::transaction::{read, under_lock};
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
        under_lock!(self, event, |tx, locked| {
            let there = existing(tx, orders).await?;
            let rows = orders.iter().filter(|order| !there.contains_key(order)).copied().collect();
            Ok(Seen { epoch: locked.row.epoch, rows })
        })
    }

    /// The same without the lock, for reports: it holds nobody up, and an order may get its row meanwhile.
    pub async fn rows_absent(&self, orders: &[OrderId]) -> Result<Vec<OrderId>> {
        read!(self, |conn| {
            let there = existing(conn, orders).await?;
            Ok(orders.iter().filter(|order| !there.contains_key(order)).copied().collect())
        })
    }

    /// User and status of those orders that have a row. Errors: `NotFound` (no such event).
    pub async fn row_statuses(
        &self,
        event: EventId,
        orders: &[OrderId],
    ) -> Result<Seen<(OrderId, UserId, OrderStatus)>> {
        under_lock!(self, event, |tx, locked| {
            let mut rows = Vec::with_capacity(orders.len());
            for chunk in orders.chunks(CHUNK) {
                let ids = order_list(chunk);
                let text =
                    format!("SELECT order_id, user_id, status FROM spike_orders WHERE order_id IN ({ids})");
                for row in rows_of_text(tx, text).await? {
                    rows.push((
                        order_at(&row, "order_id")?,
                        UserId(at(&row, "user_id")?),
                        status_at(&row, "status")?,
                    ));
                }
            }
            Ok(Seen { epoch: locked.row.epoch, rows })
        })
    }
}
