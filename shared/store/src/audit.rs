//! What the database says of S = R + L + F + K, for reports and for the demo's audit.

use spike_domain::{EventId, OrderId, OrderStatus, UserId};

use crate::backend::Conn;
use crate::every_row::for_every_row;
use crate::rebuild::SnapshotRow;
use crate::sql::{at, order_at, rows_of_text, status_at, u32_at, u64_at};
use crate::transaction::read;
use crate::{Result, Store, StoreError};

/// Rows and units of one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Number of orders.
    pub orders: u64,
    /// Their units.
    pub units: u64,
}

/// The database's figures of an event, read in one statement. Units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventFigures {
    /// S: initial stock.
    pub total: u64,
    /// The event's own count of live units; always equal to `live().units`.
    pub reserved: u64,
    /// The event's own count of paid units; always equal to those of its PAID rows.
    pub paid: u64,
    /// Units that went back to the product's inventory after the event had closed. They are part of S, and of R: a
    /// closed ledger sells nothing, and its stock is not lowered.
    pub returned: u64,
    /// K: restock markers not yet released in Redis.
    pub open_markers: Tally,
    /// By status, in the order of [`OrderStatus::ALL`].
    pub rows: [Tally; 5],
}

impl EventFigures {
    /// The tally of one status.
    pub fn of(&self, status: OrderStatus) -> Tally {
        let at = OrderStatus::ALL.iter().position(|s| *s == status).expect("ALL holds every status");
        self.rows[at]
    }

    /// L: pending and paid.
    pub fn live(&self) -> Tally {
        let (pending, paid) = (self.of(OrderStatus::Pending), self.of(OrderStatus::Paid));
        Tally { orders: pending.orders + paid.orders, units: pending.units + paid.units }
    }

    /// Rows of every status.
    pub fn order_count(&self) -> u64 {
        self.rows.iter().map(|tally| tally.orders).sum()
    }
}

/// [`EventFigures`] with what must never be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventAudit {
    /// The figures.
    pub figures: EventFigures,
    /// Users with more than one live order (I3): always 0.
    pub users_with_more_than_one_live: u64,
}

impl EventAudit {
    /// Whether the database alone breaks no invariant: I2, I3, and the counters equal to what they count.
    pub fn holds(&self) -> bool {
        let (figures, live) = (&self.figures, self.figures.live().units);
        self.users_with_more_than_one_live == 0
            && live == figures.reserved
            && figures.paid == figures.of(OrderStatus::Paid).units
            && live + figures.returned <= figures.total
    }
}

impl Store {
    /// S, L, K and rows by status. Errors: `NotFound`.
    pub async fn conservation(&self, event: EventId) -> Result<EventFigures> {
        read!(whole_event self, |conn| { figures(conn, event).await })
    }

    /// [`Store::conservation`] and a search for users with more than one live order. Errors: `NotFound`.
    pub async fn audit_event(&self, event: EventId) -> Result<EventAudit> {
        let text = format!(
            "SELECT COUNT(*) AS users FROM (SELECT user_id FROM spike_orders \
             WHERE event_id = {event} AND status IN (1, 2) GROUP BY user_id HAVING COUNT(*) > 1) AS doubled"
        );
        read!(whole_event self, |conn| {
            let figures = figures(conn, event).await?;
            let rows = rows_of_text(conn, text).await?;
            let users = u64_at(rows.first().ok_or(StoreError::NotFound)?, "users")?;
            Ok(EventAudit { figures, users_with_more_than_one_live: users })
        })
    }

    /// The id of every order of an event, of every status: 16 bytes each.
    pub async fn all_order_ids(&self, event: EventId) -> Result<Vec<OrderId>> {
        read!(whole_event self, |conn| {
            let mut ids = Vec::new();
            for_every_row(conn, event, "order_id", |row| {
                ids.push(order_at(row, "order_id")?);
                Ok(())
            })
            .await?;
            Ok(ids)
        })
    }

    /// Every order of an event, of every status, without its key.
    pub async fn all_orders(&self, event: EventId) -> Result<Vec<SnapshotRow>> {
        read!(whole_event self, |conn| {
            let mut orders = Vec::new();
            for_every_row(conn, event, "order_id, user_id, quantity, status", |row| {
                orders.push(SnapshotRow {
                    order: order_at(row, "order_id")?,
                    user: UserId(at(row, "user_id")?),
                    quantity: u32_at(row, "quantity")?,
                    status: status_at(row, "status")?,
                    key: None,
                });
                Ok(())
            })
            .await?;
            Ok(orders)
        })
    }
}

/// All figures in one statement, so that they are of one moment.
async fn figures(conn: &mut Conn, event: EventId) -> Result<EventFigures> {
    let text = format!(
        "SELECT 'event' AS what, CAST(0 AS SIGNED) AS status, CAST(total AS SIGNED) AS orders, \
         CAST(reserved AS SIGNED) AS units FROM spike_events WHERE id = {event} \
         UNION ALL SELECT 'account', CAST(0 AS SIGNED), CAST(paid AS SIGNED), CAST(returned AS SIGNED) \
         FROM spike_events WHERE id = {event} \
         UNION ALL SELECT 'marker', CAST(0 AS SIGNED), COUNT(*), CAST(COALESCE(SUM(quantity), 0) AS SIGNED) \
         FROM restock_outbox WHERE event_id = {event} AND done_at_ms IS NULL \
         UNION ALL SELECT 'row', CAST(status AS SIGNED), COUNT(*), CAST(COALESCE(SUM(quantity), 0) AS SIGNED) \
         FROM spike_orders WHERE event_id = {event} GROUP BY status"
    );
    let mut event_line = None;
    let (mut paid, mut returned) = (0, 0);
    let mut open_markers = Tally::default();
    let mut rows = [Tally::default(); 5];
    for row in &rows_of_text(conn, text).await? {
        let tally = Tally { orders: u64_at(row, "orders")?, units: u64_at(row, "units")? };
        match at::<&str>(row, "what")? {
            "event" => event_line = Some(tally),
            "account" => (paid, returned) = (tally.orders, tally.units),
            "marker" => open_markers = tally,
            _ => {
                let code: i64 = at(row, "status")?;
                let place = OrderStatus::ALL.iter().position(|status| i64::from(status.code()) == code);
                rows[place.ok_or_else(|| StoreError::corrupt(format!("order status {code}")))?] = tally;
            }
        }
    }
    let Tally { orders: total, units: reserved } = event_line.ok_or(StoreError::NotFound)?;
    Ok(EventFigures { total, reserved, paid, returned, open_markers, rows })
}
