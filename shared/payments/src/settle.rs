//! Where a verdict takes effect: in the database, and then beside the buyer's claim in the ledger.

use spike_domain::{AttemptId, AttemptStatus, ClaimState, Verdict};
use spike_stock::{EndedOrder, Stock, StockError};
use spike_store::{PaymentAttempt, Store, StoreError};

/// Writes a verdict down with what follows for the order, and shows a paid spike order as paid. The database decides;
/// a ledger that is away is told later, by the worker. Returns the attempt as it is now.
///
/// # Errors
/// `NotFound` for an unknown attempt; the database is away.
pub async fn settle(
    store: &Store,
    ledger: &Stock,
    attempt: AttemptId,
    verdict: Verdict,
) -> Result<PaymentAttempt, StoreError> {
    let settled = store.settle_payment(attempt, verdict).await?;
    if settled.status == AttemptStatus::RefundDue {
        tracing::warn!(%attempt, order = %settled.order, "money was captured that no order needs: a refund is due");
    }
    if settled.untold
        && let Err(error) = show_paid(store, ledger, &settled).await
    {
        tracing::debug!(order = %settled.order, %error, "the ledger is told of this payment later");
    }
    Ok(settled)
}

/// Shows a paid spike order beside its buyer's claim, where buyers poll it, and notes that it is shown. Repeating it is
/// harmless.
///
/// # Errors
/// The ledger cannot be told; it is to be told again. That it was told and the note failed is no error.
pub async fn show_paid(store: &Store, ledger: &Stock, paid: &PaymentAttempt) -> Result<(), StockError> {
    let Some(event) = paid.event else { return Ok(()) };
    let shown = EndedOrder { user: paid.user, order: paid.order, state: ClaimState::Paid };
    ledger.mark(event, &[shown]).await?;
    if let Err(error) = store.payment_told(paid.attempt).await {
        tracing::debug!(order = %paid.order, %error, "the ledger will be told of this payment twice");
    }
    Ok(())
}
