//! Watches over S = R + L + F + K of every event, shows it as metrics, and mends what is explained.
//!
//! A difference is a report first. Only when the same one is still there `worker.reconcile_repair_after_s` later, and every
//! missing unit is the unit of an order known to be lost, the ledger is rebuilt; anything else waits for a person
//! (`spike reconcile --event N --repair`). A rebuild is safe at any moment, so the age only keeps it from being done for
//! what would have come right by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use spike_domain::EventId;
use spike_metrics::words::Job;
use spike_reconcile::{Figures, ReconcileError, Repair, Report, plan_repair};
use tokio::time::Instant;

use crate::Jobs;
use crate::drift::Drift;
use crate::rebuild::{Lock, Rebuilder};
use crate::stop::Stop;

pub(crate) async fn run(jobs: Jobs, rebuilder: Rebuilder, drift: Drift, mut stop: Stop) {
    let rest = Duration::from_millis(jobs.config.worker.reconcile_interval_ms);
    let mut suspects = Suspects::default();
    while !stop.rest(rest).await {
        if let Err(error) = round(&jobs, &rebuilder, &drift, &mut suspects, &stop).await {
            jobs.metrics.failed(Job::Reconcile);
            tracing::warn!(error = format!("{error:#}"), "events not reconciled");
        }
    }
}

/// Open dead letters are counted up to this number.
const LETTERS_COUNTED: u32 = 1000;

/// Events with differences: the first report that showed one, and when.
type Suspects = BTreeMap<EventId, (Report, Instant)>;

async fn round(
    jobs: &Jobs,
    rebuilder: &Rebuilder,
    drift: &Drift,
    suspects: &mut Suspects,
    stop: &Stop,
) -> anyhow::Result<()> {
    let watched: Vec<EventId> =
        jobs.store.events_to_watch().await?.into_iter().map(|event| event.id).collect();
    drift.keep(&watched);
    jobs.metrics.dead_letters_open(jobs.store.open_letters(LETTERS_COUNTED).await?);
    suspects.retain(|event, _| watched.contains(event));
    for event in watched {
        if stop.asked() {
            break;
        }
        match spike_reconcile::figures(&jobs.ledger, &jobs.store, event).await {
            Ok(figures) => {
                drift.show(event, figures);
                if sound(&figures) && !suspects.contains_key(&event) {
                    continue;
                }
            }
            // Being rebuilt: the next round sees what came of it.
            Err(ReconcileError::NotStanding) => continue,
            Err(error) => {
                jobs.metrics.failed(Job::Reconcile);
                tracing::warn!(%event, %error, "figures not read");
                continue;
            }
        }
        let report = match spike_reconcile::report(&jobs.ledger, &jobs.store, event).await {
            Ok(report) => report,
            Err(error) => {
                jobs.metrics.failed(Job::Reconcile);
                tracing::warn!(%event, %error, "event not reconciled");
                continue;
            }
        };
        judge(jobs, rebuilder, suspects, event, report).await;
    }
    Ok(())
}

fn sound(figures: &Figures) -> bool {
    !figures.exact || figures.conservation.holds() && figures.inflight_beyond_outbox == 0
}

async fn judge(jobs: &Jobs, rebuilder: &Rebuilder, suspects: &mut Suspects, event: EventId, report: Report) {
    let Some((first, since)) = suspects.get(&event) else {
        if !report.differences.is_empty() {
            suspects.insert(event, (report, Instant::now()));
        }
        return;
    };
    let repair = plan_repair(first, &report);
    if repair.nothing() {
        suspects.remove(&event);
        return;
    }
    if since.elapsed() < Duration::from_secs(jobs.config.worker.reconcile_repair_after_s) {
        return;
    }
    let told = describe(&repair);
    if !(jobs.config.worker.reconcile_repair && repair.explained()) {
        tracing::error!(%event, differences = told, "ledger and database differ: a person must look (spike reconcile)");
        return;
    }
    let ended = match Lock::take(jobs.ledger.clone(), event).await {
        Ok(Some(lock)) => lock.hold(rebuilder.rebuild(event)).await,
        Ok(None) => return,
        Err(error) => Err(error.into()),
    };
    suspects.remove(&event);
    jobs.metrics.rebuilt(ended.is_ok());
    match ended {
        Ok(rebuilt) => {
            tracing::warn!(%event, differences = told, stock = rebuilt.stock, "explained differences mended by a rebuild");
        }
        Err(error) => {
            jobs.metrics.failed(Job::Reconcile);
            tracing::error!(%event, differences = told, %error, "differences not mended");
        }
    }
}

fn describe(repair: &Repair) -> String {
    let words = repair.lasting.iter().map(|found| format!("{}={}", found.kind.as_str(), found.count));
    words.collect::<Vec<_>>().join(" ")
}
