//! Everything the database holds of one event, for whoever proves afterwards that a sale kept its invariants.

use spike_domain::{AttemptId, AttemptStatus, EventId, OrderId, OrderStatus, UserId};

use crate::backend::Conn;
use crate::every_row::for_every_row;
use crate::sql::{at, order_at, rows_of_text, status_at, u32_at, u64_at};
use crate::transaction::read;
use crate::{Result, Store, StoreError};

/// One event at rest: its own row, its orders, markers and payments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// S, units.
    pub total: u32,
    /// Units one user may hold.
    pub per_user_limit: u32,
    /// The event's own count of live units.
    pub reserved: u32,
    /// The event's own count of paid units.
    pub paid: u32,
    /// Every row of every status.
    pub orders: Vec<OrderEvidence>,
    /// Every restock marker.
    pub markers: Vec<MarkerEvidence>,
    /// Every payment attempt.
    pub attempts: Vec<AttemptEvidence>,
    /// The database's clock when it was read, Unix milliseconds.
    pub read_at_ms: u64,
}

/// An order's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderEvidence {
    /// Its primary key.
    pub order: OrderId,
    /// Whose it is.
    pub user: UserId,
    /// Units.
    pub quantity: u32,
    /// Its status.
    pub status: OrderStatus,
    /// Hash of its idempotency key.
    pub key: Option<String>,
    /// Accepted, Unix milliseconds by the gateway's clock.
    pub accepted_at_ms: u64,
    /// End of its time to pay, by the database's clock as the next.
    pub expires_at_ms: u64,
    /// Last change.
    pub updated_at_ms: u64,
}

/// A row of the restock outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkerEvidence {
    /// The order.
    pub order: OrderId,
    /// Units to give back.
    pub quantity: u32,
    /// When it was closed, Unix milliseconds.
    pub done_at_ms: Option<u64>,
}

/// A payment attempt and what the simulated provider holds of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptEvidence {
    /// What the provider knows it by.
    pub attempt: AttemptId,
    /// The order.
    pub order: OrderId,
    /// What has become of it.
    pub status: AttemptStatus,
    /// Whether the provider has taken the money; `None` where it has never heard of the attempt.
    pub captured: Option<bool>,
}

impl Store {
    /// Reads all of it. Only at rest is it of one moment: the parts are read one after the other. Errors: `NotFound`.
    pub async fn evidence(&self, event: EventId) -> Result<Evidence> {
        let now = self.dialect().now_ms();
        let event_text = format!(
            "SELECT total, per_user_limit, reserved, paid, {now} AS now_ms FROM spike_events WHERE id = {event}"
        );
        read!(whole_event self, |conn| {
            let of_event = rows_of_text(conn, event_text).await?;
            let row = of_event.first().ok_or(StoreError::NotFound)?;
            Ok(Evidence {
                total: u32_at(row, "total")?,
                per_user_limit: u32_at(row, "per_user_limit")?,
                reserved: u32_at(row, "reserved")?,
                paid: u32_at(row, "paid")?,
                read_at_ms: u64_at(row, "now_ms")?,
                orders: orders(conn, event).await?,
                markers: markers(conn, event).await?,
                attempts: attempts(conn, event).await?,
            })
        })
    }
}

async fn orders(conn: &mut Conn, event: EventId) -> Result<Vec<OrderEvidence>> {
    const COLUMNS: &str =
        "order_id, user_id, quantity, status, idem_key, accepted_at_ms, expires_at_ms, updated_at_ms";
    let mut orders = Vec::new();
    for_every_row(conn, event, COLUMNS, |row| {
        orders.push(OrderEvidence {
            order: order_at(row, "order_id")?,
            user: UserId(at(row, "user_id")?),
            quantity: u32_at(row, "quantity")?,
            status: status_at(row, "status")?,
            key: at::<Option<&str>>(row, "idem_key")?.map(str::to_owned),
            accepted_at_ms: u64_at(row, "accepted_at_ms")?,
            expires_at_ms: u64_at(row, "expires_at_ms")?,
            updated_at_ms: u64_at(row, "updated_at_ms")?,
        });
        Ok(())
    })
    .await?;
    Ok(orders)
}

async fn markers(conn: &mut Conn, event: EventId) -> Result<Vec<MarkerEvidence>> {
    let text = format!("SELECT order_id, quantity, done_at_ms FROM restock_outbox WHERE event_id = {event}");
    let rows = rows_of_text(conn, text).await?;
    let marker = |row| {
        Ok(MarkerEvidence {
            order: order_at(row, "order_id")?,
            quantity: u32_at(row, "quantity")?,
            done_at_ms: at::<Option<i64>>(row, "done_at_ms")?.and_then(|at| u64::try_from(at).ok()),
        })
    };
    rows.iter().map(marker).collect()
}

async fn attempts(conn: &mut Conn, event: EventId) -> Result<Vec<AttemptEvidence>> {
    let text = format!(
        "SELECT a.attempt_id AS attempt_id, a.order_id AS order_id, a.status AS status, s.captured AS captured \
         FROM payment_attempts a LEFT JOIN simulated_payments s ON s.attempt_id = a.attempt_id \
         WHERE a.event_id = {event}"
    );
    let rows = rows_of_text(conn, text).await?;
    let attempt = |row| {
        let code: i8 = at(row, "status")?;
        let status = AttemptStatus::from_code(code)
            .ok_or_else(|| StoreError::corrupt(format!("attempt status {code}")))?;
        Ok(AttemptEvidence {
            attempt: AttemptId(order_at(row, "attempt_id")?.0),
            order: order_at(row, "order_id")?,
            status,
            captured: at::<Option<i8>>(row, "captured")?.map(|captured| captured != 0),
        })
    };
    rows.iter().map(attempt).collect()
}
