//! Puts the ledgers of past events away, so that Redis holds sales and not their history; the rows stay in the database.
//!
//! An event is over when it has been closed for `worker.archive_after_s`, its units are sold or back in the inventory, and
//! its ledger stands closed with an empty outbox. The database says so first and for good, then the keys get a lifetime;
//! whoever is killed in between is found by the list of ledgers, on which the event stands until the end.

use std::time::Duration;

use spike_domain::{EventId, LedgerState};
use spike_metrics::words::Job;
use spike_stock::Meta;
use spike_store::{Fenced, PastEvent, Store};

use crate::Jobs;
use crate::stop::Stop;
use crate::watch::away;

/// Events read at once.
const EVENTS_A_PAGE: u32 = 100;

pub(crate) async fn run(jobs: Jobs, mut stop: Stop) {
    let rest = Duration::from_millis(jobs.config.worker.archive_interval_ms);
    while !stop.rest(rest).await {
        if jobs.config.worker.archive_after_s == 0 {
            continue;
        }
        if let Err(error) = round(&jobs).await {
            jobs.metrics.failed(Job::Archive);
            tracing::warn!(error = format!("{error:#}"), "past events are not archived yet");
        }
    }
}

async fn round(jobs: &Jobs) -> anyhow::Result<()> {
    let age_ms = jobs.config.worker.archive_after_s * 1000;
    let mut after = EventId(0);
    loop {
        let page = jobs.store.archivable(age_ms, after, EVENTS_A_PAGE).await?;
        for past in &page {
            // One that cannot be read, or whose master is away, leaves the others alone.
            if let Err(error) = archive(jobs, *past).await {
                if !jobs.ledger.sharded() && error.downcast_ref().is_some_and(away) {
                    return Err(error);
                }
                jobs.metrics.failed(Job::Archive);
                tracing::warn!(event = %past.event, error = format!("{error:#}"), "past event not archived yet");
            }
        }
        match page.last() {
            Some(last) if page.len() == EVENTS_A_PAGE as usize => after = last.event,
            _ => break,
        }
    }
    for event in jobs.ledger.events().await? {
        if let Err(error) = put_away(jobs, event).await {
            jobs.metrics.failed(Job::Archive);
            tracing::warn!(%event, error = format!("{error:#}"), "ledger of a past event not put away yet");
        }
    }
    Ok(())
}

async fn archive(jobs: &Jobs, past: PastEvent) -> anyhow::Result<()> {
    let event = past.event;
    if !over(jobs.ledger.meta(event).await?.as_ref(), past.epoch, past.age_ms) {
        return Ok(());
    }
    match jobs.store.archive_event(event, past.epoch).await? {
        Fenced::Done(true) => tracing::info!(%event, "event archived"),
        Fenced::Done(false) | Fenced::EpochMoved { .. } => {}
    }
    Ok(())
}

/// Whether the ledger may go. One that is not there is none: nobody makes it anew once the event was closed long ago.
fn over(meta: Option<&Meta>, epoch: u64, age_ms: u64) -> bool {
    match meta {
        Some(meta) => {
            meta.epoch == epoch
                && meta.state == LedgerState::Closed
                && meta.inflight.is_none_or(|units| units == 0)
        }
        None => age_ms >= Store::CLOSED_LATELY_MS,
    }
}

async fn put_away(jobs: &Jobs, event: EventId) -> anyhow::Result<()> {
    let Some(row) = jobs.store.event(event).await?.filter(|row| row.archived) else { return Ok(()) };
    let lifetime = Duration::from_secs(jobs.config.worker.archive_keep_s);
    jobs.ledger.archive(event, row.epoch, lifetime).await?;
    tracing::info!(%event, "ledger put away");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_closed_and_empty_ledger_of_the_epoch_is_over() {
        let sound = Meta {
            epoch: 7,
            state: LedgerState::Closed,
            version: 1,
            stock: Some(3),
            inflight: Some(0),
            doc: None,
        };
        let long = Store::CLOSED_LATELY_MS;
        assert!(over(Some(&sound), 7, 1));
        assert!(!over(Some(&sound), 8, long), "another epoch's");
        assert!(!over(Some(&Meta { inflight: Some(1), ..sound.clone() }), 7, long));
        for state in [LedgerState::Open, LedgerState::Paused, LedgerState::Recovering] {
            assert!(!over(Some(&Meta { state, ..sound.clone() }), 7, long), "{state:?}");
        }
        assert!(over(None, 7, long) && !over(None, 7, long - 1), "the watch is about to make it anew");
    }
}
