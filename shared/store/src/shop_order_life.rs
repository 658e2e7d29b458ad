//! Pay or cancel (I5), of ordinary orders: one conditional update each; who changes the row wins, and moves the
//! units in the same transaction.

use spike_domain::{OrderId, OrderStatus, UserId};

use sqlx::AssertSqlSafe;

use crate::backend::Conn;
use crate::inventory;
use crate::movements::Cause;
use crate::query::query;
use crate::shop_orders::units_of;
use crate::sql::status_at;
use crate::transaction::transact;
use crate::{Result, Store, StoreError};

/// What became of a wish to change an ordinary order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShopChange {
    /// This call changed it.
    Done,
    /// It was not to be had: the status it has now.
    Refused(OrderStatus),
}

impl Store {
    /// Cancels a pending order of `user`; its units are available again. Errors: `NotFound`, also for another user's
    /// order.
    pub async fn cancel_shop_order(&self, order: OrderId, user: UserId) -> Result<ShopChange> {
        transact!(self, |tx| {
            let owned = format!("AND user_id = {user}");
            if update_status(tx, order, OrderStatus::Cancelled, &owned).await? {
                free(tx, order, user).await?;
                return Ok(ShopChange::Done);
            }
            let text = "SELECT status FROM orders WHERE id = ? AND user_id = ?";
            let row = query(text).bind(&order.bytes()[..]).bind(user.0).fetch_optional(tx).await?;
            Ok(ShopChange::Refused(status_at(&row.ok_or(StoreError::NotFound)?, "status")?))
        })
    }
}

/// Marks a pending order as paid and its units as sold, within its deadline by the database's clock; whether it did.
pub(crate) async fn pay(tx: &mut Conn, order: OrderId, user: UserId) -> Result<bool> {
    let in_time = format!("AND expires_at_ms > {}", tx.dialect().now_ms());
    if !update_status(tx, order, OrderStatus::Paid, &in_time).await? {
        return Ok(false);
    }
    for (product, units) in units_of(tx, order).await? {
        inventory::sell(tx, product, units, Cause::order(order, Some(user))).await?;
    }
    Ok(true)
}

/// Makes the units of an order that has just been cancelled available again.
async fn free(tx: &mut Conn, order: OrderId, actor: UserId) -> Result<()> {
    for (product, units) in units_of(tx, order).await? {
        inventory::give_back(tx, product, units, Cause::order(order, Some(actor))).await?;
    }
    Ok(())
}

/// The one conditional update: whether this call took the order out of PENDING.
async fn update_status(tx: &mut Conn, order: OrderId, to: OrderStatus, condition: &str) -> Result<bool> {
    let (now, pending) = (tx.dialect().now_ms(), OrderStatus::Pending.code());
    let text = AssertSqlSafe(format!(
        "UPDATE orders SET status = {}, updated_at_ms = {now} WHERE id = ? AND status = {pending} {condition}",
        to.code()
    ));
    Ok(query(text).bind(&order.bytes()[..]).execute(tx).await?.rows == 1)
}
