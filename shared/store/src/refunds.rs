//! Money that is owed to its buyer: given back once, by the attempt's id, and shown to administrators.

use spike_domain::{AttemptId, AttemptStatus};

use sqlx::AssertSqlSafe;

use crate::payments::{COLUMNS, PaymentAttempt, REFUND_DUE, REFUND_FAILED, REFUNDED, reread, step};
use crate::query::query;
use crate::sql::{push_hex, rows_of_text, signed};
use crate::transaction::{read, transact};
use crate::{Result, Store};

impl Store {
    /// Attempts whose money is to be given back, and about which the provider was not asked for `quiet_ms`, longest
    /// first, at most `limit`.
    pub async fn refunds_due(&self, quiet_ms: u64, limit: u32) -> Result<Vec<PaymentAttempt>> {
        let now = self.dialect().now_ms();
        let text = format!(
            "SELECT {COLUMNS} FROM payment_attempts WHERE status = {REFUND_DUE} AND updated_at_ms <= {now} - {} \
             ORDER BY updated_at_ms LIMIT {limit}",
            signed(quiet_ms)
        );
        read!(self, |conn| { rows_of_text(conn, text).await?.iter().map(PaymentAttempt::read).collect() })
    }

    /// Notes that the provider was asked for a refund without an answer, so that the others have their turn.
    pub async fn refund_asked(&self, attempt: AttemptId) -> Result<()> {
        transact!(self, |tx| {
            let now = tx.dialect().now_ms();
            let text = AssertSqlSafe(format!(
                "UPDATE payment_attempts SET updated_at_ms = {now} WHERE attempt_id = ? AND status = {REFUND_DUE}"
            ));
            query(text).bind(&attempt.bytes()[..]).execute(tx).await?;
            Ok(())
        })
    }

    /// Writes down that a refund that was due was made, or that the provider will not make it. Returns the attempt as it
    /// is now; any word after the first changes nothing.
    pub async fn settle_refund(&self, attempt: AttemptId, made: bool) -> Result<PaymentAttempt> {
        transact!(self, |tx| {
            step(tx, attempt, REFUND_DUE, if made { REFUNDED } else { REFUND_FAILED }).await?;
            reread(tx, attempt).await
        })
    }

    /// Attempts of everybody, newest first, those before the cursor `before` (the last id of the page before), at most
    /// `limit`; only those in `status`, if one is given.
    pub async fn payments(
        &self,
        status: Option<AttemptStatus>,
        before: Option<AttemptId>,
        limit: u32,
    ) -> Result<Vec<PaymentAttempt>> {
        // No UUID of version 7 reaches the highest sixteen bytes.
        let mut bound = String::new();
        push_hex(&mut bound, &before.map_or([0xff; 16], |attempt| *attempt.bytes()));
        let only = status.map_or(String::new(), |status| format!("status = {} AND ", status.code()));
        let text = format!(
            "SELECT {COLUMNS} FROM payment_attempts WHERE {only}attempt_id < {bound} ORDER BY attempt_id DESC LIMIT {limit}"
        );
        read!(self, |conn| { rows_of_text(conn, text).await?.iter().map(PaymentAttempt::read).collect() })
    }
}
