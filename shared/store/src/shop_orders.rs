//! Tables `orders` and `order_items`: ordinary orders, of several products, without a sale.
//!
//! Every transaction of this file takes its locks in one order: the order's row, then the inventory of its
//! products by rising id. An order is made under an id that the caller keeps for a repeat, so it is made once.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use spike_domain::{Money, OrderId, OrderStatus, ProductId, UserId};

use sqlx::AssertSqlSafe;

use crate::backend::{Conn, Row};
use crate::error::Conflict;
use crate::inventory;
use crate::movements::Cause;
use crate::query::query;
use crate::sql::{CHUNK, at, money_at, number_list, order_at, order_list, push_hex, rows_of_text, run_text};
use crate::sql::{status_at, u32_at, u64_at};
use crate::transaction::{read, transact};
use crate::{Result, Store, StoreError};

/// An order to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewShopOrder {
    /// Its id: a repeat with the same id finds the order of the first.
    pub order: OrderId,
    /// Its buyer.
    pub user: UserId,
    /// Products and units, each product once, at least one.
    pub items: BTreeMap<ProductId, u32>,
    /// The total its buyer expects, if any.
    pub expected: Option<Money>,
    /// Seconds until it may not be paid any more.
    pub pay_timeout_s: u32,
}

/// An ordinary order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShopOrderRow {
    /// The order.
    pub order: OrderId,
    /// Its buyer.
    pub user: UserId,
    /// Where it is in its life: pending, paid or cancelled.
    pub status: OrderStatus,
    /// Price of all items.
    pub amount: Money,
    /// What was ordered, by rising product.
    pub items: Vec<ShopItem>,
    /// When it was made, Unix milliseconds by the database's clock.
    pub created_at_ms: u64,
    /// From when on it may not be paid any more, Unix milliseconds by the database's clock.
    pub expires_at_ms: u64,
    /// Last change, Unix milliseconds by the database's clock.
    pub updated_at_ms: u64,
}

/// Units of one product in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShopItem {
    /// The product.
    pub product: ProductId,
    /// Units.
    pub quantity: u32,
    /// Price of one unit when it was ordered.
    pub price: Money,
}

/// What became of a wish to order. Only `Placed` has changed anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// The order is there, made by this call or by one before it with the same id.
    Placed(ShopOrderRow),
    /// There is no such product, or no longer.
    NoSuchProduct(ProductId),
    /// The products have prices in more than one currency.
    MixedCurrencies,
    /// The total is another one than expected: this one.
    AmountIs(Money),
    /// Fewer units of this product are available.
    Short(ProductId),
}

const COLUMNS: &str =
    "id, user_id, status, amount_minor, currency, created_at_ms, expires_at_ms, updated_at_ms";

impl Store {
    /// Makes an order at today's prices and moves its units from available to reserved, in one transaction.
    /// Errors: `Other` for an order of nothing.
    pub async fn place_shop_order(&self, new: &NewShopOrder) -> Result<Placement> {
        if new.items.is_empty() {
            return Err(StoreError::Other("an order of nothing".into()));
        }
        if let Some(row) = self.shop_order(new.order, new.user).await? {
            return Ok(Placement::Placed(row));
        }
        let mut at_fault = None;
        let placed = transact!(self, |tx| { place(tx, new, &mut at_fault).await });
        match (placed, at_fault) {
            (Err(StoreError::Conflict { what: Conflict::Inventory }), Some(product)) => {
                Ok(Placement::Short(product))
            }
            // Deleted since its price was read.
            (Err(StoreError::NotFound), Some(product)) => Ok(Placement::NoSuchProduct(product)),
            // The same order, made at the same moment by a repeat.
            (Err(StoreError::Conflict { what: Conflict::Other }), _) => {
                let row = self.shop_order(new.order, new.user).await?;
                row.map(Placement::Placed).ok_or(StoreError::conflict(Conflict::Other))
            }
            (placed, _) => placed,
        }
    }

    /// An order of this user; another user's order is as absent as an unknown one.
    pub async fn shop_order(&self, order: OrderId, user: UserId) -> Result<Option<ShopOrderRow>> {
        let text = AssertSqlSafe(format!("SELECT {COLUMNS} FROM orders WHERE id = ? AND user_id = ?"));
        read!(self, |conn| {
            let row = query(text).bind(&order.bytes()[..]).bind(user.0).fetch_optional(conn).await?;
            let mut rows = row.iter().map(ShopOrderRow::read).collect::<Result<Vec<_>>>()?;
            with_items(conn, &mut rows).await?;
            Ok(rows.pop())
        })
    }

    /// A user's orders, newest first, at most `limit`, those before the cursor `before` (the last id of the page
    /// before).
    pub async fn shop_orders_of_user(
        &self,
        user: UserId,
        before: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<ShopOrderRow>> {
        // No UUID of version 7 reaches the highest sixteen bytes.
        let before = before.map_or([0xff; 16], |order| *order.bytes());
        let text = AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM orders WHERE user_id = ? AND id < ? ORDER BY id DESC LIMIT ?"
        ));
        read!(self, |conn| {
            let select = query(text).bind(user.0).bind(&before[..]).bind(limit);
            let rows = select.fetch_all(conn).await?;
            let mut rows = rows.iter().map(ShopOrderRow::read).collect::<Result<Vec<_>>>()?;
            with_items(conn, &mut rows).await?;
            Ok(rows)
        })
    }
}

/// Products and units of an order, by rising product.
pub(crate) async fn units_of(tx: &mut Conn, order: OrderId) -> Result<Vec<(ProductId, u32)>> {
    let text = "SELECT product_id, quantity FROM order_items WHERE order_id = ? ORDER BY product_id";
    let rows = query(text).bind(&order.bytes()[..]).fetch_all(tx).await?;
    rows.iter().map(|row| Ok((ProductId(at(row, "product_id")?), u32_at(row, "quantity")?))).collect()
}

/// The transaction of [`Store::place_shop_order`]. `at_fault` is the product whose units are being taken, for an
/// error that does not name it: everything is rolled back then.
async fn place(tx: &mut Conn, new: &NewShopOrder, at_fault: &mut Option<ProductId>) -> Result<Placement> {
    let prices = prices(tx, new).await?;
    if let Some(missing) = new.items.keys().find(|product| !prices.contains_key(product)) {
        return Ok(Placement::NoSuchProduct(*missing));
    }
    let Some(amount) = total(&new.items, &prices)? else { return Ok(Placement::MixedCurrencies) };
    if new.expected.is_some_and(|expected| expected != amount) {
        return Ok(Placement::AmountIs(amount));
    }
    insert(tx, new, amount).await?;
    for (product, units) in &new.items {
        *at_fault = Some(*product);
        inventory::set_aside(tx, *product, *units, Cause::order(new.order, Some(new.user))).await?;
    }
    *at_fault = None;
    insert_items(tx, new, &prices).await?;
    let text = AssertSqlSafe(format!("SELECT {COLUMNS} FROM orders WHERE id = ?"));
    let row = query(text).bind(&new.order.bytes()[..]).fetch_one(tx).await?;
    let item = |(product, quantity): (&ProductId, &u32)| ShopItem {
        product: *product,
        quantity: *quantity,
        price: prices[product],
    };
    let items = new.items.iter().map(item).collect();
    Ok(Placement::Placed(ShopOrderRow { items, ..ShopOrderRow::read(&row)? }))
}

/// Today's prices of the products that are not deleted.
async fn prices(tx: &mut Conn, new: &NewShopOrder) -> Result<BTreeMap<ProductId, Money>> {
    let ids = number_list(new.items.keys().map(|product| product.0));
    let text = format!(
        "SELECT id, price_minor, currency FROM products WHERE id IN ({ids}) AND deleted_at_ms IS NULL"
    );
    let rows = rows_of_text(tx, text).await?;
    rows.iter().map(|row| Ok((ProductId(at(row, "id")?), money_at(row, "price_minor")?))).collect()
}

/// The price of all items; `None` when there is more than one currency.
fn total(items: &BTreeMap<ProductId, u32>, prices: &BTreeMap<ProductId, Money>) -> Result<Option<Money>> {
    let mut sum: Option<Money> = None;
    for (product, units) in items {
        let price = prices[product];
        let too_much =
            || StoreError::corrupt(format!("product {product}: {units} of it cost too much to tell"));
        let cost = price.times(*units).ok_or_else(too_much)?;
        sum = Some(match sum {
            None => cost,
            Some(sum) if sum.currency != cost.currency => return Ok(None),
            Some(sum) => Money { minor: sum.minor.checked_add(cost.minor).ok_or_else(too_much)?, ..sum },
        });
    }
    sum.map(Some).ok_or_else(|| StoreError::Other("an order of nothing".into()))
}

async fn insert(tx: &mut Conn, new: &NewShopOrder, amount: Money) -> Result<()> {
    let now = tx.dialect().now_ms();
    let text = AssertSqlSafe(format!(
        "INSERT INTO orders (id, user_id, status, amount_minor, currency, created_at_ms, expires_at_ms, updated_at_ms) \
         VALUES (?, ?, ?, ?, ?, {now}, {now} + ?, {now})"
    ));
    let insert = query(text).bind(&new.order.bytes()[..]).bind(new.user.0).bind(OrderStatus::Pending.code());
    let insert = insert.bind(amount.minor).bind(amount.currency.as_str());
    insert.bind(i64::from(new.pay_timeout_s) * 1000).execute(tx).await?;
    Ok(())
}

async fn insert_items(tx: &mut Conn, new: &NewShopOrder, prices: &BTreeMap<ProductId, Money>) -> Result<()> {
    let mut text = "INSERT INTO order_items (order_id, product_id, quantity, price_minor) VALUES ".to_owned();
    for (at, (product, units)) in new.items.iter().enumerate() {
        text.push_str(if at == 0 { "(" } else { ",(" });
        push_hex(&mut text, new.order.bytes());
        write!(text, ",{product},{units},{})", prices[product].minor)
            .expect("writing to a String cannot fail");
    }
    run_text(tx, text).await?;
    Ok(())
}

/// Fills in the items of some orders.
async fn with_items(conn: &mut Conn, rows: &mut [ShopOrderRow]) -> Result<()> {
    let ids: Vec<OrderId> = rows.iter().map(|row| row.order).collect();
    let mut items: BTreeMap<OrderId, Vec<ShopItem>> = BTreeMap::new();
    for chunk in ids.chunks(CHUNK) {
        let text = format!(
            "SELECT i.order_id, i.product_id, i.quantity, i.price_minor, o.currency FROM order_items i \
             JOIN orders o ON o.id = i.order_id WHERE i.order_id IN ({}) ORDER BY i.order_id, i.product_id",
            order_list(chunk)
        );
        for row in rows_of_text(conn, text).await? {
            items.entry(order_at(&row, "order_id")?).or_default().push(ShopItem::read(&row)?);
        }
    }
    for row in rows {
        row.items = items.remove(&row.order).unwrap_or_default();
    }
    Ok(())
}

impl ShopOrderRow {
    /// Without its items.
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            order: order_at(row, "id")?,
            user: UserId(at(row, "user_id")?),
            status: status_at(row, "status")?,
            amount: money_at(row, "amount_minor")?,
            items: Vec::new(),
            created_at_ms: u64_at(row, "created_at_ms")?,
            expires_at_ms: u64_at(row, "expires_at_ms")?,
            updated_at_ms: u64_at(row, "updated_at_ms")?,
        })
    }
}

impl ShopItem {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            product: ProductId(at(row, "product_id")?),
            quantity: u32_at(row, "quantity")?,
            price: money_at(row, "price_minor")?,
        })
    }
}
