//! Pay or cancel (I5), of ordinary orders: one conditional update each; who changes the row wins, and moves the
//! units in the same transaction.

use spike_domain::{OrderId, OrderStatus, UserId};

use sqlx::AssertSqlSafe;

use crate::backend::{Conn, Row};
use crate::inventory;
use crate::movements::Cause;
use crate::query::query;
use crate::shop_orders::units_of;
use crate::sql::{order_at, rows_of_text, status_at};
use crate::transaction::{read, transact};
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
                free(tx, order, Some(user)).await?;
                return Ok(ShopChange::Done);
            }
            let text = "SELECT status FROM orders WHERE id = ? AND user_id = ?";
            let row = query(text).bind(&order.bytes()[..]).bind(user.0).fetch_optional(tx).await?;
            Ok(ShopChange::Refused(status_at(&row.ok_or(StoreError::NotFound)?, "status")?))
        })
    }

    /// Cancels orders whose deadline has passed by the database's clock, oldest first, at most `limit` a call; their
    /// units are available again. Returns the ones this call cancelled: of several workers at once, one cancels each.
    /// Each order is a transaction of its own; one that fails is passed over, and an error is returned only when none
    /// of them succeeded.
    pub async fn expire_shop_orders(&self, limit: u32) -> Result<Vec<OrderId>> {
        let due = due_condition(self.dialect().now_ms());
        let text =
            format!("SELECT id FROM orders WHERE status = 1 {due} ORDER BY expires_at_ms LIMIT {limit}");
        let candidates = read!(self, |conn| {
            let rows = rows_of_text(conn, text).await?;
            rows.iter().map(|row: &Row| order_at(row, "id")).collect::<Result<Vec<_>>>()
        })?;
        let (mut expired, mut failure) = (Vec::new(), None);
        for order in candidates {
            match self.expire_shop_order(order).await {
                Ok(true) => expired.push(order),
                Ok(false) => {} // paid or cancelled since, or another worker's
                Err(error) => {
                    tracing::warn!(%order, %error, "an order past its deadline is not cancelled yet");
                    failure = Some(error);
                }
            }
        }
        match failure {
            Some(error) if expired.is_empty() => Err(error),
            _ => Ok(expired),
        }
    }

    async fn expire_shop_order(&self, order: OrderId) -> Result<bool> {
        let due = due_condition(self.dialect().now_ms());
        transact!(self, |tx| {
            let won = update_status(tx, order, OrderStatus::Cancelled, &due).await?;
            if won {
                free(tx, order, None).await?;
            }
            Ok(won)
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

fn due_condition(now: &str) -> String {
    format!("AND expires_at_ms <= {now}")
}

/// Makes the units of an order that has just been cancelled available again.
async fn free(tx: &mut Conn, order: OrderId, actor: Option<UserId>) -> Result<()> {
    for (product, units) in units_of(tx, order).await? {
        inventory::give_back(tx, product, units, Cause::order(order, actor)).await?;
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
