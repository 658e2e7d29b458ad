//! Finds out what became of payments nobody has heard of: asks the provider about attempts left open (a charge without
//! an answer, a gateway that died around it, a callback that was lost), and tells the ledger of paid spike orders that
//! it has not been told of. Settling is idempotent, so this job and a callback may meet.

use std::time::Duration;

use spike_payments::{PaymentProvider, ProviderError, SimulatedProvider, Standing, settle, show_paid};
use spike_store::PaymentAttempt;

use crate::Jobs;
use crate::stop::Stop;

/// Attempts looked at in one round.
const ATTEMPTS_A_ROUND: u32 = 200;

pub(crate) async fn run(jobs: Jobs, mut stop: Stop) {
    let config = &jobs.config.payments;
    let late = Duration::from_millis(config.simulated_delay_ms);
    // It only asks: the callbacks of a charge are sent by the process that charged.
    let provider = SimulatedProvider::new(jobs.store.clone(), late, None);
    let rest = Duration::from_millis(jobs.config.worker.sweep_interval_ms);
    loop {
        match jobs.store.open_payments(config.resolve_after_ms, ATTEMPTS_A_ROUND).await {
            Ok(open) => {
                for attempt in open {
                    resolve(&jobs, &provider, &attempt).await;
                    if stop.asked() {
                        return;
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "payments without an outcome wait for the database"),
        }
        tell(&jobs).await;
        if stop.rest(rest).await {
            return;
        }
    }
}

/// Asks about one attempt and settles it, if there is a verdict.
async fn resolve(jobs: &Jobs, provider: &dyn PaymentProvider, open: &PaymentAttempt) {
    let patience = Duration::from_millis(jobs.config.payments.timeout_ms);
    let verdict = match tokio::time::timeout(patience, ask(jobs, provider, open)).await {
        Ok(Ok(Standing::Decided(verdict))) => Some(verdict),
        Ok(Ok(Standing::Undecided | Standing::Unknown)) | Err(_) => None,
        Ok(Err(error)) => {
            tracing::debug!(attempt = %open.attempt, %error, "the provider cannot be asked");
            None
        }
    };
    let result = match verdict {
        Some(verdict) => settle(&jobs.store, &jobs.ledger, open.attempt, verdict).await.map(|settled| {
            tracing::info!(attempt = %open.attempt, order = %open.order, status = ?settled.status, "payment resolved");
        }),
        None => jobs.store.payment_asked(open.attempt).await,
    };
    if let Err(error) = result {
        tracing::warn!(attempt = %open.attempt, %error, "a payment is not resolved yet");
    }
}

/// How an attempt stands. One that nobody charged for long enough is voided at the provider before it is given up
/// here: a retry with the buyer's key, which lives far longer, would otherwise take money nobody asks about again.
async fn ask(
    jobs: &Jobs,
    provider: &dyn PaymentProvider,
    open: &PaymentAttempt,
) -> Result<Standing, ProviderError> {
    match provider.inquire(open.attempt).await? {
        Standing::Unknown if old_enough(jobs, open) => provider.void(open.attempt).await,
        standing => Ok(standing),
    }
}

/// By the database's own times: each question moves `updated_at_ms` on.
fn old_enough(jobs: &Jobs, open: &PaymentAttempt) -> bool {
    open.updated_at_ms.saturating_sub(open.created_at_ms) >= jobs.config.payments.give_up_after_ms
}

/// Shows paid orders beside their claims that the one who settled them could not show.
async fn tell(jobs: &Jobs) {
    let untold = match jobs.store.untold_payments(ATTEMPTS_A_ROUND).await {
        Ok(untold) => untold,
        Err(error) => return tracing::warn!(%error, "payments to be shown wait for the database"),
    };
    for paid in untold {
        if let Err(error) = show_paid(&jobs.store, &jobs.ledger, &paid).await {
            tracing::debug!(order = %paid.order, %error, "a paid order is not shown yet");
        }
    }
}
