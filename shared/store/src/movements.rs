//! Table `inventory_movements`: the ledger of every change of `inventory`, a line a change, written in its
//! transaction. Lines are never changed or deleted, so that a product's lines add up to its inventory.

use spike_domain::{EventId, OrderId, ProductId, UserId};

use sqlx::AssertSqlSafe;

use crate::backend::{Conn, Row};
use crate::error::StoreError;
use crate::query::query;
use crate::sql::{at, u64_at};
use crate::transaction::read;
use crate::{Result, Store};

/// What a movement did. The order or event it was done for stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MovementKind {
    /// The product's first stock.
    Initial,
    /// An administrator's correction of what is available.
    Adjusted,
    /// From available to reserved.
    Reserved,
    /// From reserved back to available.
    Returned,
    /// From reserved to sold.
    Sold,
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovementRow {
    /// Rises with time for one product; a page's cursor.
    pub id: i64,
    /// Whose units.
    pub product: ProductId,
    /// What was done.
    pub kind: MovementKind,
    /// How many units, and where.
    pub delta: Delta,
    /// Who did it; `None` where no person did.
    pub actor: Option<UserId>,
    /// For which order.
    pub order: Option<OrderId>,
    /// For which event.
    pub event: Option<EventId>,
    /// In the actor's words; may be empty.
    pub reason: String,
    /// When, by the database's clock, Unix milliseconds.
    pub at_ms: u64,
}

/// A change of a product's figures, in units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delta {
    /// Of what is available.
    pub available: i64,
    /// Of what is reserved.
    pub reserved: i64,
    /// Of what is sold.
    pub sold: i64,
}

/// Who or what makes units move.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cause<'a> {
    /// The person, where there is one.
    pub actor: Option<UserId>,
    /// The order that takes or leaves them.
    pub order: Option<OrderId>,
    /// The event that takes or leaves them.
    pub event: Option<EventId>,
    /// In the actor's words, at most 200 characters.
    pub reason: &'a str,
}

impl Cause<'_> {
    /// An event, and who made it or closed it.
    pub fn event(event: EventId, actor: Option<UserId>) -> Self {
        Self { actor, event: Some(event), ..Self::default() }
    }

    /// An order, and who placed, paid or cancelled it; `None` for a deadline.
    pub fn order(order: OrderId, actor: Option<UserId>) -> Self {
        Self { actor, order: Some(order), ..Self::default() }
    }
}

const COLUMNS: &str = "id, product_id, kind, delta_available, delta_reserved, delta_sold, actor_id, order_id, \
     event_id, reason, at_ms";

impl Store {
    /// Up to `limit` lines of a product's ledger, newest first, older than the line `before`. Errors: none of
    /// its own; a product that never was has no lines.
    pub async fn movements(
        &self,
        product: ProductId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<MovementRow>> {
        let text = AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM inventory_movements WHERE product_id = ? AND id < ? ORDER BY id DESC LIMIT ?"
        ));
        read!(self, |conn| {
            let query = query(text).bind(product.0).bind(before.unwrap_or(i64::MAX)).bind(limit);
            query.fetch_all(conn).await?.iter().map(MovementRow::read).collect()
        })
    }
}

/// Writes a line. The caller holds the lock of the product's inventory.
pub(crate) async fn record(
    tx: &mut Conn,
    product: ProductId,
    kind: MovementKind,
    delta: Delta,
    cause: Cause<'_>,
) -> Result<()> {
    let now = tx.dialect().now_ms();
    let text = AssertSqlSafe(format!(
        "INSERT INTO inventory_movements (product_id, kind, delta_available, delta_reserved, delta_sold, actor_id, \
         order_id, event_id, reason, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, {now})"
    ));
    let insert = query(text)
        .bind(product.0)
        .bind(kind.code())
        .bind(delta.available)
        .bind(delta.reserved)
        .bind(delta.sold)
        .bind(cause.actor.map(|user| user.0))
        .bind(cause.order.as_ref().map(|order| &order.bytes()[..]))
        .bind(cause.event.map(|event| event.0))
        .bind(cause.reason);
    insert.execute(tx).await?;
    Ok(())
}

impl MovementKind {
    /// Every kind, in the order of their codes.
    pub const ALL: [Self; 5] = [Self::Initial, Self::Adjusted, Self::Reserved, Self::Returned, Self::Sold];

    /// The number in the database, from 1.
    pub fn code(self) -> i8 {
        match self {
            Self::Initial => 1,
            Self::Adjusted => 2,
            Self::Reserved => 3,
            Self::Returned => 4,
            Self::Sold => 5,
        }
    }

    /// The word a client sees.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Adjusted => "adjusted",
            Self::Reserved => "reserved",
            Self::Returned => "returned",
            Self::Sold => "sold",
        }
    }

    fn from_code(code: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

impl MovementRow {
    fn read(row: &Row) -> Result<Self> {
        let code: i8 = at(row, "kind")?;
        let kind = MovementKind::from_code(code)
            .ok_or_else(|| StoreError::corrupt(format!("movement kind {code}")))?;
        let order: Option<&[u8]> = at(row, "order_id")?;
        let order = order.map(|bytes| {
            let bytes = <[u8; 16]>::try_from(bytes);
            bytes.map(OrderId::from_bytes).map_err(|_| StoreError::corrupt("order_id of a movement"))
        });
        Ok(Self {
            id: at(row, "id")?,
            product: ProductId(at(row, "product_id")?),
            kind,
            delta: Delta {
                available: at(row, "delta_available")?,
                reserved: at(row, "delta_reserved")?,
                sold: at(row, "delta_sold")?,
            },
            actor: at::<Option<i64>>(row, "actor_id")?.map(UserId),
            order: order.transpose()?,
            event: at::<Option<i64>>(row, "event_id")?.map(EventId),
            reason: at(row, "reason")?,
            at_ms: u64_at(row, "at_ms")?,
        })
    }
}
