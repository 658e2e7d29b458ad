//! Shows paid spike orders beside their claims, where buyers poll them, when whoever settled them could not.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use spike_metrics::words::Job;
use spike_payments::show_paid;
use spike_store::{PaymentAttempt, Result};

use crate::Jobs;
use crate::crew::{self, Chore};
use crate::stop::Stop;

pub(crate) async fn run(jobs: Jobs, stop: Stop) {
    let rest = Duration::from_millis(jobs.config.worker.sweep_interval_ms);
    crew::run(Tell(jobs), rest, stop).await;
}

#[derive(Clone)]
struct Tell(Jobs);

impl Chore for Tell {
    const NAME: &'static str = "paid orders to be shown";

    fn waiting(&self, limit: u32) -> BoxFuture<'_, Result<Vec<PaymentAttempt>>> {
        self.0.store.untold_payments(limit).boxed()
    }

    fn work(&self, paid: PaymentAttempt) -> BoxFuture<'_, bool> {
        async move {
            let Err(error) = show_paid(&self.0.store, &self.0.ledger, &paid).await else { return true };
            self.0.metrics.failed(Job::PaidOrders);
            tracing::debug!(order = %paid.order, %error, "a paid order is not shown yet");
            if let Err(error) = self.0.store.payment_not_told(paid.attempt).await {
                tracing::debug!(order = %paid.order, %error, "it keeps its place among those to be shown");
            }
            false
        }
        .boxed()
    }
}
