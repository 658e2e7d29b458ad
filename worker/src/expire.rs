//! Cancels orders of events whose time to pay is over. The database decides, by its own clock; this job only asks
//! it to. Ordinary orders have a job of their own (`expire_shop`), so that neither kind waits for the other.

use std::time::Duration;

use spike_metrics::words::{CancelledBy, Job, OrderKind};
use spike_telemetry::Arrow;

use crate::Jobs;
use crate::stop::Stop;

/// Orders cancelled in one call.
const ORDERS_A_CALL: u32 = 500;

pub(crate) async fn run(jobs: Jobs, mut stop: Stop) {
    let rest = Duration::from_millis(jobs.config.worker.sweep_interval_ms);
    loop {
        // A full page: there is more, and it is late already.
        if expire(&jobs).await && !stop.asked() {
            continue;
        }
        if stop.rest(rest).await {
            return;
        }
    }
}

/// True when a full page was cancelled, so that there may be more.
async fn expire(jobs: &Jobs) -> bool {
    match jobs.store.expire_due(ORDERS_A_CALL).await {
        Ok(cancelled) => {
            if !cancelled.is_empty() {
                jobs.metrics.cancelled(OrderKind::Spike, CancelledBy::Sweep, cancelled.len());
                Arrow::ExpireCommitted.pass();
                tracing::info!(orders = cancelled.len(), "unpaid orders cancelled");
                jobs.restock.notify_one();
            }
            cancelled.len() >= ORDERS_A_CALL as usize
        }
        Err(error) => {
            jobs.metrics.failed(Job::Expire);
            tracing::warn!(%error, "expiry waits for the database");
            false
        }
    }
}
