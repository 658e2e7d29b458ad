//! Gives stock back that is free in the database and not yet in Redis: markers of cancelled and rejected orders (I6).
//!
//! The marker and the epoch are read together; the release demands that epoch, and so does the marking: a rebuild in between
//! has closed the marker itself and counted the order as ended (V3), and then neither step happens here.

use std::collections::BTreeMap;
use std::time::Duration;

use spike_domain::{EventId, OrderId};
use spike_metrics::words::Job;
use spike_stock::EndedOrder;
use spike_store::{Fenced, Marker};
use spike_telemetry::Arrow;

use crate::Jobs;
use crate::stop::Stop;

/// Markers of one event in one call.
const MARKERS_A_CALL: u32 = 500;

pub(crate) async fn run(jobs: Jobs, mut stop: Stop) {
    let rest = Duration::from_millis(jobs.config.worker.sweep_interval_ms);
    loop {
        let more = match jobs.store.open_markers(MARKERS_A_CALL).await {
            Ok(markers) => restock(&jobs, markers).await,
            Err(error) => {
                jobs.metrics.failed(Job::Restock);
                tracing::warn!(%error, "restock waits for the database");
                false
            }
        };
        if stop.asked() {
            return;
        }
        if !more {
            tokio::select! {
                leave = stop.rest(rest) => if leave { return },
                () = jobs.restock.notified() => {}
            }
        }
    }
}

/// Releases the markers of each event; true when a full page was worked off, so that there may be more.
async fn restock(jobs: &Jobs, markers: Vec<Marker>) -> bool {
    let mut more = false;
    for ((event, epoch), markers) in by_ledger(markers) {
        match release(jobs, event, epoch, &markers).await {
            Ok(units) => {
                more |= markers.len() >= MARKERS_A_CALL as usize;
                jobs.metrics.restocked(markers.len(), units);
                tracing::info!(%event, orders = markers.len(), units, "stock given back");
            }
            // The marker stays open; a ledger that is away or being rebuilt is looked after by the watch.
            Err(error) => {
                jobs.metrics.failed(Job::Restock);
                tracing::debug!(%event, error = format!("{error:#}"), "stock not given back yet");
            }
        }
    }
    more
}

async fn release(jobs: &Jobs, event: EventId, epoch: u64, markers: &[Marker]) -> anyhow::Result<u64> {
    let ended: Vec<EndedOrder> = markers
        .iter()
        .map(|marker| EndedOrder { user: marker.user, order: marker.order, state: marker.status.into() })
        .collect();
    let units = jobs.ledger.release(event, epoch, &ended).await?;
    Arrow::RestockReleased.pass();
    let orders: Vec<OrderId> = markers.iter().map(|marker| marker.order).collect();
    match jobs.store.markers_done(event, epoch, &orders).await? {
        Fenced::Done(_) => {
            Arrow::RestockMarked.pass();
            Ok(units)
        }
        Fenced::EpochMoved { now } => anyhow::bail!("the epoch moved to {now} meanwhile"),
    }
}

/// Markers by the ledger they are to be released in.
fn by_ledger(markers: Vec<Marker>) -> BTreeMap<(EventId, u64), Vec<Marker>> {
    let mut ledgers: BTreeMap<_, Vec<Marker>> = BTreeMap::new();
    for marker in markers {
        ledgers.entry((marker.event, marker.epoch)).or_default().push(marker);
    }
    ledgers
}
