//! Table `products`.

use std::collections::HashMap;

use spike_domain::{EventState, Money, ProductId, UserId};

use sqlx::AssertSqlSafe;

use crate::backend::{Conn, Row};
use crate::error::duplicate;
use crate::inventory;
use crate::movements::Cause;
use crate::product_list::{name_key, sku_key};
use crate::query::query;
use crate::sql::{CHUNK, at, money_at, u32_at, u64_at};
use crate::transaction::{read, transact};
use crate::{Conflict, Expected, Result, Store, StoreError};

/// A product to create, with its first stock.
#[derive(Debug, Clone)]
pub struct NewProduct {
    /// Unique among all products, deleted ones too.
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

/// What to change of a product; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct ProductChange {
    /// Unique among all products, deleted ones too.
    pub sku: Option<String>,
    /// Title.
    pub name: Option<String>,
    /// Longer text.
    pub description: Option<String>,
    /// Ordinary price of one unit.
    pub price: Option<Money>,
}

/// Chunks of products in one transaction of a bulk insert.
const BULK_CHUNKS: usize = 10;

/// What [`ProductRow::read`] wants.
pub(crate) const COLUMNS: &str =
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

    /// Changes what is given and returns the product after it; a change to what is there already changes
    /// nothing. Errors: `NotFound`, `Conflict(Version)`, `Conflict(Sku)`.
    pub async fn update_product(
        &self,
        product: ProductId,
        expected: &Expected,
        change: &ProductChange,
    ) -> Result<ProductRow> {
        transact!(self, |tx| { update(tx, product, expected, change).await })
    }

    /// Takes a product out of the catalogue. Its row, its ledger and its SKU stay: orders name it for ever, and
    /// units given back later still have a place to go. Errors: `NotFound`, `Conflict(Version)`,
    /// `Conflict(InUse)` (an event that is not closed sells it).
    pub async fn delete_product(&self, product: ProductId, expected: &Expected) -> Result<()> {
        transact!(self, |tx| { delete(tx, product, expected).await })
    }

    /// Creates many products, with their stock, for seeds and load tests: thousands a transaction. Errors:
    /// `Conflict(Sku)`, which leaves the transactions before it behind.
    pub async fn bulk_insert_products(&self, products: &[NewProduct]) -> Result<()> {
        for part in products.chunks(CHUNK * BULK_CHUNKS) {
            transact!(self, |tx| {
                for chunk in part.chunks(CHUNK) {
                    insert_many(tx, chunk).await?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

impl ProductChange {
    fn of(&self, before: &ProductRow) -> ProductRow {
        let mut after = before.clone();
        after.sku = self.sku.clone().unwrap_or(after.sku);
        after.name = self.name.clone().unwrap_or(after.name);
        after.description = self.description.clone().unwrap_or(after.description);
        after.price = self.price.unwrap_or(after.price);
        after
    }
}

impl ProductRow {
    pub(crate) fn read(row: &Row) -> Result<Self> {
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
        "INSERT INTO products (sku, sku_key, name, name_key, description, price_minor, currency, created_at_ms, \
         updated_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, {now}, {now})"
    ));
    let (sku_key, name_key) = (sku_key(&product.sku), name_key(&product.name));
    let insert = query(text)
        .bind(&product.sku)
        .bind(&sku_key)
        .bind(&product.name)
        .bind(&name_key)
        .bind(&product.description)
        .bind(product.price.minor)
        .bind(product.price.currency.as_str());
    Ok(ProductId(insert.execute(tx).await.map_err(of_sku)?.last_id))
}

/// One statement a table. The ids are found again by their SKUs: how a server numbers the rows of one statement
/// is its own affair.
async fn insert_many(tx: &mut Conn, products: &[NewProduct]) -> Result<()> {
    let now = tx.dialect().now_ms();
    let keys: Vec<_> =
        products.iter().map(|product| (sku_key(&product.sku), name_key(&product.name))).collect();
    let values = vec![format!("(?, ?, ?, ?, ?, ?, ?, {now}, {now})"); products.len()].join(",");
    let text = format!(
        "INSERT INTO products (sku, sku_key, name, name_key, description, price_minor, currency, created_at_ms, \
         updated_at_ms) VALUES {values}"
    );
    let mut insert = query(AssertSqlSafe(text)).persistent(false);
    for (product, (sku_key, name_key)) in products.iter().zip(&keys) {
        insert = insert.bind(&product.sku).bind(sku_key).bind(&product.name).bind(name_key);
        insert = insert.bind(&product.description).bind(product.price.minor);
        insert = insert.bind(product.price.currency.as_str());
    }
    insert.execute(tx).await.map_err(of_sku)?;

    let marks = vec!["?"; products.len()].join(",");
    let text = format!("SELECT id, sku FROM products WHERE sku IN ({marks})");
    let mut select = query(AssertSqlSafe(text)).persistent(false);
    for product in products {
        select = select.bind(&product.sku);
    }
    let mut ids = HashMap::with_capacity(products.len());
    for row in select.fetch_all(tx).await? {
        ids.insert(at::<String>(&row, "sku")?, at::<i64>(&row, "id")?);
    }
    let stock = products.iter().map(|product| match ids.get(&product.sku) {
        Some(id) => Ok((ProductId(*id), product.stock)),
        None => Err(StoreError::corrupt("a product just inserted is not there")),
    });
    inventory::open_many(tx, &stock.collect::<Result<Vec<_>>>()?).await
}

async fn update(
    tx: &mut Conn,
    product: ProductId,
    expected: &Expected,
    change: &ProductChange,
) -> Result<ProductRow> {
    let before = locked(tx, product).await?;
    expected.demand(before.version)?;
    let after = change.of(&before);
    if after == before {
        return Ok(before);
    }
    let now = tx.dialect().now_ms();
    let text = AssertSqlSafe(format!(
        "UPDATE products SET sku = ?, sku_key = ?, name = ?, name_key = ?, description = ?, price_minor = ?, \
         currency = ?, version = version + 1, updated_at_ms = {now} WHERE id = ?"
    ));
    let (sku_key, name_key) = (sku_key(&after.sku), name_key(&after.name));
    let update = query(text)
        .bind(&after.sku)
        .bind(&sku_key)
        .bind(&after.name)
        .bind(&name_key)
        .bind(&after.description)
        .bind(after.price.minor)
        .bind(after.price.currency.as_str())
        .bind(product.0);
    update.execute(tx).await.map_err(of_sku)?;
    locked(tx, product).await
}

async fn delete(tx: &mut Conn, product: ProductId, expected: &Expected) -> Result<()> {
    // The lock of whoever takes units: no event and no order can take any while this looks.
    inventory::lock(tx, product).await?;
    expected.demand(locked(tx, product).await?.version)?;
    let selling = "SELECT id FROM spike_events WHERE product_id = ? AND state <> ? LIMIT 1";
    let selling = query(selling).bind(product.0).bind(EventState::Closed.code());
    if selling.fetch_optional(tx).await?.is_some() {
        return Err(StoreError::conflict(Conflict::InUse));
    }
    let now = tx.dialect().now_ms();
    let text = AssertSqlSafe(format!(
        "UPDATE products SET deleted_at_ms = {now}, version = version + 1, updated_at_ms = {now} WHERE id = ?"
    ));
    query(text).bind(product.0).execute(tx).await?;
    Ok(())
}

async fn locked(tx: &mut Conn, product: ProductId) -> Result<ProductRow> {
    let text = AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM products WHERE id = ? AND deleted_at_ms IS NULL {}",
        tx.dialect().for_update()
    ));
    let row = query(text).bind(product.0).fetch_optional(tx).await?.ok_or(StoreError::NotFound)?;
    ProductRow::read(&row)
}

fn of_sku(error: sqlx::Error) -> StoreError {
    match duplicate(&error) {
        true => StoreError::conflict(Conflict::Sku),
        false => error.into(),
    }
}
