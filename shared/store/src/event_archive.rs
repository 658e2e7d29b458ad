//! The end of an event: when it is closed and at rest, its ledger is put away; its rows stay.
//!
//! An archived event has no ledger and never gets one again ([`Store::bump_epoch`] refuses it), so that keys which have
//! been given a lifetime in Redis cannot come back to life.

use spike_domain::{EventId, EventState, OrderStatus};

use sqlx::AssertSqlSafe;

use crate::backend::Conn;
use crate::query::query;
use crate::sql::{at, rows_of_text, run_text, signed, u64_at};
use crate::transaction::{read, under_lock};
use crate::{Conflict, Fenced, Result, Store, StoreError};

/// A closed event whose units are all sold or back in the inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastEvent {
    /// Its number.
    pub event: EventId,
    /// Its epoch.
    pub epoch: u64,
    /// Milliseconds since its last change, by the database's clock.
    pub age_ms: u64,
}

impl Store {
    /// Past events whose last change is at least `age_ms` ago; at most `limit`, by their numbers, from the one behind `after`.
    /// Candidates only: [`Store::archive_event`] decides.
    pub async fn archivable(&self, age_ms: u64, after: EventId, limit: u32) -> Result<Vec<PastEvent>> {
        let now = self.dialect().now_ms();
        let text = AssertSqlSafe(format!(
            "SELECT id, epoch, CAST({now} - updated_at_ms AS SIGNED) AS age_ms FROM spike_events \
             WHERE state = ? AND archived_at_ms IS NULL AND epoch > 0 AND updated_at_ms <= {now} - ? \
             AND reserved = sold AND reserved + returned = total AND id > ? ORDER BY id LIMIT ?"
        ));
        read!(self, |conn| {
            let query =
                query(text).bind(EventState::Closed.code()).bind(signed(age_ms)).bind(after.0).bind(limit);
            let rows = query.fetch_all(conn).await?;
            let past = |row| {
                let (event, epoch) = (EventId(at(row, "id")?), u64_at(row, "epoch")?);
                Ok(PastEvent { event, epoch, age_ms: u64_at(row, "age_ms")? })
            };
            rows.iter().map(past).collect()
        })
    }

    /// Archives a closed event if it still is in `epoch`, in which its ledger was seen closed and empty. False: something
    /// of it is still under way (an unpaid order, an open restock marker, units not moved yet). Repeating it is harmless.
    /// Errors: `NotFound`.
    pub async fn archive_event(&self, event: EventId, epoch: u64) -> Result<Fenced<bool>> {
        under_lock!(self, event, |tx, locked| {
            let row = &locked.row;
            if row.archived {
                return Ok(Fenced::Done(true));
            }
            if row.epoch != epoch {
                return Ok(Fenced::EpochMoved { now: row.epoch });
            }
            let pending = OrderStatus::Pending.code();
            let text = format!(
                "SELECT CAST(sold AS SIGNED) AS sold, \
                 (SELECT COUNT(*) FROM spike_orders WHERE event_id = {event} AND status = {pending}) AS pending, \
                 (SELECT COUNT(*) FROM restock_outbox WHERE event_id = {event} AND done_at_ms IS NULL) AS markers \
                 FROM spike_events WHERE id = {event}"
            );
            let rows = rows_of_text(tx, text).await?;
            let figures = rows.first().ok_or(StoreError::NotFound)?;
            let sold = u64_at(figures, "sold")?;
            let under_way = u64_at(figures, "pending")? + u64_at(figures, "markers")?;
            let moved = sold == u64::from(row.reserved) && row.reserved + row.returned == row.def.total;
            if row.state != EventState::Closed || under_way > 0 || !moved {
                return Ok(Fenced::Done(false));
            }
            let now = locked.now_ms;
            run_text(tx, format!("UPDATE spike_events SET archived_at_ms = {now} WHERE id = {event}"))
                .await?;
            Ok(Fenced::Done(true))
        })
    }

    /// Counts the event's live and paid units anew from its rows, under its lock; true when a count was wrong. Refused by
    /// a constraint where the rows exceed the stock: then units were sold twice, and counting is no remedy. Errors:
    /// `NotFound`, `Conflict` (the event's orders are deleted, and its counts are all that is left of them).
    pub async fn recount_event(&self, event: EventId) -> Result<bool> {
        under_lock!(self, event, |tx, locked| {
            if orders_are_deleted(tx, event).await? {
                return Err(StoreError::Conflict { what: Conflict::EventState });
            }
            let [pending, paid] = [OrderStatus::Pending.code(), OrderStatus::Paid.code()];
            let text = format!(
                "SELECT CAST(COALESCE(SUM(quantity), 0) AS SIGNED) AS live, \
                 CAST(COALESCE(SUM(CASE WHEN status = {paid} THEN quantity ELSE 0 END), 0) AS SIGNED) AS paid \
                 FROM spike_orders WHERE event_id = {event} AND status IN ({pending}, {paid})"
            );
            let rows = rows_of_text(tx, text).await?;
            let counted = rows.first().ok_or(StoreError::NotFound)?;
            let (live, paid) = (u64_at(counted, "live")?, u64_at(counted, "paid")?);
            if live == u64::from(locked.row.reserved) && paid == u64::from(locked.row.paid) {
                return Ok(false);
            }
            run_text(
                tx,
                format!("UPDATE spike_events SET reserved = {live}, paid = {paid} WHERE id = {event}"),
            )
            .await?;
            Ok(true)
        })
    }
}

/// Whether some of them are: an archived event whose rows are fewer than its count of them.
async fn orders_are_deleted(tx: &mut Conn, event: EventId) -> Result<bool> {
    let text = format!(
        "SELECT id FROM spike_events WHERE id = {event} AND archived_at_ms IS NOT NULL AND reserved > \
         (SELECT COALESCE(SUM(quantity), 0) FROM spike_orders WHERE event_id = {event} AND status IN (1, 2))"
    );
    Ok(!rows_of_text(tx, text).await?.is_empty())
}
