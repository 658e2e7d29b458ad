//! Deletes orders that have been over for `worker.retention_days`, a batch at a time: of events since they were archived, and
//! ordinary ones since they ended. Switched off, as it is shipped, everything is kept.

use std::time::Duration;

use spike_domain::EventId;
use spike_metrics::words::Job;
use spike_store::StoreError;

use crate::Jobs;
use crate::stop::Stop;

/// Orders deleted in one transaction.
const ORDERS_A_CALL: u32 = 500;
/// Events found by one call.
const EVENTS_A_PAGE: u32 = 100;
const DAY_MS: u64 = 86_400_000;

pub(crate) async fn run(jobs: Jobs, mut stop: Stop) {
    let rest = Duration::from_millis(jobs.config.worker.purge_interval_ms);
    let age_ms = jobs.config.worker.retention_days * DAY_MS;
    while !stop.rest(rest).await {
        if age_ms == 0 {
            continue;
        }
        for ended in [past_events(&jobs, &stop, age_ms).await, shop_orders(&jobs, &stop, age_ms).await] {
            if let Err(error) = ended {
                jobs.metrics.failed(Job::Retention);
                tracing::warn!(%error, "old orders are not deleted yet");
            }
        }
    }
}

async fn past_events(jobs: &Jobs, stop: &Stop, age_ms: u64) -> Result<(), StoreError> {
    let mut after = EventId(0);
    loop {
        let events = jobs.store.events_to_delete_orders_of(age_ms, after, EVENTS_A_PAGE).await?;
        let Some(last) = events.last() else { return Ok(()) };
        after = *last;
        for event in events {
            // An event that is locked leaves those behind it alone.
            if let Err(error) = orders_of(jobs, stop, event, age_ms).await {
                jobs.metrics.failed(Job::Retention);
                tracing::warn!(%event, %error, "orders of a past event are not deleted yet");
            }
        }
        if stop.asked() {
            return Ok(());
        }
    }
}

async fn orders_of(jobs: &Jobs, stop: &Stop, event: EventId, age_ms: u64) -> Result<(), StoreError> {
    let (mut orders, mut more) = (0, true);
    while more && !stop.asked() {
        let deleted = jobs.store.delete_orders_of(event, age_ms, ORDERS_A_CALL).await?;
        (orders, more) = (orders + deleted.orders, deleted.more);
    }
    if orders > 0 {
        tracing::info!(%event, orders, "orders of a past event deleted");
    }
    Ok(())
}

async fn shop_orders(jobs: &Jobs, stop: &Stop, age_ms: u64) -> Result<(), StoreError> {
    let (mut orders, mut more) = (0, true);
    while more && !stop.asked() {
        let deleted = jobs.store.delete_shop_orders(age_ms, ORDERS_A_CALL).await?;
        (orders, more) = (orders + deleted.orders, deleted.more);
    }
    if orders > 0 {
        tracing::info!(orders, "ordinary orders deleted");
    }
    Ok(())
}
