//! Finds out what became of payments nobody has heard of: asks the provider about attempts left open (a charge without
//! an answer, a gateway that died around it, a callback that was lost). Settling is idempotent, so this job and a
//! callback may meet.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use spike_metrics::words::Job;
use spike_payments::{PaymentProvider, ProviderError, SimulatedProvider, Standing, settle};
use spike_store::{PaymentAttempt, Result};

use crate::Jobs;
use crate::crew::{self, Chore};
use crate::stop::Stop;

pub(crate) async fn run(jobs: Jobs, stop: Stop) {
    let rest = Duration::from_millis(jobs.config.worker.sweep_interval_ms);
    crew::run(Resolve { provider: provider(&jobs), jobs }, rest, stop).await;
}

/// The provider, for questions only: the callbacks of a charge are sent by the process that charged.
pub(crate) fn provider(jobs: &Jobs) -> Arc<dyn PaymentProvider> {
    let late = Duration::from_millis(jobs.config.payments.simulated_delay_ms);
    Arc::new(SimulatedProvider::new(jobs.store.clone(), late, None))
}

#[derive(Clone)]
struct Resolve {
    jobs: Jobs,
    provider: Arc<dyn PaymentProvider>,
}

impl Chore for Resolve {
    const NAME: &'static str = "payments without an outcome";

    fn waiting(&self, limit: u32) -> BoxFuture<'_, Result<Vec<PaymentAttempt>>> {
        self.jobs.store.open_payments(self.jobs.config.payments.resolve_after_ms, limit).boxed()
    }

    fn work(&self, attempt: PaymentAttempt) -> BoxFuture<'_, bool> {
        self.resolve(attempt).boxed()
    }
}

impl Resolve {
    /// Asks about one attempt and settles it, if there is a verdict.
    async fn resolve(&self, open: PaymentAttempt) -> bool {
        let (jobs, attempt) = (&self.jobs, open.attempt);
        let patience = Duration::from_millis(jobs.config.payments.timeout_ms);
        let verdict = match tokio::time::timeout(patience, self.ask(&open)).await {
            Ok(Ok(Standing::Decided(verdict))) => Some(verdict),
            Ok(Ok(Standing::Undecided | Standing::Unknown)) | Err(_) => None,
            Ok(Err(error)) => {
                tracing::debug!(%attempt, %error, "the provider cannot be asked");
                None
            }
        };
        let result = match verdict {
            Some(verdict) => settle(&jobs.store, &jobs.ledger, attempt, verdict).await.map(|settled| {
                tracing::info!(%attempt, order = %open.order, status = ?settled.status, "payment resolved");
            }),
            None => jobs.store.payment_asked(attempt).await,
        };
        if let Err(error) = &result {
            jobs.metrics.failed(Job::Payments);
            tracing::warn!(%attempt, %error, "a payment is not resolved yet");
        }
        result.is_ok()
    }

    /// How an attempt stands. One that nobody charged for long enough is voided at the provider before it is given up
    /// here: a retry with the buyer's key, which lives far longer, would otherwise take money nobody asks about again.
    async fn ask(&self, open: &PaymentAttempt) -> Result<Standing, ProviderError> {
        match self.provider.inquire(open.attempt).await? {
            Standing::Unknown if self.old_enough(open) => self.provider.void(open.attempt).await,
            standing => Ok(standing),
        }
    }

    /// By the database's own times: each question moves `updated_at_ms` on.
    fn old_enough(&self, open: &PaymentAttempt) -> bool {
        let age_ms = open.updated_at_ms.saturating_sub(open.created_at_ms);
        age_ms >= self.jobs.config.payments.give_up_after_ms
    }
}
