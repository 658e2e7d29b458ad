//! Between an event and its product's inventory: units that were paid for are sold, and units that nobody holds when the
//! event has ended go back. Each is counted on the event's row in the same transaction, so that it happens exactly once
//! however often it is asked for.
//!
//! The event's row holds the whole account: of `total` units, `reserved` are held by live orders (`paid` of them paid for),
//! `returned` have gone back, and the rest is for sale. In the inventory's `reserved` column stand
//! `total - sold - returned` of them.

use spike_domain::{EventId, EventState};

use crate::inventory;
use crate::movements::Cause;
use crate::query::query;
use crate::sql::{at, u64_at};
use crate::transaction::{read, under_lock};
use crate::{Conflict, Fenced, Result, Store, StoreError};

/// An event with units to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitsToMove {
    /// The event.
    pub event: EventId,
    /// Its epoch.
    pub epoch: u64,
    /// Whether units are paid for and not sold yet in the inventory.
    pub sell: bool,
    /// Whether it is closed and units are held by nobody and not given back yet.
    pub give_back: bool,
}

impl Store {
    /// Every event with units to move.
    pub async fn units_to_move(&self) -> Result<Vec<UnitsToMove>> {
        let text = "SELECT id, epoch, paid > sold AS sell, state = ? AND reserved + returned < total AS free \
             FROM spike_events WHERE units_due = 1 ORDER BY id";
        read!(self, |conn| {
            let closed = EventState::Closed.code();
            let rows = query(text).bind(closed).fetch_all(conn).await?;
            let flag = |row, name| Ok::<_, StoreError>(at::<i64>(row, name)? != 0);
            let mut found = Vec::with_capacity(rows.len());
            for row in &rows {
                found.push(UnitsToMove {
                    event: EventId(at(row, "id")?),
                    epoch: u64_at(row, "epoch")?,
                    sell: flag(row, "sell")?,
                    give_back: flag(row, "free")?,
                });
            }
            Ok(found)
        })
    }

    /// Moves units that were paid for since the last call from reserved to sold in the product's inventory. Returns how
    /// many. Errors: `NotFound`.
    pub async fn sell_paid_units(&self, event: EventId) -> Result<u32> {
        under_lock!(self, event, |tx, locked| {
            let row = query("SELECT sold FROM spike_events WHERE id = ?").bind(event.0).fetch_one(tx).await?;
            let units = locked.row.paid - crate::sql::u32_at(&row, "sold")?;
            if units > 0 {
                inventory::sell(tx, locked.row.def.product_id, units, Cause::event(event, None)).await?;
                let update = query("UPDATE spike_events SET sold = sold + ? WHERE id = ?");
                update.bind(units).bind(event.0).execute(tx).await?;
            }
            Ok(units)
        })
    }

    /// Gives the units of a closed event that no live order holds back to the product's inventory, if the event still
    /// is in `epoch`: the one in which its ledger was seen closed with nothing on its way, so that no accepted order
    /// loses its unit. Returns how many. Errors: `NotFound`, `Conflict(EventState)` (not closed).
    pub async fn return_units(&self, event: EventId, epoch: u64) -> Result<Fenced<u32>> {
        under_lock!(self, event, |tx, locked| {
            let row = &locked.row;
            if row.state != EventState::Closed {
                return Err(StoreError::conflict(Conflict::EventState));
            }
            if row.epoch != epoch {
                return Ok(Fenced::EpochMoved { now: row.epoch });
            }
            let units = row.capacity() - row.reserved;
            if units > 0 {
                inventory::give_back(tx, row.def.product_id, units, Cause::event(event, None)).await?;
                let update = query("UPDATE spike_events SET returned = returned + ? WHERE id = ?");
                update.bind(units).bind(event.0).execute(tx).await?;
            }
            Ok(Fenced::Done(units))
        })
    }
}
