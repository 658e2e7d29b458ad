//! Paid spike orders whose event's ledger has not been told that they are.

use spike_domain::AttemptId;

use sqlx::AssertSqlSafe;

use crate::payments::{COLUMNS, PaymentAttempt};
use crate::query::query;
use crate::sql::rows_of_text;
use crate::transaction::{read, transact};
use crate::{Result, Store};

impl Store {
    /// Attempts that have paid a spike order whose ledger has not been told, longest untold first, at most
    /// `limit`.
    pub async fn untold_payments(&self, limit: u32) -> Result<Vec<PaymentAttempt>> {
        let text = format!(
            "SELECT {COLUMNS} FROM payment_attempts WHERE untold = 1 ORDER BY updated_at_ms LIMIT {limit}"
        );
        read!(self, |conn| { rows_of_text(conn, text).await?.iter().map(PaymentAttempt::read).collect() })
    }

    /// Notes that the ledger has been told of a paid order.
    pub async fn payment_told(&self, attempt: AttemptId) -> Result<()> {
        transact!(self, |tx| {
            let text = "UPDATE payment_attempts SET untold = NULL WHERE attempt_id = ? AND untold = 1";
            query(text).bind(&attempt.bytes()[..]).execute(tx).await?;
            Ok(())
        })
    }

    /// Notes that the ledger could not be told of a paid order, so that the others have their turn.
    pub async fn payment_not_told(&self, attempt: AttemptId) -> Result<()> {
        transact!(self, |tx| {
            let now = tx.dialect().now_ms();
            let text = AssertSqlSafe(format!(
                "UPDATE payment_attempts SET updated_at_ms = {now} WHERE attempt_id = ? AND untold = 1"
            ));
            query(text).bind(&attempt.bytes()[..]).execute(tx).await?;
            Ok(())
        })
    }
}
