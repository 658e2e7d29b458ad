//! Pay or cancel (I5): one conditional update each under the event's lock; who changes the row wins.

use std::collections::BTreeMap;

use spike_domain::mutant::{self, Mutant};
use spike_domain::{EventId, OrderId, OrderStatus, UserId};

use sqlx::AssertSqlSafe;

use crate::backend::{Conn, Row};
use crate::order_rows::{count_paid, give_back, insert_markers};
use crate::query::query;
use crate::sql::{CHUNK, at, number_list, order_at, order_list, rows_of_text, run_text, status_at, u32_at};
use crate::transaction::{LockedEvent, read, under_lock};
use crate::{Result, Store, StoreError};

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

const PENDING: i8 = 1;
const PAID: i8 = 2;
const CANCELLED: i8 = 3;

impl Store {
    /// Cancels orders whose deadline has passed by the database's clock, oldest first, at most `limit` a
    /// call; their units go back to the event and a restock marker is left, in the same transaction. Returns
    /// the ones this call cancelled. Each event is a transaction of its own; one that fails is passed over, so
    /// that it starves no other, and an error is returned only when none of them succeeded.
    pub async fn expire_due(&self, limit: u32) -> Result<Vec<ChangedOrder>> {
        let mut expired = Vec::new();
        let mut failure = None;
        let mut failed = Vec::new();
        // A round after the first one asks for what the failing events stood in front of.
        loop {
            let (failed_before, room) = (failed.len(), limit.saturating_sub(count(&expired)));
            for (event, orders) in self.due(room, &failed).await? {
                match self.expire_of(event, &orders).await {
                    Ok(changed) => expired.extend(changed),
                    Err(error) => {
                        tracing::warn!(%event, %error, "orders past their deadline not cancelled yet");
                        failure = Some(error);
                        failed.push(event);
                    }
                }
            }
            if failed.len() == failed_before || count(&expired) >= limit {
                break;
            }
        }
        match failure {
            Some(error) if expired.is_empty() => Err(error),
            _ => Ok(expired),
        }
    }

    /// The same for one event, at most `limit` orders a call. Errors: `NotFound`.
    pub async fn expire_due_in(&self, event: EventId, limit: u32) -> Result<Vec<ChangedOrder>> {
        let now = self.dialect().now_ms();
        let text = format!(
            "SELECT order_id FROM spike_orders WHERE event_id = {event} AND status = {PENDING} \
             AND expires_at_ms <= {now} ORDER BY expires_at_ms LIMIT {limit}"
        );
        let due = read!(self, |conn| {
            rows_of_text(conn, text)
                .await?
                .iter()
                .map(|row| order_at(row, "order_id"))
                .collect::<Result<Vec<_>>>()
        })?;
        if due.is_empty() { Ok(Vec::new()) } else { self.expire_of(event, &due).await }
    }

    /// Cancels a pending order of `user`, with its restock marker. Errors: `NotFound`, also for another
    /// user's order.
    pub async fn cancel_order(&self, order: OrderId, user: UserId) -> Result<Change> {
        let found = self.whose(order).await?.filter(|found| found.user == user);
        let found = found.ok_or(StoreError::NotFound)?;
        under_lock!(self, found.event, |tx, locked| {
            if update_status(tx, order, CANCELLED, "").await? {
                free(tx, locked, &[found]).await?;
                return Ok(Change::Done(found));
            }
            Ok(Change::Refused(status_of(tx, order).await?))
        })
    }

    /// Marks a pending order as paid, within its deadline by the database's clock. Errors: `NotFound`.
    pub async fn pay_order(&self, order: OrderId) -> Result<Change> {
        let found = self.whose(order).await?.ok_or(StoreError::NotFound)?;
        under_lock!(self, found.event, |tx, _locked| {
            if pay(tx, order).await? {
                return Ok(Change::Done(found));
            }
            Ok(Change::Refused(status_of(tx, order).await?))
        })
    }

    /// Orders past their deadline, by event, but for the events of `except`: candidates only, nothing is locked
    /// yet.
    async fn due(&self, limit: u32, except: &[EventId]) -> Result<BTreeMap<EventId, Vec<OrderId>>> {
        // No event has the id 0; an empty list is no SQL.
        let except = number_list(except.iter().map(|event| event.0).chain([0]));
        let now = self.dialect().now_ms();
        let text = format!(
            "SELECT order_id, event_id FROM spike_orders WHERE status = {PENDING} AND expires_at_ms <= {now} \
             AND event_id NOT IN ({except}) ORDER BY expires_at_ms LIMIT {limit}"
        );
        read!(self, |conn| {
            let mut due: BTreeMap<EventId, Vec<OrderId>> = BTreeMap::new();
            for row in rows_of_text(conn, text).await? {
                due.entry(EventId(at(&row, "event_id")?)).or_default().push(order_at(&row, "order_id")?);
            }
            Ok(due)
        })
    }

    /// Cancels those of one event's candidates that still are pending, now that nobody else can change them.
    async fn expire_of(&self, event: EventId, orders: &[OrderId]) -> Result<Vec<ChangedOrder>> {
        under_lock!(self, event, |tx, locked| {
            let mut expired = Vec::with_capacity(orders.len());
            for chunk in orders.chunks(CHUNK) {
                let due = format!(
                    "order_id IN ({}) AND event_id = {event} AND status = {PENDING} AND expires_at_ms <= {}",
                    order_list(chunk),
                    locked.now_ms
                );
                let text =
                    format!("SELECT order_id, event_id, user_id, quantity FROM spike_orders WHERE {due}");
                let rows = rows_of_text(tx, text).await?;
                let found = rows.iter().map(ChangedOrder::read).collect::<Result<Vec<_>>>()?;
                let now = tx.dialect().now_ms();
                let text = format!(
                    "UPDATE spike_orders SET status = {CANCELLED}, updated_at_ms = {now} WHERE {due}"
                );
                let changed = run_text(tx, text).await?;
                if changed != found.len() as u64 {
                    let what =
                        format!("event {event}: {changed} of {} orders changed under the lock", found.len());
                    return Err(StoreError::Corrupt(what));
                }
                expired.extend(found);
            }
            free(tx, locked, &expired).await?;
            Ok(expired)
        })
    }

    /// What never changes of an order, and so needs no lock.
    async fn whose(&self, order: OrderId) -> Result<Option<ChangedOrder>> {
        let text = "SELECT order_id, event_id, user_id, quantity FROM spike_orders WHERE order_id = ?";
        read!(self, |conn| {
            let row = query(text).bind(&order.bytes()[..]).fetch_optional(conn).await?;
            row.as_ref().map(ChangedOrder::read).transpose()
        })
    }
}

impl ChangedOrder {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            order: order_at(row, "order_id")?,
            event: EventId(at(row, "event_id")?),
            user: UserId(at(row, "user_id")?),
            quantity: u32_at(row, "quantity")?,
        })
    }
}

/// Marks a pending order as paid, within its deadline by the database's clock, under its event's lock; whether it did.
pub(crate) async fn pay(tx: &mut Conn, order: OrderId) -> Result<bool> {
    if mutant::on(Mutant::ReadThenWritePay) {
        let text = "UPDATE spike_orders SET status = 2 WHERE order_id = ?";
        return Ok(query(text).bind(&order.bytes()[..]).execute(tx).await?.rows == 1);
    }
    let in_time = format!("AND expires_at_ms > {}", tx.dialect().now_ms());
    update_status(tx, order, PAID, &in_time).await
}

fn count(orders: &[ChangedOrder]) -> u32 {
    u32::try_from(orders.len()).unwrap_or(u32::MAX)
}

/// Gives the units of cancelled orders back to the event, and leaves markers for Redis.
async fn free(tx: &mut Conn, locked: &LockedEvent, orders: &[ChangedOrder]) -> Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    give_back(tx, locked, orders.iter().map(|order| u64::from(order.quantity)).sum()).await?;
    let markers: Vec<_> = orders.iter().map(|order| (order.order, order.user, order.quantity)).collect();
    insert_markers(tx, locked, &markers).await
}

/// The one conditional update: whether this call took the order out of PENDING.
async fn update_status(tx: &mut Conn, order: OrderId, to: i8, condition: &str) -> Result<bool> {
    let now = tx.dialect().now_ms();
    let text = AssertSqlSafe(format!(
        "UPDATE spike_orders SET status = {to}, updated_at_ms = {now} \
         WHERE order_id = ? AND status = {PENDING} {condition}"
    ));
    let done = query(text).bind(&order.bytes()[..]).execute(tx).await?;
    if done.rows == 1 && to == PAID {
        count_paid(tx, order).await?;
    }
    Ok(done.rows == 1)
}

async fn status_of(tx: &mut Conn, order: OrderId) -> Result<OrderStatus> {
    let query = query("SELECT status FROM spike_orders WHERE order_id = ?").bind(&order.bytes()[..]);
    status_at(&query.fetch_one(tx).await?, "status")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_in_the_statements_are_the_domains() {
        let codes = [OrderStatus::Pending, OrderStatus::Paid, OrderStatus::Cancelled].map(OrderStatus::code);
        assert_eq!(codes, [PENDING, PAID, CANCELLED]);
    }
}
