//! Moves an event's units into its product's inventory: paid ones are sold, and when the event has closed those that
//! nobody holds go back.
//!
//! An accepted order that is still on its way has no row yet, so the database alone would give its unit away. Units go
//! back only when the ledger of the event's epoch stands closed with an empty outbox: no transition leaves that state, so
//! from then on nothing is accepted in that epoch, and the transaction demands it. Orders that still may be paid keep their units; when they are cancelled
//! later, the same two steps give those back.

use std::time::Duration;

use spike_domain::LedgerState;
use spike_metrics::words::Job;
use spike_stock::{Meta, StockError};
use spike_store::{Fenced, UnitsToMove};

use crate::Jobs;
use crate::stop::Stop;

pub(crate) async fn run(jobs: Jobs, mut stop: Stop) {
    let rest = Duration::from_millis(jobs.config.worker.sweep_interval_ms);
    while !stop.rest(rest).await {
        let found = match jobs.store.units_to_move().await {
            Ok(found) => found,
            Err(error) => {
                jobs.metrics.failed(Job::Units);
                tracing::warn!(%error, "units wait for the database");
                continue;
            }
        };
        for found in found {
            if let Err(error) = move_units(&jobs, found).await {
                jobs.metrics.failed(Job::Units);
                let error = format!("{error:#}");
                tracing::debug!(event = %found.event, error, "units not moved yet");
            }
            if stop.asked() {
                return;
            }
        }
    }
}

async fn move_units(jobs: &Jobs, found: UnitsToMove) -> anyhow::Result<()> {
    let event = found.event;
    if found.sell {
        let units = jobs.store.sell_paid_units(event).await?;
        tracing::info!(%event, units, "paid units sold");
    }
    if found.give_back && nothing_on_its_way(jobs, found).await? {
        match jobs.store.return_units(event, found.epoch).await? {
            Fenced::Done(units) => tracing::info!(%event, units, "unsold units are back in the inventory"),
            Fenced::EpochMoved { now } => anyhow::bail!("the epoch moved to {now} meanwhile"),
        }
    }
    Ok(())
}

/// The fence is asked last: had the ledger restarted since its outbox was read, it would be closed, and only a rebuild,
/// which raises the epoch, opens it again.
async fn nothing_on_its_way(jobs: &Jobs, found: UnitsToMove) -> Result<bool, StockError> {
    let event = found.event;
    let meta = jobs.ledger.meta(event).await?;
    if !meta.is_some_and(|meta| at_rest(&meta, found.epoch)) {
        return Ok(false);
    }
    let outbox = jobs.ledger.entries(event, None, 1).await?;
    Ok(outbox.entries.is_empty() && outbox.unreadable == 0 && jobs.ledger.fence_open(event).await?)
}

fn at_rest(meta: &Meta, epoch: u64) -> bool {
    meta.state == LedgerState::Closed
        && meta.epoch == epoch
        && meta.stock.is_some()
        && meta.inflight == Some(0)
}
