//! Table `inventory`: where a product's units are. Every change is a conditional update that writes its line
//! into the ledger (`movements`) in the same transaction.
//!
//! The inventory's row is the product's lock: whoever takes units holds it, and so does whoever deletes the
//! product, so that nothing is ever taken of a product that is gone. A transaction that touches several
//! products takes them in the order of their ids.

use std::fmt::Write as _;

use spike_domain::{ProductId, UserId};

use sqlx::AssertSqlSafe;

use crate::backend::{Conn, Row};
use crate::movements::{Cause, Delta, MovementKind, record};
use crate::query::query;
use crate::sql::{at, run_text, u32_at};
use crate::transaction::{read, transact};
use crate::{Conflict, Expected, Result, Store, StoreError};

/// Units of one product, wherever they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inventory {
    /// Free to be ordered or given to an event.
    pub available: u32,
    /// Given to events or held by unpaid orders.
    pub reserved: u32,
    /// Gone.
    pub sold: u32,
    /// Rises with every change of the figures.
    pub version: u32,
}

/// An administrator's correction of what is available.
#[derive(Debug, Clone)]
pub struct Adjustment {
    /// By how much, or to what.
    pub to: AdjustTo,
    /// Only if the inventory is still in this version.
    pub expected: Expected,
    /// Who.
    pub actor: UserId,
    /// Why, at most 200 characters.
    pub reason: String,
}

/// What becomes of the available units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdjustTo {
    /// This many more, or fewer.
    Delta(i64),
    /// Exactly this many.
    Available(u32),
}

/// A product whose movements do not add up to its inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InventoryGap {
    /// The product.
    pub product: ProductId,
    /// What its inventory says.
    pub inventory: Inventory,
    /// What its movements add up to.
    pub movements: Delta,
}

/// Most gaps told at once.
const GAPS_MAX: u32 = 1000;

impl Store {
    /// Most units of one product, wherever they are: what a column holds, should all of them come to one place.
    pub const UNITS_MAX: u32 = 2_147_483_647;

    /// Where a product's units are; of a product that is not deleted.
    pub async fn inventory(&self, product: ProductId) -> Result<Option<Inventory>> {
        read!(self, |conn| { of(conn, product).await })
    }

    /// Corrects what is available and returns the figures after it. A correction to what is there already
    /// changes nothing. Errors: `NotFound` (no such product), `Conflict(Version)`, `Conflict(Inventory)` (would
    /// be below zero, or with what is reserved and sold beyond [`Store::UNITS_MAX`]).
    pub async fn adjust_inventory(&self, product: ProductId, change: Adjustment) -> Result<Inventory> {
        transact!(self, |tx| { adjust(tx, product, &change).await })
    }

    /// Products whose movements do not add up to their inventory, at most a thousand: none, unless somebody
    /// has written into the tables by hand. Reads the whole ledger in one statement.
    pub async fn inventory_audit(&self) -> Result<Vec<InventoryGap>> {
        let text = AssertSqlSafe(format!(
            "SELECT i.product_id, i.available, i.reserved, i.sold, i.version, \
             CAST(COALESCE(m.available, 0) AS SIGNED) AS m_available, \
             CAST(COALESCE(m.reserved, 0) AS SIGNED) AS m_reserved, CAST(COALESCE(m.sold, 0) AS SIGNED) AS m_sold \
             FROM inventory i LEFT JOIN (SELECT product_id, SUM(delta_available) AS available, \
             SUM(delta_reserved) AS reserved, SUM(delta_sold) AS sold FROM inventory_movements GROUP BY product_id) m \
             ON m.product_id = i.product_id WHERE i.available <> COALESCE(m.available, 0) \
             OR i.reserved <> COALESCE(m.reserved, 0) OR i.sold <> COALESCE(m.sold, 0) \
             ORDER BY i.product_id LIMIT {GAPS_MAX}"
        ));
        read!(whole_event self, |conn| {
            query(text).fetch_all(conn).await?.iter().map(InventoryGap::read).collect()
        })
    }
}

/// Locks the inventory of a product that is not deleted until the transaction ends. Errors: `NotFound`.
pub(crate) async fn lock(tx: &mut Conn, product: ProductId) -> Result<Inventory> {
    let for_update = tx.dialect().for_update();
    let locked =
        query(AssertSqlSafe(format!("SELECT version FROM inventory WHERE product_id = ? {for_update}")));
    locked.bind(product.0).fetch_optional(tx).await?.ok_or(StoreError::NotFound)?;
    // A statement of its own, after the lock: it sees a deletion that was committed while this one waited.
    of(tx, product).await?.ok_or(StoreError::NotFound)
}

/// Moves units from available to reserved. Errors: `NotFound` (no such product, or deleted),
/// `Conflict(Inventory)`.
pub(crate) async fn set_aside(tx: &mut Conn, product: ProductId, units: u32, cause: Cause<'_>) -> Result<()> {
    let (out, into) = (-i64::from(units), i64::from(units));
    let delta = Delta { available: out, reserved: into, sold: 0 };
    let moved = shift(tx, product, delta).await?;
    // The row is locked now where it was moved, so that the product cannot be deleted any more.
    if of(tx, product).await?.is_none() {
        return Err(StoreError::NotFound);
    }
    if !moved {
        return Err(StoreError::conflict(Conflict::Inventory));
    }
    record(tx, product, MovementKind::Reserved, delta, cause).await
}

/// The first stock of many products just inserted, a statement a table.
pub(crate) async fn open_many(tx: &mut Conn, stock: &[(ProductId, u32)]) -> Result<()> {
    let now = tx.dialect().now_ms();
    let (mut rows, mut lines) = (String::new(), String::new());
    for (product, units) in stock {
        let comma = if rows.is_empty() { "" } else { "," };
        write!(rows, "{comma}({product}, {units}, {now})").expect("writing to a String cannot fail");
        let kind = MovementKind::Initial.code();
        write!(lines, "{comma}({product}, {kind}, {units}, 0, 0, '', {now})")
            .expect("writing to a String cannot fail");
    }
    run_text(tx, format!("INSERT INTO inventory (product_id, available, updated_at_ms) VALUES {rows}"))
        .await?;
    let lines = format!(
        "INSERT INTO inventory_movements (product_id, kind, delta_available, delta_reserved, delta_sold, reason, \
         at_ms) VALUES {lines}"
    );
    run_text(tx, lines).await?;
    Ok(())
}

/// Moves units from reserved back to available, also of a deleted product. Errors: `Corrupt` where fewer
/// units are reserved.
pub(crate) async fn give_back(tx: &mut Conn, product: ProductId, units: u32, cause: Cause<'_>) -> Result<()> {
    let delta = Delta { available: i64::from(units), reserved: -i64::from(units), sold: 0 };
    of_reserved(tx, product, MovementKind::Returned, delta, cause).await
}

/// Moves units from reserved to sold, also of a deleted product. Errors: `Corrupt` where fewer units are
/// reserved.
pub(crate) async fn sell(tx: &mut Conn, product: ProductId, units: u32, cause: Cause<'_>) -> Result<()> {
    let delta = Delta { available: 0, reserved: -i64::from(units), sold: i64::from(units) };
    of_reserved(tx, product, MovementKind::Sold, delta, cause).await
}

/// The first stock of a product just inserted.
pub(crate) async fn open(tx: &mut Conn, product: ProductId, units: u32, cause: Cause<'_>) -> Result<()> {
    let now = tx.dialect().now_ms();
    let text = AssertSqlSafe(format!(
        "INSERT INTO inventory (product_id, available, updated_at_ms) VALUES (?, ?, {now})"
    ));
    query(text).bind(product.0).bind(units).execute(tx).await?;
    let delta = Delta { available: i64::from(units), ..Delta::default() };
    record(tx, product, MovementKind::Initial, delta, cause).await
}

async fn of_reserved(
    tx: &mut Conn,
    product: ProductId,
    kind: MovementKind,
    delta: Delta,
    cause: Cause<'_>,
) -> Result<()> {
    if !shift(tx, product, delta).await? {
        return Err(fewer(product, delta.reserved.unsigned_abs()));
    }
    record(tx, product, kind, delta, cause).await
}

/// The books are wrong: units that an order or an event holds are not there.
pub(crate) fn fewer(product: ProductId, units: u64) -> StoreError {
    StoreError::corrupt(format!("product {product} has fewer than {units} units reserved"))
}

/// Changes the figures, unless one of them would be below zero; whether it did.
pub(crate) async fn shift(tx: &mut Conn, product: ProductId, delta: Delta) -> Result<bool> {
    let now = tx.dialect().now_ms();
    let text = AssertSqlSafe(format!(
        "UPDATE inventory SET available = available + ?, reserved = reserved + ?, sold = sold + ?, \
         version = version + 1, updated_at_ms = {now} \
         WHERE product_id = ? AND available >= ? AND reserved >= ?"
    ));
    let update = query(text)
        .bind(delta.available)
        .bind(delta.reserved)
        .bind(delta.sold)
        .bind(product.0)
        .bind(-delta.available)
        .bind(-delta.reserved);
    Ok(update.execute(tx).await?.rows == 1)
}

async fn adjust(tx: &mut Conn, product: ProductId, change: &Adjustment) -> Result<Inventory> {
    let before = lock(tx, product).await?;
    change.expected.demand(before.version)?;
    let available = i64::from(before.available);
    let after = match change.to {
        AdjustTo::Delta(delta) => available.saturating_add(delta),
        AdjustTo::Available(units) => i64::from(units),
    };
    // Together: units that are elsewhere come back, and are to find a place.
    let elsewhere = i64::from(before.reserved) + i64::from(before.sold);
    if after < 0 || after.saturating_add(elsewhere) > i64::from(Store::UNITS_MAX) {
        return Err(StoreError::conflict(Conflict::Inventory));
    }
    if after == available {
        return Ok(before);
    }
    let delta = Delta { available: after - available, ..Delta::default() };
    if !shift(tx, product, delta).await? {
        return Err(StoreError::corrupt(format!("the inventory of product {product} moved under its lock")));
    }
    let cause = Cause { actor: Some(change.actor), reason: &change.reason, ..Cause::default() };
    record(tx, product, MovementKind::Adjusted, delta, cause).await?;
    of(tx, product).await?.ok_or(StoreError::NotFound)
}

/// The figures of a product that is not deleted.
async fn of(conn: &mut Conn, product: ProductId) -> Result<Option<Inventory>> {
    let text = "SELECT available, reserved, sold, i.version FROM inventory i JOIN products p ON p.id = i.product_id \
         WHERE i.product_id = ? AND p.deleted_at_ms IS NULL";
    let row = query(text).bind(product.0).fetch_optional(conn).await?;
    row.as_ref().map(Inventory::read).transpose()
}

impl Inventory {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            available: u32_at(row, "available")?,
            reserved: u32_at(row, "reserved")?,
            sold: u32_at(row, "sold")?,
            version: u32_at(row, "version")?,
        })
    }
}

impl InventoryGap {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            product: ProductId(at(row, "product_id")?),
            inventory: Inventory::read(row)?,
            movements: Delta {
                available: at(row, "m_available")?,
                reserved: at(row, "m_reserved")?,
                sold: at(row, "m_sold")?,
            },
        })
    }
}
