//! Table `payment_attempts`: every try to pay an order, recorded before the provider is asked.
//!
//! An order has at most one attempt that is open or has paid it. A verdict is settled by conditional updates in one
//! transaction with the order, so that however often it arrives, captured money ends as PAID or as REFUND_DUE, once.

use spike_domain::{AttemptId, AttemptStatus, EventId, Money, OrderId, OrderStatus, UserId, Verdict};

use sqlx::AssertSqlSafe;

use crate::backend::{Conn, Row};
use crate::error::Conflict;
use crate::order_life;
use crate::query::query;
use crate::shop_order_life;
use crate::sql::{CHUNK, at, money_at, order_at, order_list, rows_of_text, signed, status_at, u64_at};
use crate::transaction::{read, transact, under_lock};
use crate::{Result, Store, StoreError};

/// One try to pay an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaymentAttempt {
    /// What the provider knows it by.
    pub attempt: AttemptId,
    /// The order.
    pub order: OrderId,
    /// Its event, if it is a spike order.
    pub event: Option<EventId>,
    /// Who pays.
    pub user: UserId,
    /// How much.
    pub amount: Money,
    /// What has become of it.
    pub status: AttemptStatus,
    /// Whether its event's ledger still has to be told that the order is paid.
    pub untold: bool,
    /// When it was recorded, Unix milliseconds by the database's clock.
    pub created_at_ms: u64,
    /// Last change, or when the provider was last asked, Unix milliseconds by the database's clock.
    pub updated_at_ms: u64,
}

/// Whether an order may be charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// This attempt is recorded, by this call or by one before it with the same id. Charge it if it is open.
    Recorded(PaymentAttempt),
    /// Another attempt of this order has no verdict yet.
    InProgress(AttemptId),
    /// The order was tried as often as an order may be, and is still to be paid.
    TooOften,
    /// The order is not to be paid: its status. PENDING here means that its deadline has passed.
    NotPayable(OrderStatus),
}

pub(crate) const COLUMNS: &str = "attempt_id, order_id, event_id, user_id, amount_minor, currency, status, untold, \
     created_at_ms, updated_at_ms";

/// A table of orders, and what its id and its event are called in it.
type Columns = [&'static str; 3];
const SHOP: Columns = ["orders", "id", "NULL"];
const SPIKE: Columns = ["spike_orders", "order_id", "event_id"];

const OPEN: i8 = 1;
const CAPTURED: i8 = 2;
const DECLINED: i8 = 3;
pub(crate) const REFUND_DUE: i8 = 4;
pub(crate) const REFUNDED: i8 = 5;
pub(crate) const REFUND_FAILED: i8 = 6;

impl Store {
    /// Records an attempt to pay an order of `user`, of either kind, if it is pending and within its deadline by the
    /// database's clock and has fewer than `attempts_max`. Errors: `NotFound`, also for another user's order.
    pub async fn begin_payment(
        &self,
        attempt: AttemptId,
        order: OrderId,
        user: UserId,
        attempts_max: u32,
    ) -> Result<Begun> {
        match self.try_payment(attempt, order, user, attempts_max).await? {
            // Either its deadline has passed, or the attempt that was in the way ended a moment ago.
            Begun::NotPayable(OrderStatus::Pending) => {
                self.try_payment(attempt, order, user, attempts_max).await
            }
            begun => Ok(begun),
        }
    }

    async fn try_payment(
        &self,
        attempt: AttemptId,
        order: OrderId,
        user: UserId,
        attempts_max: u32,
    ) -> Result<Begun> {
        let recorded = transact!(self, |tx| {
            Ok(record(tx, attempt, order, user, SHOP, attempts_max).await?
                || record(tx, attempt, order, user, SPIKE, attempts_max).await?)
        });
        match recorded {
            Ok(_) | Err(StoreError::Conflict { what: Conflict::Other }) => {}
            Err(error) => return Err(error),
        }
        if let Some(row) = self.payment(attempt).await? {
            // An id is made for one order of one user; anything else is a client's or a caller's mistake.
            return if (row.order, row.user) == (order, user) {
                Ok(Begun::Recorded(row))
            } else {
                Err(StoreError::NotFound)
            };
        }
        // The attempts first: one that is captured between the two reads has paid the order that is read after it.
        let others = self.payments_of(&[order]).await?;
        let status = self.order_status(order, user).await?.ok_or(StoreError::NotFound)?;
        let open = others.iter().find(|other| other.status == AttemptStatus::Open);
        Ok(match open.filter(|_| status == OrderStatus::Pending) {
            Some(open) => Begun::InProgress(open.attempt),
            None if status == OrderStatus::Pending && others.len() >= attempts_max as usize => {
                Begun::TooOften
            }
            None => Begun::NotPayable(status),
        })
    }

    /// Writes down what the provider decided, and what follows for the order: captured money pays it while it is
    /// pending and within its deadline, and is to be refunded otherwise. Any verdict after the first changes nothing,
    /// but that money captured after all, of an attempt that was declined, is to be refunded. Returns the attempt as it
    /// is now. Errors: `NotFound`.
    pub async fn settle_payment(&self, attempt: AttemptId, verdict: Verdict) -> Result<PaymentAttempt> {
        let found = self.payment(attempt).await?.ok_or(StoreError::NotFound)?;
        match (verdict, found.event) {
            (Verdict::Declined, _) => transact!(self, |tx| {
                step(tx, attempt, OPEN, DECLINED).await?;
                reread(tx, attempt).await
            }),
            (Verdict::Captured, None) => transact!(self, |tx| { capture(tx, &found).await }),
            (Verdict::Captured, Some(event)) => {
                under_lock!(self, event, |tx, _locked| { capture(tx, &found).await })
            }
        }
    }

    /// One attempt.
    pub async fn payment(&self, attempt: AttemptId) -> Result<Option<PaymentAttempt>> {
        let text = AssertSqlSafe(format!("SELECT {COLUMNS} FROM payment_attempts WHERE attempt_id = ?"));
        read!(self, |conn| {
            let row = query(text).bind(&attempt.bytes()[..]).fetch_optional(conn).await?;
            row.as_ref().map(PaymentAttempt::read).transpose()
        })
    }

    /// Every attempt of some orders, oldest first of each.
    pub async fn payments_of(&self, orders: &[OrderId]) -> Result<Vec<PaymentAttempt>> {
        read!(self, |conn| {
            let mut attempts = Vec::new();
            for chunk in orders.chunks(CHUNK) {
                let text = format!(
                    "SELECT {COLUMNS} FROM payment_attempts WHERE order_id IN ({}) ORDER BY order_id, attempt_id",
                    order_list(chunk)
                );
                for row in &rows_of_text(conn, text).await? {
                    attempts.push(PaymentAttempt::read(row)?);
                }
            }
            Ok(attempts)
        })
    }

    /// Attempts without a verdict about which the provider was not asked for `quiet_ms`, longest first, at most
    /// `limit`.
    pub async fn open_payments(&self, quiet_ms: u64, limit: u32) -> Result<Vec<PaymentAttempt>> {
        let now = self.dialect().now_ms();
        let text = format!(
            "SELECT {COLUMNS} FROM payment_attempts WHERE status = {OPEN} AND updated_at_ms <= {now} - {} \
             ORDER BY updated_at_ms LIMIT {limit}",
            signed(quiet_ms)
        );
        read!(self, |conn| { rows_of_text(conn, text).await?.iter().map(PaymentAttempt::read).collect() })
    }

    /// Notes that the provider was asked about an open attempt and has no verdict yet, so that the others have their
    /// turn.
    pub async fn payment_asked(&self, attempt: AttemptId) -> Result<()> {
        transact!(self, |tx| {
            let now = tx.dialect().now_ms();
            let text = AssertSqlSafe(format!(
                "UPDATE payment_attempts SET updated_at_ms = {now} WHERE attempt_id = ? AND status = {OPEN}"
            ));
            query(text).bind(&attempt.bytes()[..]).execute(tx).await?;
            Ok(())
        })
    }

    /// The status of an order of this user, of either kind; another user's order is as absent as an unknown one.
    pub async fn order_status(&self, order: OrderId, user: UserId) -> Result<Option<OrderStatus>> {
        read!(self, |conn| {
            for [table, id, _] in [SHOP, SPIKE] {
                let text =
                    AssertSqlSafe(format!("SELECT status FROM {table} WHERE {id} = ? AND user_id = ?"));
                let row = query(text).bind(&order.bytes()[..]).bind(user.0).fetch_optional(conn).await?;
                if let Some(row) = row {
                    return Ok(Some(status_at(&row, "status")?));
                }
            }
            Ok(None)
        })
    }
}

/// Inserts an attempt from the order's own row, if that may be paid now; whether it did.
#[allow(clippy::too_many_arguments, reason = "every one of them is part of the row")]
async fn record(
    tx: &mut Conn,
    attempt: AttemptId,
    order: OrderId,
    user: UserId,
    [table, id, event]: Columns,
    attempts_max: u32,
) -> Result<bool> {
    let (now, pending) = (tx.dialect().now_ms(), OrderStatus::Pending.code());
    let text = AssertSqlSafe(format!(
        "INSERT INTO payment_attempts (attempt_id, order_id, event_id, user_id, amount_minor, currency, status, \
         created_at_ms, updated_at_ms) \
         SELECT ?, {id}, {event}, user_id, amount_minor, currency, {OPEN}, {now}, {now} FROM {table} \
         WHERE {id} = ? AND user_id = ? AND status = {pending} AND expires_at_ms > {now} \
         AND (SELECT COUNT(*) FROM payment_attempts tried WHERE tried.order_id = ?) < {attempts_max}"
    ));
    let insert = query(text).bind(&attempt.bytes()[..]).bind(&order.bytes()[..]).bind(user.0);
    let insert = insert.bind(&order.bytes()[..]);
    Ok(insert.execute(tx).await?.rows == 1)
}

/// Captured money, in the transaction that also holds the event's lock for a spike order.
async fn capture(tx: &mut Conn, found: &PaymentAttempt) -> Result<PaymentAttempt> {
    if step(tx, found.attempt, OPEN, CAPTURED).await? {
        let paid = match found.event {
            None => shop_order_life::pay(tx, found.order, found.user).await?,
            Some(_) => order_life::pay(tx, found.order).await?,
        };
        match (paid, found.event) {
            (false, _) => drop(step(tx, found.attempt, CAPTURED, REFUND_DUE).await?),
            (true, Some(_)) => {
                let text = "UPDATE payment_attempts SET untold = 1 WHERE attempt_id = ?";
                query(text).bind(&found.attempt.bytes()[..]).execute(tx).await?;
            }
            (true, None) => {}
        }
    } else {
        // Declined, or given up, and captured after all.
        step(tx, found.attempt, DECLINED, REFUND_DUE).await?;
    }
    reread(tx, found.attempt).await
}

/// The one conditional update of an attempt: whether this call took the step.
pub(crate) async fn step(tx: &mut Conn, attempt: AttemptId, from: i8, to: i8) -> Result<bool> {
    let now = tx.dialect().now_ms();
    let text = AssertSqlSafe(format!(
        "UPDATE payment_attempts SET status = {to}, updated_at_ms = {now} WHERE attempt_id = ? AND status = {from}"
    ));
    Ok(query(text).bind(&attempt.bytes()[..]).execute(tx).await?.rows == 1)
}

pub(crate) async fn reread(tx: &mut Conn, attempt: AttemptId) -> Result<PaymentAttempt> {
    let text = AssertSqlSafe(format!("SELECT {COLUMNS} FROM payment_attempts WHERE attempt_id = ?"));
    PaymentAttempt::read(&query(text).bind(&attempt.bytes()[..]).fetch_one(tx).await?)
}

impl PaymentAttempt {
    pub(crate) fn read(row: &Row) -> Result<Self> {
        let code: i8 = at(row, "status")?;
        let status = AttemptStatus::from_code(code);
        let untold: Option<i8> = at(row, "untold")?;
        Ok(Self {
            attempt: AttemptId(order_at(row, "attempt_id")?.0),
            order: order_at(row, "order_id")?,
            event: at::<Option<i64>>(row, "event_id")?.map(EventId),
            user: UserId(at(row, "user_id")?),
            amount: money_at(row, "amount_minor")?,
            status: status.ok_or_else(|| StoreError::corrupt(format!("payment status {code}")))?,
            untold: untold == Some(1),
            created_at_ms: u64_at(row, "created_at_ms")?,
            updated_at_ms: u64_at(row, "updated_at_ms")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_in_the_statements_are_the_domains() {
        assert_eq!(
            AttemptStatus::ALL.map(AttemptStatus::code),
            [OPEN, CAPTURED, DECLINED, REFUND_DUE, REFUNDED, REFUND_FAILED]
        );
    }
}
