//! Which events' ledgers are looked after: those the database names, and any other whose outbox still holds orders.
//!
//! The database's list knows ages and units, not outboxes: a journal that comes back after a long time may hold orders of
//! an event that was closed and settled before. Looking for those costs a command an old event, so it is done rarely.

use std::time::Duration;

use spike_domain::EventId;
use spike_stock::StockError;
use spike_store::WatchedEvent;
use tokio::time::Instant;

use crate::Jobs;

/// Rest between two searches for forgotten outboxes.
const SEARCH_EVERY: Duration = Duration::from_secs(10);

/// The list of one job.
#[derive(Default)]
pub(crate) struct Watched {
    forgotten: Vec<EventId>,
    searched_at: Option<Instant>,
}

impl Watched {
    /// Every event to look after now. An error means that the database is away; where outboxes cannot be searched, those found
    /// before are looked after until they can.
    pub(crate) async fn events(&mut self, jobs: &Jobs) -> anyhow::Result<Vec<WatchedEvent>> {
        let mut events = jobs.store.events_to_watch().await?;
        if self.searched_at.is_none_or(|at| at.elapsed() >= SEARCH_EVERY) {
            match search(jobs, &events).await {
                Ok(found) => {
                    self.forgotten = found;
                    self.searched_at = Some(Instant::now());
                }
                Err(error) => tracing::warn!(%error, "outboxes that nobody looks after are not searched for"),
            }
        }
        for &event in &self.forgotten {
            if events.iter().any(|watched| watched.id == event) {
                continue;
            }
            // An archived event was at rest: what a restored journal holds of it was written long ago.
            if let Some(row) = jobs.store.event(event).await?.filter(|row| !row.archived) {
                events.push(WatchedEvent { id: event, epoch: row.epoch, state: row.state });
            }
        }
        Ok(events)
    }
}

async fn search(jobs: &Jobs, watched: &[WatchedEvent]) -> Result<Vec<EventId>, StockError> {
    let mut forgotten = Vec::new();
    for event in jobs.ledger.events().await? {
        if watched.iter().any(|known| known.id == event) {
            continue;
        }
        match jobs.ledger.entries(event, None, 1).await {
            Ok(page) if page.entries.is_empty() => {}
            Ok(_) => {
                tracing::info!(%event, "an outbox that nobody looked after holds orders");
                forgotten.push(event);
            }
            // One that cannot be read must not hide the others.
            Err(error @ StockError::Reply { .. }) => tracing::error!(%event, %error, "outbox not readable"),
            // Nor one whose master is away.
            Err(error) if jobs.ledger.sharded() => tracing::warn!(%event, %error, "outbox not looked at"),
            Err(error) => return Err(error),
        }
    }
    Ok(forgotten)
}
