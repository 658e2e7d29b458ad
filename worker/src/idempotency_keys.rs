//! Forgets idempotency keys whose time is over, in small batches, so that the table stays as large as a day is long.
//! What a key means does not depend on it: one that is too old counts for nothing whether it is still there or not.

use std::time::Duration;

use spike_metrics::words::Job;

use crate::Jobs;
use crate::stop::Stop;

/// Keys deleted in one transaction.
const KEYS_A_CALL: u32 = 1000;

pub(crate) async fn run(jobs: Jobs, mut stop: Stop) {
    let rest = Duration::from_millis(jobs.config.worker.purge_interval_ms);
    let keep_ms = jobs.config.orders.key_ttl_s * 1000;
    loop {
        match jobs.store.purge_keys(keep_ms, KEYS_A_CALL).await {
            Ok(purged) => {
                if purged > 0 {
                    tracing::debug!(purged, "idempotency keys forgotten");
                }
                if purged >= u64::from(KEYS_A_CALL) && !stop.asked() {
                    continue;
                }
            }
            Err(error) => {
                jobs.metrics.failed(Job::IdempotencyKeys);
                tracing::warn!(%error, "the purge of idempotency keys waits for the database");
            }
        }
        if stop.rest(rest).await {
            return;
        }
    }
}
