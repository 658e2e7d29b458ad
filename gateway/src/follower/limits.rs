//! Keeps the limits in force true: what an administrator has set is read from the database every half second and at each hint.
//!
//! A gateway that starts goes by its configuration until the first answer, and is not ready before it. A database that is away
//! stops nothing afterwards: what was in force stays.

use std::sync::Arc;
use std::time::Duration;

use spike_store::{RateLimitsRow, Result, Store, StoreError};
use tokio::sync::watch;

use super::{REST_MIN, told};
use crate::shared::Shared;

/// Longest rest between two looks, however rarely the events are looked at: a limit holds everywhere within a second.
const REST_MAX: Duration = Duration::from_millis(500);
/// Longest look. A connection that has died without a word is given up, and the next look has another.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// Follows until the future is dropped.
pub(super) async fn follow(shared: Arc<Shared>, store: Store, mut hinted: watch::Receiver<()>) {
    let every = Duration::from_millis(shared.config.follower.definitions_poll_ms).min(REST_MAX);
    let (mut was_up, mut known) = (true, None);
    loop {
        let row = look(&store).await;
        was_up = told(was_up, "the rate limits", &row);
        if let Ok(row) = row
            && known != Some(row)
        {
            shared.limits.put_in_force(row.version, row.set.as_ref());
            tracing::info!(version = row.version, set = ?row.set, "rate limits in force");
            known = Some(row);
        }
        let next = tokio::time::Instant::now() + every;
        tokio::time::sleep(REST_MIN.min(every)).await;
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            Ok(()) = hinted.changed() => {}
        }
    }
}

async fn look(store: &Store) -> Result<RateLimitsRow> {
    tokio::time::timeout(LOOK_WITHIN, store.rate_limits())
        .await
        .unwrap_or_else(|_| Err(StoreError::Unavailable(format!("no answer within {LOOK_WITHIN:?}").into())))
}
