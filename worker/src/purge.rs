//! Forgets sessions, refresh tokens and revocations that are over, a batch at a time. Nothing waits for it: the database's
//! clock has ended them already.

use std::time::Duration;

use spike_metrics::words::Job;

use crate::Jobs;
use crate::stop::Stop;

/// Rows of a kind deleted in one transaction.
const ROWS_A_CALL: u32 = 500;

pub(crate) async fn run(jobs: Jobs, mut stop: Stop) {
    let rest = Duration::from_millis(jobs.config.worker.purge_interval_ms);
    // A session's row ends its access tokens wherever the database is asked; none of them may outlive it.
    let keep_ms = jobs.config.auth.token_life_ms();
    loop {
        match jobs.store.purge_sessions(ROWS_A_CALL, keep_ms).await {
            Ok(purged) => {
                if purged.rows() > 0 {
                    tracing::debug!(?purged, "sessions that are over forgotten");
                }
                let full = [purged.tokens, purged.sessions, purged.revocations]
                    .map(|rows| rows >= ROWS_A_CALL.into());
                if full.contains(&true) && !stop.asked() {
                    continue;
                }
            }
            Err(error) => {
                jobs.metrics.failed(Job::Purge);
                tracing::warn!(%error, "the purge waits for the database");
            }
        }
        if stop.rest(rest).await {
            return;
        }
    }
}
