//! The worker's first transaction: entries of the outbox become rows.

use std::collections::HashSet;

use spike_domain::mutant::{self, Mutant};
use spike_domain::{EntryId, EventId, OrderId, OrderStatus, OutboxEntry, QueuedOrder};

use crate::backend::Conn;
use crate::error::duplicate;
use crate::order_rows::{NewRow, existing, expires_at_ms, insert_markers, insert_rows, live_users};
use crate::plan::{Standing, Verdict, plain, plan};
use crate::sql::run_text;
use crate::transaction::{BACK_TO_LOCK, LockedEvent, under_lock};
use crate::{Result, Store};

/// What became of the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsertOutcome {
    /// The event's epoch as this transaction saw it under the lock: settle with it.
    pub epoch: u64,
    /// When this transaction began, Unix milliseconds by the database's clock.
    pub now_ms: u64,
    /// Until when rows written in it may be paid, by the same clock.
    pub expires_at_ms: u64,
    /// The status each order's row has now, once an order. Orders of `foreign` entries are not among them.
    pub outcomes: Vec<(OrderId, OrderStatus)>,
    /// Entries of another epoch with orders that have no row: nothing was written for them, they need
    /// `adopt`.
    pub foreign: Vec<EntryId>,
}

impl Store {
    /// Writes the orders of `entries` under the event's lock. An order that has a row is left alone; one
    /// whose user holds another live order, or that does not fit into the total, gets a REJECTED row with a
    /// restock marker; entries of another epoch write nothing (V1). Errors: `NotFound` (no such event); a
    /// non-transient error may be one poison order.
    pub async fn insert_entries(&self, event: EventId, entries: &[OutboxEntry]) -> Result<InsertOutcome> {
        under_lock!(self, event, |tx, locked| {
            let epoch = locked.row.epoch;
            let (own, others): (Vec<_>, Vec<_>) =
                entries.iter().partition(|entry| entry.id.epoch == epoch || mutant::on(Mutant::InsertEpoch));
            let mut seen = HashSet::new();
            let orders = own.iter().flat_map(|entry| &entry.orders).filter(|order| seen.insert(order.order));
            let mut outcomes = write_orders(tx, locked, &orders.collect::<Vec<_>>()).await?;
            // After our own: an adopted order travels in an entry of each epoch, and may have got its row
            // just now.
            let foreign = judge_others(tx, &others, &mut seen, &mut outcomes).await?;
            let (now_ms, expires_at_ms) = (locked.now_ms, expires_at_ms(locked));
            Ok(InsertOutcome { epoch, now_ms, expires_at_ms, outcomes, foreign })
        })
    }
}

/// Writes orders of this epoch, each of them once, and tells the status of every row. The plain INSERT is
/// tried first; a duplicate key, which is a replay or a live-claim conflict, takes it back and the careful
/// way begins.
pub(crate) async fn write_orders(
    tx: &mut Conn,
    locked: &LockedEvent,
    orders: &[&QueuedOrder],
) -> Result<Vec<(OrderId, OrderStatus)>> {
    if plain(orders, locked.row.reserved, locked.row.capacity()) {
        let rows: Vec<NewRow<'_>> = orders.iter().map(|order| (*order, OrderStatus::Pending)).collect();
        match insert_rows(tx, locked, &rows).await {
            Ok(()) => return Ok(orders.iter().map(|order| (order.order, OrderStatus::Pending)).collect()),
            Err(error) if duplicate(&error) => run_text(tx, BACK_TO_LOCK.to_owned()).await?,
            Err(error) => return Err(error.into()),
        };
    }
    write_carefully(tx, locked, orders).await
}

async fn write_carefully(
    tx: &mut Conn,
    locked: &LockedEvent,
    orders: &[&QueuedOrder],
) -> Result<Vec<(OrderId, OrderStatus)>> {
    let ids: Vec<OrderId> = orders.iter().map(|order| order.order).collect();
    let users: Vec<_> = orders.iter().map(|order| order.user).collect();
    let standing = Standing {
        existing: existing(tx, &ids).await?,
        live_users: live_users(tx, locked, &users).await?,
        reserved: locked.row.reserved,
        total: locked.row.capacity(),
    };
    let verdicts = plan(orders, &standing);
    let decided = || orders.iter().zip(&verdicts);
    let rows: Vec<NewRow<'_>> = decided()
        .filter(|(_, verdict)| !matches!(verdict, Verdict::Replay(_)))
        .map(|(order, verdict)| (*order, verdict.status()))
        .collect();
    insert_rows(tx, locked, &rows).await?;
    let rejected: Vec<_> = decided()
        .filter(|(_, verdict)| **verdict == Verdict::Rejected)
        .map(|(order, _)| (order.order, order.user, order.quantity))
        .collect();
    insert_markers(tx, locked, &rejected).await?;
    if !rejected.is_empty() {
        tracing::warn!(event = %locked.id(), orders = rejected.len(), "accepted orders rejected: live claim or total");
    }
    Ok(decided().map(|(order, verdict)| (order.order, verdict.status())).collect())
}

/// Entries of other epochs: those with a row for every order are done, the others are returned.
async fn judge_others(
    tx: &mut Conn,
    others: &[&OutboxEntry],
    seen: &mut HashSet<OrderId>,
    outcomes: &mut Vec<(OrderId, OrderStatus)>,
) -> Result<Vec<EntryId>> {
    let ids: Vec<OrderId> = others.iter().flat_map(|entry| &entry.orders).map(|order| order.order).collect();
    let rows = existing(tx, &ids).await?;
    let mut foreign = Vec::new();
    for entry in others {
        if entry.orders.iter().all(|order| rows.contains_key(&order.order)) {
            let fresh = entry.orders.iter().filter(|order| seen.insert(order.order));
            outcomes.extend(fresh.map(|order| (order.order, rows[&order.order])));
        } else {
            foreign.push(entry.id);
        }
    }
    Ok(foreign)
}
