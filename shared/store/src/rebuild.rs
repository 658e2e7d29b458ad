//! Rebuild and restart fence: the two transactions around `begin`.

use std::collections::HashSet;

use spike_domain::mutant::{self, Mutant};
use spike_domain::{EventDef, EventId, EventState, OrderId, OrderStatus, QueuedOrder, UserId};

use crate::backend::Conn;
use crate::every_row::for_every_row;
use crate::order_rows::{NewRow, existing, insert_rows};
use crate::query::query;
use crate::sql::{CHUNK, at, order_at, run_text, signed, status_at, u32_at};
use crate::transaction::{LockedEvent, under_lock};
use crate::{Conflict, Fenced, Result, Store, StoreError};

/// An order known to Redis (a claim or a key), whatever else is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownClaim {
    /// The order.
    pub order: OrderId,
    /// Its buyer.
    pub user: UserId,
    /// Units; 1 where Redis does not say.
    pub quantity: u32,
    /// Hash of the client's idempotency key.
    pub key: Option<String>,
}

/// One row, as a ledger needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRow {
    /// The order.
    pub order: OrderId,
    /// Its buyer.
    pub user: UserId,
    /// Units.
    pub quantity: u32,
    /// Status of the row.
    pub status: OrderStatus,
    /// Hash of the client's idempotency key.
    pub key: Option<Box<str>>,
}

/// All the database knows of an event, at one moment of one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The event.
    pub def: EventDef,
    /// What the operator wants it to be.
    pub state: EventState,
    /// Every row of every status, about 100 bytes each with a key; in no useful order.
    pub rows: Vec<SnapshotRow>,
}

impl Store {
    /// Starts an epoch above every one ever used: the largest of the database's + 1, `at_least` (Redis' + 1)
    /// and `now_ms` (V12). From here on no insert of an older epoch succeeds. Errors: `NotFound`,
    /// `Conflict(EventState)` (archived: it has no ledger any more).
    pub async fn bump_epoch(&self, event: EventId, at_least: u64, now_ms: u64) -> Result<u64> {
        under_lock!(self, event, |tx, locked| {
            if locked.row.archived {
                return Err(StoreError::conflict(Conflict::EventState));
            }
            let above = if mutant::on(Mutant::EpochAboveAll) { 0 } else { at_least.max(now_ms) };
            let epoch = (locked.row.epoch + 1).max(above);
            let query = query("UPDATE spike_events SET epoch = ? WHERE id = ?");
            query.bind(signed(epoch)).bind(event.0).execute(tx).await?;
            Ok(epoch)
        })
    }

    /// In one transaction that demands `epoch` (V6): closes the event's open restock markers (V3), writes
    /// LOST rows for known claims with neither row nor outbox entry, and reads every row. Errors: `NotFound`.
    pub async fn rebuild_snapshot(
        &self,
        event: EventId,
        epoch: u64,
        known_claims: &[KnownClaim],
        in_outbox: &HashSet<OrderId>,
    ) -> Result<Fenced<Snapshot>> {
        under_lock!(whole_event self, event, |tx, locked| {
            if locked.row.epoch != epoch && !mutant::on(Mutant::SnapshotEpoch) {
                return Ok(Fenced::EpochMoved { now: locked.row.epoch });
            }
            if !mutant::on(Mutant::CloseMarkers) {
                close_markers(tx, locked).await?;
            }
            write_lost(tx, locked, known_claims, in_outbox).await?;
            let mut rows = Vec::new();
            for_every_row(tx, event, "order_id, user_id, quantity, status, idem_key", |row| {
                rows.push(SnapshotRow {
                    order: order_at(row, "order_id")?,
                    user: UserId(at(row, "user_id")?),
                    quantity: u32_at(row, "quantity")?,
                    status: status_at(row, "status")?,
                    key: at::<Option<&str>>(row, "idem_key")?.map(Box::from),
                });
                Ok(())
            })
            .await?;
            Ok(Fenced::Done(Snapshot { def: locked.row.def.clone(), state: locked.row.state, rows }))
        })
    }
}

/// The stock of these orders will be counted as free by the snapshot itself; releasing them again would sell
/// it twice.
async fn close_markers(tx: &mut Conn, locked: &LockedEvent) -> Result<()> {
    let (event, now, epoch) = (locked.id(), locked.now_ms, locked.row.epoch);
    let text = format!(
        "UPDATE restock_outbox SET done_at_ms = {now}, done_epoch = {epoch} \
         WHERE event_id = {event} AND done_at_ms IS NULL"
    );
    run_text(tx, text).await?;
    Ok(())
}

async fn write_lost(
    tx: &mut Conn,
    locked: &LockedEvent,
    claims: &[KnownClaim],
    in_outbox: &HashSet<OrderId>,
) -> Result<()> {
    let mut lost = 0;
    let mut seen = HashSet::new();
    for chunk in claims.chunks(CHUNK) {
        let candidates =
            chunk.iter().filter(|claim| !in_outbox.contains(&claim.order) && seen.insert(claim.order));
        let candidates: Vec<QueuedOrder> = candidates.map(|claim| claim.as_queued(locked.now_ms)).collect();
        let ids: Vec<OrderId> = candidates.iter().map(|order| order.order).collect();
        let there = existing(tx, &ids).await?;
        let absent = candidates.iter().filter(|order| !there.contains_key(&order.order));
        let rows: Vec<NewRow<'_>> = absent.map(|order| (order, OrderStatus::Lost)).collect();
        insert_rows(tx, locked, &rows).await?;
        lost += rows.len();
    }
    if lost > 0 {
        tracing::error!(event = %locked.id(), orders = lost, "orders known to Redis with neither row nor entry are lost");
    }
    Ok(())
}

impl KnownClaim {
    /// The order as far as it is known; the time of its acceptance is in its id.
    fn as_queued(&self, now_ms: u64) -> QueuedOrder {
        let of_id = self.order.0.get_timestamp().map(|stamp| stamp.to_unix());
        let accepted_at_ms =
            of_id.map_or(now_ms, |(seconds, nanos)| seconds * 1000 + u64::from(nanos) / 1_000_000);
        let key = self.key.clone();
        QueuedOrder {
            order: self.order,
            user: self.user,
            quantity: self.quantity.max(1),
            key,
            accepted_at_ms,
        }
    }
}
