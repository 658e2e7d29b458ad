//! What an operator may still change of an event: everything but its product, until it starts or is warmed up.

use spike_domain::{EventId, EventState, Money, UserId, Window};

use sqlx::AssertSqlSafe;

use crate::backend::Conn;
use crate::events::{self, EventRow};
use crate::inventory;
use crate::movements::Cause;
use crate::query::query;
use crate::sql::signed;
use crate::transaction::{LockedEvent, under_lock};
use crate::{Conflict, Result, Store, StoreError};

/// What is to be otherwise; `None` stays as it is. The product cannot change: an event of another product is another
/// event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventChange {
    /// The sale's title.
    pub name: Option<String>,
    /// Price of one unit.
    pub price: Option<Money>,
    /// Initial stock S, in units.
    pub total: Option<u32>,
    /// Most units one user may hold.
    pub per_user_limit: Option<u32>,
    /// Seconds an order may stay unpaid.
    pub pay_timeout_s: Option<u32>,
    /// First millisecond of the sale.
    pub starts_at_ms: Option<u64>,
    /// First millisecond after it.
    pub ends_at_ms: Option<u64>,
}

impl Store {
    /// Changes an event that is scheduled and has not started by the database's clock, if it is in `version` (`None`:
    /// whatever its version). A changed total moves units between the product's inventory and the event in the same
    /// transaction. What is so already is no change. Errors: `NotFound`; `Conflict` of `Version`, `EventState`,
    /// `Window` (it would not start before it ends) or `Inventory`.
    pub async fn change_event(
        &self,
        event: EventId,
        change: &EventChange,
        version: Option<u32>,
        actor: Option<UserId>,
    ) -> Result<EventRow> {
        under_lock!(self, event, |tx, locked| {
            demand(locked, version)?;
            if locked.row.state != EventState::Scheduled
                || locked.now_ms >= locked.row.def.window.starts_at_ms
            {
                return Err(StoreError::conflict(Conflict::EventState));
            }
            let mut wanted = locked.row.clone();
            change.apply(&mut wanted)?;
            if wanted == locked.row {
                return Ok(wanted);
            }
            move_units(tx, &locked.row, &wanted, actor).await?;
            write(tx, &wanted).await?;
            events::read_back(tx, event).await
        })
    }

    /// Deletes an event that was never warmed up; its units go back to the product's inventory in the same
    /// transaction. Errors: `NotFound`; `Conflict` of `Version` or `EventState`.
    pub async fn delete_event(
        &self,
        event: EventId,
        version: Option<u32>,
        actor: Option<UserId>,
    ) -> Result<()> {
        under_lock!(self, event, |tx, locked| {
            demand(locked, version)?;
            let row = &locked.row;
            if row.state != EventState::Scheduled || row.epoch != 0 || row.reserved != 0 {
                return Err(StoreError::conflict(Conflict::EventState));
            }
            let cause = Cause::event(event, actor);
            inventory::give_back(tx, row.def.product_id, row.def.total - row.returned, cause).await?;
            query("DELETE FROM spike_events WHERE id = ?").bind(event.0).execute(tx).await?;
            Ok(())
        })
    }
}

impl EventChange {
    fn apply(&self, row: &mut EventRow) -> Result<()> {
        let def = &mut row.def;
        if let Some(name) = &self.name {
            def.name.clone_from(name);
        }
        def.price = self.price.unwrap_or(def.price);
        def.total = self.total.unwrap_or(def.total);
        def.per_user_limit = self.per_user_limit.unwrap_or(def.per_user_limit);
        def.pay_timeout_s = self.pay_timeout_s.unwrap_or(def.pay_timeout_s);
        let Window { starts_at_ms, ends_at_ms } = def.window;
        def.window = Window {
            starts_at_ms: self.starts_at_ms.unwrap_or(starts_at_ms),
            ends_at_ms: self.ends_at_ms.unwrap_or(ends_at_ms),
        };
        if def.window.ends_at_ms <= def.window.starts_at_ms {
            return Err(StoreError::conflict(Conflict::Window));
        }
        Ok(())
    }
}

fn demand(locked: &LockedEvent, version: Option<u32>) -> Result<()> {
    match version {
        Some(version) if version != locked.row.version => Err(StoreError::conflict(Conflict::Version)),
        _ => Ok(()),
    }
}

async fn move_units(tx: &mut Conn, before: &EventRow, after: &EventRow, actor: Option<UserId>) -> Result<()> {
    let (product, cause) = (before.def.product_id, Cause::event(before.def.id, actor));
    let (had, wants) = (before.def.total, after.def.total);
    if wants > had {
        inventory::set_aside(tx, product, wants - had, cause).await
    } else if wants < had {
        inventory::give_back(tx, product, had - wants, cause).await
    } else {
        Ok(())
    }
}

async fn write(tx: &mut Conn, row: &EventRow) -> Result<()> {
    let now = tx.dialect().now_ms();
    let text = AssertSqlSafe(format!(
        "UPDATE spike_events SET name = ?, total = ?, price_minor = ?, currency = ?, per_user_limit = ?, \
         pay_timeout_s = ?, starts_at_ms = ?, ends_at_ms = ?, version = version + 1, updated_at_ms = {now} WHERE id = ?"
    ));
    let def = &row.def;
    let update = query(text)
        .bind(&def.name)
        .bind(def.total)
        .bind(def.price.minor)
        .bind(def.price.currency.as_str())
        .bind(def.per_user_limit)
        .bind(def.pay_timeout_s)
        .bind(signed(def.window.starts_at_ms))
        .bind(signed(def.window.ends_at_ms))
        .bind(def.id.0);
    update.execute(tx).await?;
    Ok(())
}
