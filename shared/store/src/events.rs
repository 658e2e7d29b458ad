//! Table `spike_events`, as operators and gateways see it. The protocol's own transactions are in files of
//! their own.

use spike_domain::{EventDef, EventId, EventState, Money, ProductId, UserId, Window};

use sqlx::AssertSqlSafe;

use crate::backend::{Conn, Row};
use crate::inventory;
use crate::movements::Cause;
use crate::query::query;
use crate::sql::{at, money_at, offset, signed, u32_at, u64_at};
use crate::transaction::{read, transact, under_lock};
use crate::{Conflict, Page, Result, Store, StoreError};

/// An event to create.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// What is sold.
    pub product_id: ProductId,
    /// The sale's title.
    pub name: String,
    /// Price of one unit.
    pub price: Money,
    /// Initial stock S, in units, taken out of the product's available inventory.
    pub total: u32,
    /// Most units one user may hold.
    pub per_user_limit: u32,
    /// Seconds an order may stay unpaid.
    pub pay_timeout_s: u32,
    /// When buys are taken.
    pub window: Window,
}

/// An event with its present figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// What it is.
    pub def: EventDef,
    /// What the operator wants it to be.
    pub state: EventState,
    /// The fence: rises with every rebuild; 0 before the first warm-up.
    pub epoch: u64,
    /// Units of live orders, L.
    pub reserved: u32,
    /// Of these, units of paid orders.
    pub paid: u32,
    /// Units that went back to the product's inventory when the event had closed.
    pub returned: u32,
    /// Rises with every change of definition or state.
    pub version: u32,
    /// Unix milliseconds of the last change of definition or state.
    pub updated_at_ms: u64,
    /// Whether it is over for good: it has no ledger, and only its rows are left.
    pub archived: bool,
}

/// An event whose ledger the worker keeps right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchedEvent {
    /// The event.
    pub id: EventId,
    /// Its epoch in the database.
    pub epoch: u64,
    /// What the operator wants it to be.
    pub state: EventState,
}

/// Which events, and which page of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventList {
    /// Only those in this state.
    pub state: Option<EventState>,
    /// What they are sorted by; those that are equal in it, by id.
    pub sort: EventSort,
    /// From the largest to the smallest.
    pub descending: bool,
    /// From 1.
    pub page: u32,
    /// Events of a page.
    pub page_size: u32,
}

/// What events are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSort {
    /// The order in which they were created.
    Id,
    /// Their start.
    StartsAt,
    /// Their end.
    EndsAt,
}

impl EventSort {
    /// Every order.
    pub const ALL: [Self; 3] = [Self::Id, Self::StartsAt, Self::EndsAt];

    /// The word a client says.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::StartsAt => "starts_at",
            Self::EndsAt => "ends_at",
        }
    }

    fn column(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::StartsAt => "starts_at_ms",
            Self::EndsAt => "ends_at_ms",
        }
    }
}

/// What [`EventRow::read`] wants.
pub(crate) const COLUMNS: &str = "id, product_id, name, total, reserved, paid, returned, price_minor, currency, per_user_limit, \
     pay_timeout_s, starts_at_ms, ends_at_ms, state, epoch, version, updated_at_ms, archived_at_ms IS NOT NULL AS archived";

impl Store {
    /// How long a closed event stays in [`Store::events_for_gateways`] and [`Store::events_to_watch`].
    pub const CLOSED_LATELY_MS: u64 = 24 * 3600 * 1000;

    /// Creates a scheduled event, moving `total` units of its product from available to reserved in the same
    /// transaction; `actor` is who does it. Errors: `NotFound` (no such product), `Conflict(Inventory)`.
    pub async fn create_event(&self, event: NewEvent, actor: Option<UserId>) -> Result<EventId> {
        transact!(self, |tx| {
            // The lock first: the movement names the event, which must not be of a product that is being deleted.
            inventory::lock(tx, event.product_id).await?;
            let id = insert(tx, &event).await?;
            inventory::set_aside(tx, event.product_id, event.total, Cause::event(id, actor)).await?;
            Ok(id)
        })
    }

    /// One event.
    pub async fn event(&self, event: EventId) -> Result<Option<EventRow>> {
        let text = AssertSqlSafe(format!("SELECT {COLUMNS} FROM spike_events WHERE id = ?"));
        read!(self, |conn| {
            let row = query(text).bind(event.0).fetch_optional(conn).await?;
            row.as_ref().map(EventRow::read).transpose()
        })
    }

    /// A page of events.
    pub async fn list_events(&self, list: &EventList) -> Result<Page<EventRow>> {
        let filter = match list.state {
            Some(state) => format!("WHERE state = {}", state.code()),
            None => String::new(),
        };
        let (by, way) = (list.sort.column(), if list.descending { "DESC" } else { "ASC" });
        let text = AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM spike_events {filter} ORDER BY {by} {way}, id {way} LIMIT ? OFFSET ?"
        ));
        let count = AssertSqlSafe(format!("SELECT COUNT(*) AS total FROM spike_events {filter}"));
        read!(self, |conn| {
            let rows = query(text).bind(list.page_size).bind(offset(list.page, list.page_size));
            let rows = rows.fetch_all(&mut *conn).await?;
            let count = query(count).fetch_one(conn).await?;
            Ok(Page {
                items: rows.iter().map(EventRow::read).collect::<Result<_>>()?,
                total: u64_at(&count, "total")?,
            })
        })
    }

    /// Every event a gateway may be asked about: not closed, or closed lately and not archived.
    pub async fn events_for_gateways(&self) -> Result<Vec<EventRow>> {
        let now = self.dialect().now_ms();
        let text = AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM spike_events WHERE state IN (?, ?, ?) AND archived_at_ms IS NULL UNION ALL \
             SELECT {COLUMNS} FROM spike_events WHERE state = ? AND updated_at_ms > {now} - ? \
             AND archived_at_ms IS NULL ORDER BY id"
        ));
        read!(self, |conn| {
            let query = query(text)
                .bind(EventState::Scheduled.code())
                .bind(EventState::Open.code())
                .bind(EventState::Paused.code())
                .bind(EventState::Closed.code())
                .bind(signed(Self::CLOSED_LATELY_MS));
            query.fetch_all(conn).await?.iter().map(EventRow::read).collect()
        })
    }

    /// Every event whose ledger must stand: open, paused, closed lately, or closed with open restock markers or with
    /// units that have not gone back to the inventory yet.
    pub async fn events_to_watch(&self) -> Result<Vec<WatchedEvent>> {
        let (now, closed) = (self.dialect().now_ms(), EventState::Closed.code());
        let text = AssertSqlSafe(format!(
            "SELECT id, epoch, state FROM spike_events WHERE state IN (?, ?) \
             UNION SELECT id, epoch, state FROM spike_events WHERE state = {closed} AND updated_at_ms > {now} - ? \
             AND archived_at_ms IS NULL \
             UNION SELECT id, epoch, state FROM spike_events \
             WHERE units_due = 1 AND state = {closed} AND archived_at_ms IS NULL AND reserved + returned < total \
             UNION SELECT e.id, e.epoch, e.state FROM spike_events e WHERE e.state = {closed} AND e.archived_at_ms IS NULL \
             AND e.id IN (SELECT m.event_id FROM restock_outbox m WHERE m.done_at_ms IS NULL) ORDER BY id"
        ));
        read!(self, |conn| {
            let query = query(text)
                .bind(EventState::Open.code())
                .bind(EventState::Paused.code())
                .bind(signed(Self::CLOSED_LATELY_MS));
            query.fetch_all(conn).await?.iter().map(WatchedEvent::read).collect()
        })
    }

    /// Moves an event to a state and returns it. Asking for the present state changes nothing. Allowed:
    /// scheduled to open (warm-up), open to paused and back, anything to closed. Errors: `NotFound`,
    /// `Conflict(EventState)`.
    pub async fn set_event_state(&self, event: EventId, state: EventState) -> Result<EventRow> {
        let now = self.dialect().now_ms();
        let update = format!(
            "UPDATE spike_events SET state = ?, version = version + 1, updated_at_ms = {now} WHERE id = ?"
        );
        under_lock!(self, event, |tx, locked| {
            if locked.row.state == state {
                return Ok(locked.row.clone());
            }
            if !may_become(locked.row.state, state) {
                return Err(StoreError::conflict(Conflict::EventState));
            }
            let update = query(AssertSqlSafe(update.clone())).bind(state.code()).bind(event.0);
            update.execute(tx).await?;
            read_back(tx, event).await
        })
    }
}

impl EventRow {
    /// Units that live orders may hold: all that have not gone back to the inventory.
    pub fn capacity(&self) -> u32 {
        self.def.total - self.returned
    }

    pub(crate) fn read(row: &Row) -> Result<Self> {
        let window =
            Window { starts_at_ms: u64_at(row, "starts_at_ms")?, ends_at_ms: u64_at(row, "ends_at_ms")? };
        let def = EventDef {
            id: EventId(at(row, "id")?),
            product_id: ProductId(at(row, "product_id")?),
            name: at(row, "name")?,
            price: money_at(row, "price_minor")?,
            total: u32_at(row, "total")?,
            per_user_limit: u32_at(row, "per_user_limit")?,
            pay_timeout_s: u32_at(row, "pay_timeout_s")?,
            window,
        };
        Ok(Self {
            def,
            state: state_at(row)?,
            epoch: u64_at(row, "epoch")?,
            reserved: u32_at(row, "reserved")?,
            paid: u32_at(row, "paid")?,
            returned: u32_at(row, "returned")?,
            version: u32_at(row, "version")?,
            updated_at_ms: u64_at(row, "updated_at_ms")?,
            archived: at::<i64>(row, "archived")? != 0,
        })
    }
}

impl WatchedEvent {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self { id: EventId(at(row, "id")?), epoch: u64_at(row, "epoch")?, state: state_at(row)? })
    }
}

fn state_at(row: &Row) -> Result<EventState> {
    let code: i8 = at(row, "state")?;
    EventState::from_code(code).ok_or_else(|| StoreError::corrupt(format!("event state {code}")))
}

/// The event as it is now, within a transaction that has just changed it.
pub(crate) async fn read_back(tx: &mut Conn, event: EventId) -> Result<EventRow> {
    let text = AssertSqlSafe(format!("SELECT {COLUMNS} FROM spike_events WHERE id = ?"));
    EventRow::read(&query(text).bind(event.0).fetch_one(tx).await?)
}

pub(crate) fn may_become(from: EventState, to: EventState) -> bool {
    use EventState::{Closed, Open, Paused, Scheduled};
    matches!((from, to), (Scheduled | Paused, Open) | (Open, Paused) | (Scheduled | Open | Paused, Closed))
}

async fn insert(tx: &mut Conn, event: &NewEvent) -> Result<EventId> {
    let now = tx.dialect().now_ms();
    let text = AssertSqlSafe(format!(
        "INSERT INTO spike_events (product_id, name, total, price_minor, currency, per_user_limit, pay_timeout_s, \
         starts_at_ms, ends_at_ms, state, created_at_ms, updated_at_ms) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {now}, {now})"
    ));
    let query = query(text)
        .bind(event.product_id.0)
        .bind(&event.name)
        .bind(event.total)
        .bind(event.price.minor)
        .bind(event.price.currency.as_str())
        .bind(event.per_user_limit)
        .bind(event.pay_timeout_s)
        .bind(signed(event.window.starts_at_ms))
        .bind(signed(event.window.ends_at_ms))
        .bind(EventState::Scheduled.code());
    Ok(EventId(query.execute(tx).await?.last_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_event_stays_closed_and_none_goes_back_to_scheduled() {
        use EventState::{Closed, Open, Paused, Scheduled};
        let all = [Scheduled, Open, Paused, Closed];
        let allowed = [
            (Scheduled, Open),
            (Open, Paused),
            (Paused, Open),
            (Scheduled, Closed),
            (Open, Closed),
            (Paused, Closed),
        ];
        for from in all {
            for to in all {
                assert_eq!(may_become(from, to), allowed.contains(&(from, to)), "{from:?} -> {to:?}");
            }
        }
    }
}
