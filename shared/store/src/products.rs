//! Table `products`.

use spike_domain::{Money, ProductId, UserId};

use sqlx::AssertSqlSafe;

use crate::backend::{Conn, Row};
use crate::error::duplicate;
use crate::inventory;
use crate::movements::Cause;
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

const COLUMNS: &str =
    "id, sku, name, description, price_minor, currency, version, created_at_ms, updated_at_ms";

impl Store {
    /// Creates product, inventory and the ledger's first line in one transaction; `actor` is who does it.
    /// Errors: `Conflict(Sku)`.
    pub async fn create_product(&self, product: NewProduct, actor: Option<UserId>) -> Result<ProductId> {
        transact!(self, |tx| {
            let id = insert(tx, &product).await?;
            inventory::open(tx, id, product.stock, Cause { actor, ..Cause::default() }).await?;
            Ok(id)
        })
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
    Ok(ProductId(done.last_id))
}
