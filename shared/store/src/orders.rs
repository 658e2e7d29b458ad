//! Reading table `spike_orders` for the people it belongs to.

use spike_domain::{EventId, Money, OrderId, OrderStatus, UserId};

use sqlx::AssertSqlSafe;

use crate::backend::Row;
use crate::query::query;
use crate::sql::{at, money_at, order_at, status_at, u32_at, u64_at};
use crate::transaction::read;
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

const COLUMNS: &str = "order_id, event_id, user_id, quantity, price_minor, amount_minor, currency, status, epoch, \
     accepted_at_ms, created_at_ms, expires_at_ms, updated_at_ms";

impl Store {
    /// An order of this user; another user's order is as absent as an unknown one.
    pub async fn order_for_user(&self, order: OrderId, user: UserId) -> Result<Option<SpikeOrderRow>> {
        let text =
            AssertSqlSafe(format!("SELECT {COLUMNS} FROM spike_orders WHERE order_id = ? AND user_id = ?"));
        read!(self, |conn| {
            let row = query(text).bind(&order.bytes()[..]).bind(user.0).fetch_optional(conn).await?;
            row.as_ref().map(SpikeOrderRow::read).transpose()
        })
    }

    /// The user's live order in an event, else the newest that ended.
    pub async fn order_in_event(&self, event: EventId, user: UserId) -> Result<Option<SpikeOrderRow>> {
        let text = AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM spike_orders WHERE user_id = ? AND event_id = ? \
             ORDER BY live_user IS NULL, order_id DESC LIMIT 1"
        ));
        read!(self, |conn| {
            let row = query(text).bind(user.0).bind(event.0).fetch_optional(conn).await?;
            row.as_ref().map(SpikeOrderRow::read).transpose()
        })
    }

    /// A user's orders, newest first, at most `limit`, those before the cursor `before` (the last id of the
    /// page before).
    pub async fn orders_of_user(
        &self,
        user: UserId,
        before: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<SpikeOrderRow>> {
        // No UUID of version 7 reaches the highest sixteen bytes.
        let before = before.map_or([0xff; 16], |order| *order.bytes());
        let text = AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM spike_orders WHERE user_id = ? AND order_id < ? ORDER BY order_id DESC LIMIT ?"
        ));
        read!(self, |conn| {
            let query = query(text).bind(user.0).bind(&before[..]).bind(limit);
            query.fetch_all(conn).await?.iter().map(SpikeOrderRow::read).collect()
        })
    }
}

impl SpikeOrderRow {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            order: order_at(row, "order_id")?,
            event: EventId(at(row, "event_id")?),
            user: UserId(at(row, "user_id")?),
            quantity: u32_at(row, "quantity")?,
            price: money_at(row, "price_minor")?,
            amount: money_at(row, "amount_minor")?,
            status: status_at(row, "status")?,
            epoch: u64_at(row, "epoch")?,
            accepted_at_ms: u64_at(row, "accepted_at_ms")?,
            created_at_ms: u64_at(row, "created_at_ms")?,
            expires_at_ms: u64_at(row, "expires_at_ms")?,
            updated_at_ms: u64_at(row, "updated_at_ms")?,
        })
    }
}
