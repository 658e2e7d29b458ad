//! The worker's second transaction: orders that came too late for their epoch, after the ledger has judged
//! them.

use std::collections::HashSet;

use spike_domain::{EventId, OrderId, OrderStatus, QueuedOrder};

use crate::backend::Conn;
use crate::insert::write_orders;
use crate::order_rows::{NewRow, existing, insert_rows};
use crate::transaction::{LockedEvent, under_lock};
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
    /// Writes judged orders, if the event still is in the epoch of the verdict: counted ones as PENDING (or
    /// REJECTED with a marker, as in [`Store::insert_entries`]), rejected ones as REJECTED without a marker.
    /// Existing rows stay as they are. Returns the status each order's row has now, once an order. Errors:
    /// `NotFound`.
    pub async fn insert_adopted(
        &self,
        event: EventId,
        expected_epoch: u64,
        orders: &[(QueuedOrder, Adopted)],
    ) -> Result<Fenced<Vec<(OrderId, OrderStatus)>>> {
        under_lock!(self, event, |tx, locked| {
            if locked.row.epoch != expected_epoch {
                return Ok(Fenced::EpochMoved { now: locked.row.epoch });
            }
            let mut seen = HashSet::new();
            let once = orders.iter().filter(|(order, _)| seen.insert(order.order));
            let (counted, rejected): (Vec<_>, Vec<_>) =
                once.partition(|(_, verdict)| *verdict == Adopted::Counted);
            let counted: Vec<&QueuedOrder> = counted.into_iter().map(|(order, _)| order).collect();
            let rejected: Vec<&QueuedOrder> = rejected.into_iter().map(|(order, _)| order).collect();
            let mut outcomes = write_orders(tx, locked, &counted).await?;
            outcomes.extend(write_rejected(tx, locked, &rejected).await?);
            Ok(Fenced::Done(outcomes))
        })
    }
}

/// REJECTED rows without markers, for orders without a row: Redis never took stock for them.
async fn write_rejected(
    tx: &mut Conn,
    locked: &LockedEvent,
    orders: &[&QueuedOrder],
) -> Result<Vec<(OrderId, OrderStatus)>> {
    let ids: Vec<OrderId> = orders.iter().map(|order| order.order).collect();
    let there = existing(tx, &ids).await?;
    let absent = orders.iter().filter(|order| !there.contains_key(&order.order));
    let rows: Vec<NewRow<'_>> = absent.map(|order| (*order, OrderStatus::Rejected)).collect();
    insert_rows(tx, locked, &rows).await?;
    let status = |id: &OrderId| there.get(id).copied().unwrap_or(OrderStatus::Rejected);
    Ok(ids.iter().map(|id| (*id, status(id))).collect())
}
