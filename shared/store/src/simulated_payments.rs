//! Table `simulated_payments`: what the simulated payment provider remembers. It stands for the books of somebody
//! else's company, so nothing but that provider reads it; it is a table so that a worker in another process asks the
//! same provider as the gateway.

use spike_domain::{AttemptId, Verdict};

use sqlx::AssertSqlSafe;

use crate::error::duplicate;
use crate::query::query;
use crate::sql::{at, signed};
use crate::transaction::{read, transact};
use crate::{Result, Store};

impl Store {
    /// Writes a charge down with the verdict it will have in `settles_in_ms`; one that is known stays as it is.
    /// Whether it is new.
    pub async fn record_simulated(
        &self,
        attempt: AttemptId,
        verdict: Verdict,
        settles_in_ms: u64,
    ) -> Result<bool> {
        transact!(self, |tx| {
            let now = tx.dialect().now_ms();
            let text = AssertSqlSafe(format!(
                "INSERT INTO simulated_payments (attempt_id, captured, settles_at_ms, created_at_ms) \
                 VALUES (?, ?, {now} + ?, {now})"
            ));
            let captured = i8::from(verdict == Verdict::Captured);
            let insert = query(text).bind(&attempt.bytes()[..]).bind(captured).bind(signed(settles_in_ms));
            match insert.execute(tx).await {
                Ok(_) => Ok(true),
                Err(error) if duplicate(&error) => Ok(false),
                Err(error) => Err(error.into()),
            }
        })
    }

    /// What the provider knows of a charge: nothing, that it has no verdict yet, or its verdict.
    pub async fn simulated_payment(&self, attempt: AttemptId) -> Result<Option<Option<Verdict>>> {
        let now = self.dialect().now_ms();
        let text = AssertSqlSafe(format!(
            "SELECT captured, CAST(settles_at_ms <= {now} AS SIGNED) AS settled FROM simulated_payments WHERE attempt_id = ?"
        ));
        read!(self, |conn| {
            let Some(row) = query(text).bind(&attempt.bytes()[..]).fetch_optional(conn).await? else {
                return Ok(None);
            };
            let (captured, settled): (i8, i64) = (at(&row, "captured")?, at(&row, "settled")?);
            let verdict = if captured == 1 { Verdict::Captured } else { Verdict::Declined };
            Ok(Some((settled == 1).then_some(verdict)))
        })
    }

    /// Gives the money of a charge back, once however often it is asked for. Whether it has been given back; not where
    /// none was captured.
    pub async fn refund_simulated(&self, attempt: AttemptId) -> Result<bool> {
        transact!(self, |tx| {
            let now = tx.dialect().now_ms();
            let text = AssertSqlSafe(format!(
                "UPDATE simulated_payments SET refunded_at_ms = COALESCE(refunded_at_ms, {now}) \
                 WHERE attempt_id = ? AND captured = 1 AND settles_at_ms <= {now}"
            ));
            Ok(query(text).bind(&attempt.bytes()[..]).execute(tx).await?.rows == 1)
        })
    }
}
