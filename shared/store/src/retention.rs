//! The end of orders that have been over for long: deleted in batches, with their payments and restock markers.
//!
//! What is not settled is never touched: an order that may still be paid, units on their way back to a ledger, a payment
//! without an outcome, money that is to be given back or that the provider has not taken back, an open dead letter. What an
//! event sold stays: its row with its counts, and the movements of its product's inventory.

use spike_domain::{AttemptStatus, EventId, OrderId, OrderStatus};
use sqlx::AssertSqlSafe;

use crate::backend::{Conn, Row};
use crate::dead_letters::LetterState;
use crate::query::query;
use crate::sql::{CHUNK, at, order_at, order_list, rows_of_text, run_text, signed};
use crate::transaction::{read, transact, under_lock};
use crate::{Result, Store, StoreError};

/// What one call has deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// Orders.
    pub orders: u64,
    /// Whether there may be more that can be deleted now.
    pub more: bool,
}

impl Store {
    /// Events above `after` that were archived `age_ms` ago by the database's clock and have orders left, by their ids; at
    /// most `limit`. Candidates only: [`Store::delete_orders_of`] decides.
    pub async fn events_to_delete_orders_of(
        &self,
        age_ms: u64,
        after: EventId,
        limit: u32,
    ) -> Result<Vec<EventId>> {
        let now = self.dialect().now_ms();
        let text = AssertSqlSafe(format!(
            "SELECT id FROM spike_events WHERE orders_deleted_at_ms IS NULL AND archived_at_ms <= {now} - ? \
             AND id > ? ORDER BY id LIMIT ?"
        ));
        read!(self, |conn| {
            let query = query(text).bind(signed(age_ms)).bind(after.0).bind(limit);
            query.fetch_all(conn).await?.iter().map(|row| Ok(EventId(at(row, "id")?))).collect()
        })
    }

    /// Deletes at most `limit` (500 at the most) settled orders of an event that was archived `age_ms` ago, under its lock.
    /// With the last of them the event is marked, and never looked at again. Errors: `NotFound`.
    pub async fn delete_orders_of(&self, event: EventId, age_ms: u64, limit: u32) -> Result<Deleted> {
        let limit = bounded(limit);
        under_lock!(self, event, |tx, locked| {
            let over_ms = signed(locked.now_ms.saturating_sub(age_ms));
            if !deletable(tx, event, over_ms).await? {
                return Ok(Deleted { orders: 0, more: false });
            }
            let text = format!(
                "SELECT o.order_id AS id FROM spike_orders o WHERE o.event_id = {event} AND o.status <> {pending} \
                 AND NOT EXISTS (SELECT 1 FROM payment_attempts a WHERE a.order_id = o.order_id AND {unsettled}) \
                 AND NOT EXISTS (SELECT 1 FROM restock_outbox r WHERE r.order_id = o.order_id \
                 AND r.done_at_ms IS NULL) LIMIT {limit}",
                pending = OrderStatus::Pending.code(),
                unsettled = unsettled("a"),
            );
            let orders = ids(&rows_of_text(tx, text).await?)?;
            delete_with_payments(tx, &orders, &["restock_outbox", "spike_orders"], "order_id").await?;
            let more = orders.len() == limit;
            if !more && !has_orders(tx, event).await? {
                let now = locked.now_ms;
                let done = format!("UPDATE spike_events SET orders_deleted_at_ms = {now} WHERE id = {event}");
                run_text(tx, done).await?;
            }
            Ok(Deleted { orders: orders.len() as u64, more })
        })
    }

    /// Deletes at most `limit` (500 at the most) ordinary orders that ended `age_ms` ago, with their items and payments.
    pub async fn delete_shop_orders(&self, age_ms: u64, limit: u32) -> Result<Deleted> {
        let limit = bounded(limit);
        let over_ms = signed(self.now_ms().await?.saturating_sub(age_ms));
        let mut deleted = Deleted { orders: 0, more: false };
        for ended in [OrderStatus::Paid, OrderStatus::Cancelled] {
            let text = format!(
                "SELECT o.id AS id FROM orders o WHERE o.status = {status} AND o.expires_at_ms <= {over_ms} \
                 AND o.updated_at_ms <= {over_ms} AND NOT EXISTS \
                 (SELECT 1 FROM payment_attempts a WHERE a.order_id = o.id AND {unsettled}) \
                 ORDER BY o.expires_at_ms LIMIT {limit} {for_update}",
                status = ended.code(),
                unsettled = unsettled("a"),
                for_update = self.dialect().for_update(),
            );
            let count = transact!(self, |tx| {
                let orders = ids(&rows_of_text(tx, text.clone()).await?)?;
                if !orders.is_empty() {
                    let items =
                        format!("DELETE FROM order_items WHERE order_id IN ({})", order_list(&orders));
                    run_text(tx, items).await?;
                    delete_with_payments(tx, &orders, &["orders"], "id").await?;
                }
                Ok(orders.len())
            })?;
            deleted.orders += count as u64;
            deleted.more |= count == limit;
        }
        Ok(deleted)
    }
}

/// A condition on a payment attempt: somebody still has to do something about it.
fn unsettled(attempt: &str) -> String {
    use AttemptStatus::{Open, RefundDue, RefundFailed};
    let [open, due, failed] = [Open, RefundDue, RefundFailed].map(AttemptStatus::code);
    format!("({attempt}.status IN ({open}, {due}, {failed}) OR {attempt}.untold IS NOT NULL)")
}

/// Whether the event's time has come, and no dead letter of it may still be replayed.
async fn deletable(tx: &mut Conn, event: EventId, over_ms: i64) -> Result<bool> {
    let open = LetterState::Open as i64;
    let text = format!(
        "SELECT CAST(COUNT(*) AS SIGNED) AS deletable FROM spike_events e WHERE e.id = {event} \
         AND e.orders_deleted_at_ms IS NULL AND e.archived_at_ms <= {over_ms} AND NOT EXISTS \
         (SELECT 1 FROM dead_letters l WHERE l.event_id = e.id AND l.state = {open})"
    );
    let rows = rows_of_text(tx, text).await?;
    Ok(at::<i64>(rows.first().ok_or(StoreError::NotFound)?, "deletable")? == 1)
}

async fn has_orders(tx: &mut Conn, event: EventId) -> Result<bool> {
    let text = format!("SELECT order_id FROM spike_orders WHERE event_id = {event} LIMIT 1");
    Ok(!rows_of_text(tx, text).await?.is_empty())
}

/// Deletes orders from these tables, and whatever tells of their payments.
async fn delete_with_payments(tx: &mut Conn, orders: &[OrderId], tables: &[&str], key: &str) -> Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    let list = order_list(orders);
    let of_orders = format!("SELECT attempt_id FROM payment_attempts WHERE order_id IN ({list})");
    run_text(tx, format!("DELETE FROM simulated_payments WHERE attempt_id IN ({of_orders})")).await?;
    run_text(tx, format!("DELETE FROM payment_attempts WHERE order_id IN ({list})")).await?;
    for table in tables {
        run_text(tx, format!("DELETE FROM {table} WHERE {key} IN ({list})")).await?;
    }
    Ok(())
}

fn ids(rows: &[Row]) -> Result<Vec<OrderId>> {
    rows.iter().map(|row| order_at(row, "id")).collect()
}

fn bounded(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(CHUNK).clamp(1, CHUNK)
}
