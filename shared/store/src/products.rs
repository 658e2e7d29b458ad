//! Tables `products` and `inventory`.

use spike_domain::{Money, ProductId};

use sqlx::AssertSqlSafe;

use crate::backend::{Conn, Row};
use crate::error::duplicate;
use crate::query::query;
use crate::sql::{at, money_at, offset, u32_at, u64_at};
use crate::transaction::{read, transact};
use crate::{Conflict, Page, Result, Store, StoreError};

/// A product to create, with its first stock.
#[derive(Debug, Clone)]
pub struct NewProduct {
    /// Unique among all products.
    pub sku: String,
    /// Title.
    pub name: String,
    /// Longer text.
    pub description: String,
    /// Ordinary price of one unit.
    pub price: Money,
    /// Units available from the start.
    pub stock: u32,
}

/// A product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductRow {
    /// The product.
    pub id: ProductId,
    /// Unique among all products.
    pub sku: String,
    /// Title.
    pub name: String,
    /// Longer text.
    pub description: String,
    /// Ordinary price of one unit.
    pub price: Money,
    /// Rises with every change.
    pub version: u32,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// Unix milliseconds.
    pub updated_at_ms: u64,
}

/// Units of one product, wherever they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inventory {
    /// Free to be ordered or given to an event.
    pub available: u32,
    /// Given to events or held by unpaid orders.
    pub reserved: u32,
    /// Gone.
    pub sold: u32,
}

const COLUMNS: &str =
    "id, sku, name, description, price_minor, currency, version, created_at_ms, updated_at_ms";

impl Store {
    /// Creates product and inventory in one transaction. Errors: `Conflict(Sku)`.
    pub async fn create_product(&self, product: NewProduct) -> Result<ProductId> {
        transact!(self, |tx| { insert(tx, &product).await })
    }

    /// A product that is not deleted.
    pub async fn product(&self, product: ProductId) -> Result<Option<ProductRow>> {
        let text =
            AssertSqlSafe(format!("SELECT {COLUMNS} FROM products WHERE id = ? AND deleted_at_ms IS NULL"));
        read!(self, |conn| {
            let row = query(text).bind(product.0).fetch_optional(conn).await?;
            row.as_ref().map(ProductRow::read).transpose()
        })
    }

    /// Products that are not deleted, newest first; `page` counts from 1.
    pub async fn list_products(&self, page: u32, page_size: u32) -> Result<Page<ProductRow>> {
        let text = AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM products WHERE deleted_at_ms IS NULL ORDER BY id DESC LIMIT ? OFFSET ?"
        ));
        read!(self, |conn| {
            let rows =
                query(text).bind(page_size).bind(offset(page, page_size)).fetch_all(&mut *conn).await?;
            let count = "SELECT COUNT(*) AS total FROM products WHERE deleted_at_ms IS NULL";
            let total = u64_at(&query(count).fetch_one(conn).await?, "total")?;
            Ok(Page { items: rows.iter().map(ProductRow::read).collect::<Result<_>>()?, total })
        })
    }

    /// Where a product's units are.
    pub async fn inventory(&self, product: ProductId) -> Result<Option<Inventory>> {
        let text = "SELECT available, reserved, sold FROM inventory WHERE product_id = ?";
        read!(self, |conn| {
            let row = query(text).bind(product.0).fetch_optional(conn).await?;
            row.as_ref().map(Inventory::read).transpose()
        })
    }
}

/// Moves units of a product from available to reserved. Errors: `NotFound`, `Conflict(Inventory)`.
pub(crate) async fn set_aside(tx: &mut Conn, product: ProductId, units: u32) -> Result<()> {
    let now = tx.dialect().now_ms();
    let text = AssertSqlSafe(format!(
        "UPDATE inventory SET available = available - ?, reserved = reserved + ?, updated_at_ms = {now} \
         WHERE product_id = ? AND available >= ?"
    ));
    let update = query(text).bind(units).bind(units).bind(product.0).bind(units);
    if update.execute(tx).await?.rows == 1 {
        return Ok(());
    }
    let known = query("SELECT product_id FROM inventory WHERE product_id = ?").bind(product.0);
    match known.fetch_optional(tx).await? {
        Some(_) => Err(StoreError::conflict(Conflict::Inventory)),
        None => Err(StoreError::NotFound),
    }
}

impl ProductRow {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: ProductId(at(row, "id")?),
            sku: at(row, "sku")?,
            name: at(row, "name")?,
            description: at(row, "description")?,
            price: money_at(row, "price_minor")?,
            version: u32_at(row, "version")?,
            created_at_ms: u64_at(row, "created_at_ms")?,
            updated_at_ms: u64_at(row, "updated_at_ms")?,
        })
    }
}

impl Inventory {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            available: u32_at(row, "available")?,
            reserved: u32_at(row, "reserved")?,
            sold: u32_at(row, "sold")?,
        })
    }
}

async fn insert(tx: &mut Conn, product: &NewProduct) -> Result<ProductId> {
    let now = tx.dialect().now_ms();
    let text = AssertSqlSafe(format!(
        "INSERT INTO products (sku, name, description, price_minor, currency, created_at_ms, updated_at_ms) \
         VALUES (?, ?, ?, ?, ?, {now}, {now})"
    ));
    let insert = query(text)
        .bind(&product.sku)
        .bind(&product.name)
        .bind(&product.description)
        .bind(product.price.minor)
        .bind(product.price.currency.as_str());
    let done = insert.execute(tx).await.map_err(|error| match duplicate(&error) {
        true => StoreError::conflict(Conflict::Sku),
        false => error.into(),
    })?;
    let text = AssertSqlSafe(format!(
        "INSERT INTO inventory (product_id, available, updated_at_ms) VALUES (?, ?, {now})"
    ));
    query(text).bind(done.last_id).bind(product.stock).execute(tx).await?;
    Ok(ProductId(done.last_id))
}
