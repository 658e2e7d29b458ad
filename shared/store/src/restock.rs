//! Table `restock_outbox`: stock that is free in the database and not yet in Redis (K).

use spike_domain::{EventId, OrderId, OrderStatus, UserId};

use crate::backend::Row;
use crate::query::query;
use crate::sql::{CHUNK, at, order_at, order_list, rows_of_text, run_text, status_at, u32_at, u64_at};
use crate::transaction::{read, under_lock};
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
    /// Open markers, at most `limit_per_event` of each event, so that an event whose ledger is down starves
    /// no other.
    pub async fn open_markers(&self, limit_per_event: u32) -> Result<Vec<Marker>> {
        read!(self, |conn| {
            let text = "SELECT DISTINCT event_id FROM restock_outbox WHERE done_at_ms IS NULL";
            let events = query(text).fetch_all(conn).await?;
            let mut markers = Vec::new();
            for event in &events {
                let event: i64 = at(event, "event_id")?;
                let text = format!(
                    "SELECT m.order_id, m.event_id, m.user_id, m.quantity, e.epoch, o.status \
                     FROM restock_outbox m JOIN spike_events e ON e.id = m.event_id \
                     JOIN spike_orders o ON o.order_id = m.order_id \
                     WHERE m.done_at_ms IS NULL AND m.event_id = {event} ORDER BY m.order_id LIMIT {limit_per_event}"
                );
                for row in rows_of_text(conn, text).await? {
                    markers.push(Marker::read(&row)?);
                }
            }
            Ok(markers)
        })
    }

    /// Marks orders as released, if the event still is in the epoch the release ran in. Returns how many
    /// markers were open. Errors: `NotFound`.
    pub async fn markers_done(
        &self,
        event: EventId,
        epoch: u64,
        orders: &[OrderId],
    ) -> Result<Fenced<usize>> {
        under_lock!(self, event, |tx, locked| {
            if locked.row.epoch != epoch {
                return Ok(Fenced::EpochMoved { now: locked.row.epoch });
            }
            let mut closed = 0;
            for chunk in orders.chunks(CHUNK) {
                let (now, ids) = (locked.now_ms, order_list(chunk));
                let text = format!(
                    "UPDATE restock_outbox SET done_at_ms = {now}, done_epoch = {epoch} \
                     WHERE order_id IN ({ids}) AND event_id = {event} AND done_at_ms IS NULL"
                );
                closed += usize::try_from(run_text(tx, text).await?).expect("at most a chunk");
            }
            Ok(Fenced::Done(closed))
        })
    }
}

impl Marker {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            order: order_at(row, "order_id")?,
            event: EventId(at(row, "event_id")?),
            user: UserId(at(row, "user_id")?),
            quantity: u32_at(row, "quantity")?,
            epoch: u64_at(row, "epoch")?,
            status: status_at(row, "status")?,
        })
    }
}
