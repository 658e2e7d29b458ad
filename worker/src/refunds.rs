//! Gives money back that was captured for an order that could not be paid with it any more. The attempt's id is the
//! provider's idempotency key here too: a worker that dies between the refund and its note asks again, and nothing is
//! given back twice.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use spike_metrics::words::Job;
use spike_payments::{PaymentProvider, Refund};
use spike_store::{PaymentAttempt, Result};

use crate::Jobs;
use crate::crew::{self, Chore};
use crate::payments::provider;
use crate::stop::Stop;

pub(crate) async fn run(jobs: Jobs, stop: Stop) {
    let rest = Duration::from_millis(jobs.config.worker.sweep_interval_ms);
    crew::run(GiveBack { provider: provider(&jobs), jobs }, rest, stop).await;
}

#[derive(Clone)]
struct GiveBack {
    jobs: Jobs,
    provider: Arc<dyn PaymentProvider>,
}

impl Chore for GiveBack {
    const NAME: &'static str = "refunds";

    fn waiting(&self, limit: u32) -> BoxFuture<'_, Result<Vec<PaymentAttempt>>> {
        self.jobs.store.refunds_due(self.jobs.config.payments.resolve_after_ms, limit).boxed()
    }

    fn work(&self, due: PaymentAttempt) -> BoxFuture<'_, bool> {
        self.refund(due).boxed()
    }
}

impl GiveBack {
    async fn refund(&self, due: PaymentAttempt) -> bool {
        let (store, attempt) = (&self.jobs.store, due.attempt);
        let patience = Duration::from_millis(self.jobs.config.payments.timeout_ms);
        let asked = tokio::time::timeout(patience, self.provider.refund(attempt, due.amount)).await;
        let noted = match asked {
            Ok(Ok(Refund::Made)) => {
                tracing::info!(%attempt, order = %due.order, "money given back");
                store.settle_refund(attempt, true).await.map(drop)
            }
            Ok(Ok(Refund::Refused)) => {
                tracing::error!(%attempt, order = %due.order, "the provider refuses a refund: somebody has to see to it");
                store.settle_refund(attempt, false).await.map(drop)
            }
            Ok(Err(error)) => {
                tracing::debug!(%attempt, %error, "the provider cannot be asked for a refund");
                store.refund_asked(attempt).await
            }
            Err(_) => store.refund_asked(attempt).await,
        };
        if let Err(error) = &noted {
            self.jobs.metrics.failed(Job::Refunds);
            tracing::warn!(%attempt, %error, "a refund is not written down yet");
        }
        noted.is_ok()
    }
}
