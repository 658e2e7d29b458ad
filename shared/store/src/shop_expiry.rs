//! Cancels ordinary orders whose time to pay is over, a batch a transaction.
//!
//! Several workers may do this at once: each takes the orders that no other has locked. An order that fails is passed
//! over, so that it holds up only itself; who goes through the orders again later meets it again.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use spike_domain::{OrderId, OrderStatus, ProductId};
use tokio::task::JoinSet;

use crate::backend::Row;
use crate::returns::{Returned, give_back_many};
use crate::sql::{at, order_at, order_list, push_hex, rows_of_text, run_text, u32_at, u64_at};
use crate::transaction::{read, transact};
use crate::{Result, Store, StoreError};

/// Orders of one transaction: few enough that nobody waits long for a product's row.
const BATCH: usize = 50;
/// Orders of a failed batch that are tried by themselves at once.
const SINGLES: usize = 4;

/// A place among the orders past their deadline, by deadline. The default is before all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Overdue {
    expires_at_ms: u64,
    order: Option<OrderId>,
}

/// What became of some orders past their deadline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShopExpiry {
    /// Cancelled by this call; their units are available again.
    pub cancelled: Vec<OrderId>,
    /// Not cancelled, because of errors that have been logged.
    pub failed: Vec<OrderId>,
    /// The place to go on from.
    pub reached: Overdue,
    /// Whether there are more orders behind that place.
    pub more: bool,
}

impl Store {
    /// Cancels orders whose deadline has passed by the database's clock, oldest first, from behind the place `after`,
    /// at most `limit`; their units are available again. Of several workers at once, one cancels each. An error is
    /// returned only when the orders could not even be found.
    pub async fn expire_shop_orders(&self, after: Overdue, limit: u32) -> Result<ShopExpiry> {
        let due = self.overdue(after, limit).await?;
        let mut expiry = ShopExpiry {
            reached: due.last().copied().unwrap_or(after),
            more: due.len() >= limit as usize,
            ..ShopExpiry::default()
        };
        let due: Vec<OrderId> = due.into_iter().filter_map(|place| place.order).collect();
        for batch in due.chunks(BATCH) {
            match self.expire_batch(batch).await {
                Ok(cancelled) => expiry.cancelled.extend(cancelled),
                Err(error) => {
                    tracing::debug!(%error, orders = batch.len(), "orders past their deadline are tried one by one");
                    self.expire_singly(batch, &mut expiry).await;
                }
            }
        }
        Ok(expiry)
    }

    /// Candidates: nothing is locked yet.
    async fn overdue(&self, after: Overdue, limit: u32) -> Result<Vec<Overdue>> {
        let (now, pending) = (self.dialect().now_ms(), OrderStatus::Pending.code());
        let from = after.expires_at_ms;
        let mut text = format!(
            "SELECT id, expires_at_ms FROM orders WHERE status = {pending} AND expires_at_ms <= {now} \
             AND expires_at_ms >= {from}"
        );
        if let Some(order) = after.order {
            // As a range and a rest of it, not as a pair: that is how both databases use the index.
            write!(text, " AND (expires_at_ms > {from} OR id > ").expect("writing to a String cannot fail");
            push_hex(&mut text, order.bytes());
            text.push(')');
        }
        write!(text, " ORDER BY expires_at_ms, id LIMIT {limit}").expect("writing to a String cannot fail");
        read!(self, |conn| { rows_of_text(conn, text).await?.iter().map(Overdue::read).collect() })
    }

    /// Every order of a batch by itself, so that the sound ones are not held up by the others.
    async fn expire_singly(&self, batch: &[OrderId], expiry: &mut ShopExpiry) {
        let mut waiting = batch.iter().copied();
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < SINGLES
                && let Some(order) = waiting.next()
            {
                let store = self.clone();
                under_way.spawn(async move { (order, store.expire_batch(&[order]).await) });
            }
            let Some(ended) = under_way.join_next().await else { return };
            match ended.expect("a transaction does not panic") {
                (_, Ok(cancelled)) => expiry.cancelled.extend(cancelled),
                (order, Err(error)) => {
                    tracing::warn!(%order, %error, "an order past its deadline is not cancelled yet");
                    expiry.failed.push(order);
                }
            }
        }
    }

    /// Cancels those of some orders that are pending, past their deadline and locked by nobody, in one transaction. The
    /// locks are taken as everywhere: the orders first, then the inventory by rising product.
    async fn expire_batch(&self, orders: &[OrderId]) -> Result<Vec<OrderId>> {
        let (dialect, pending) = (self.dialect(), OrderStatus::Pending.code());
        transact!(self, |tx| {
            let now = dialect.now_ms();
            let text = format!(
                "SELECT id FROM orders WHERE id IN ({}) AND status = {pending} AND expires_at_ms <= {now} {}",
                order_list(orders),
                dialect.for_update_of_free_rows(),
            );
            let rows = rows_of_text(tx, text).await?;
            let mine = rows.iter().map(|row| order_at(row, "id")).collect::<Result<Vec<_>>>()?;
            if mine.is_empty() {
                return Ok(mine); // paid or cancelled since, or another worker's
            }
            let list = order_list(&mine);
            let text = format!(
                "UPDATE orders SET status = {}, updated_at_ms = {now} WHERE id IN ({list}) AND status = {pending}",
                OrderStatus::Cancelled.code()
            );
            let changed = run_text(tx, text).await?;
            if changed != mine.len() as u64 {
                return Err(StoreError::corrupt(format!(
                    "{changed} of {} orders changed under their locks",
                    mine.len()
                )));
            }
            let text =
                format!("SELECT order_id, product_id, quantity FROM order_items WHERE order_id IN ({list})");
            let items = rows_of_text(tx, text).await?;
            give_back_many(tx, &by_product(&items)?).await?;
            Ok(mine)
        })
    }
}

/// The units of each product, by rising product.
fn by_product(items: &[Row]) -> Result<BTreeMap<ProductId, Vec<Returned>>> {
    let mut products: BTreeMap<ProductId, Vec<Returned>> = BTreeMap::new();
    for row in items {
        let returned = Returned { order: order_at(row, "order_id")?, units: u32_at(row, "quantity")? };
        products.entry(ProductId(at(row, "product_id")?)).or_default().push(returned);
    }
    Ok(products)
}

impl Overdue {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self { expires_at_ms: u64_at(row, "expires_at_ms")?, order: Some(order_at(row, "id")?) })
    }
}
