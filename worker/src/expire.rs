//! Cancels orders whose time to pay is over. The database decides, by its own clock; this job only asks it to.

use std::time::Duration;

use spike_telemetry::Arrow;

use crate::Jobs;
use crate::stop::Stop;

/// Orders cancelled in one transaction.
const ORDERS_A_CALL: u32 = 500;

pub(crate) async fn run(jobs: Jobs, mut stop: Stop) {
    let rest = Duration::from_millis(jobs.config.worker.sweep_interval_ms);
    loop {
        match jobs.store.expire_due(ORDERS_A_CALL).await {
            Ok(cancelled) => {
                if !cancelled.is_empty() {
                    Arrow::ExpireCommitted.pass();
                    tracing::info!(orders = cancelled.len(), "unpaid orders cancelled");
                    jobs.restock.notify_one();
                }
                // A full page: there is more, and it is late already.
                if cancelled.len() >= ORDERS_A_CALL as usize && !stop.asked() {
                    continue;
                }
            }
            Err(error) => tracing::warn!(%error, "expiry waits for the database"),
        }
        if stop.rest(rest).await {
            return;
        }
    }
}
