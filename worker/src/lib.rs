//! The worker: accepted orders become rows, dead orders give their stock back, and ledgers are kept right.
//!
//! One file a job; [`run`] is the inventory of all of them. Jobs share nothing but their dependencies: each may be
//! killed at any line, and what it leaves undone is found by its next run or by another job:
//!
//! - `consume` writes the orders of queue messages, acknowledges, settles.
//! - `parking` keeps what nobody could use in `dead_letters`.
//! - `settle_sweep` settles what a killed `consume` left.
//! - `expire` and `expire_shop` cancel orders of events and ordinary orders whose time to pay is over; `restock` gives the
//!   stock of dead orders back.
//! - `deadlines` has the cancel queue tell `cancel_queue` when to look for unpaid orders, sooner than the sweep comes by.
//! - `units` moves what was paid and what is left of a closed event into the product's inventory.
//! - `purge` forgets sessions, refresh tokens and revocations that are over.
//! - `payments` finds out what became of payments without an outcome, `paid_orders` shows paid spike orders beside their claims,
//!   `refunds` gives money back that no order needs; `idempotency_keys` forgets old keys.
//! - `reconcile` watches over S = R + L + F + K and mends what is explained; `archive` puts past ledgers away, and
//!   `retention` deletes orders that have been over for long, if it is told to.
//! - `watch` follows the events' schedules, compares every ledger with the database and has [`rebuild`] make it anew where they differ.

mod archive;
mod cancel_queue;
mod consume;
mod crew;
mod deadlines;
mod drift;
mod expire;
mod expire_shop;
mod idempotency_keys;
mod metrics;
mod onward;
mod ops;
mod paid_orders;
mod parking;
mod payments;
mod purge;
pub mod rebuild;
mod reconcile;
mod refunds;
mod restock;
mod retention;
mod settle_sweep;
mod stop;
mod traced;
mod units;
mod watch;
mod watched;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use spike_backends::Backends;
use spike_broker::Broker;
use spike_config::Config;
use spike_stock::Stock;
use spike_store::Store;
use spike_trace::Traces;
use tokio::sync::Notify;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;

use drift::Drift;
use metrics::WorkerMetrics;
use ops::Health;
pub use rebuild::{Rebuilder, Rebuilt};

/// What every job works with.
#[derive(Clone)]
pub(crate) struct Jobs {
    config: Arc<Config>,
    store: Store,
    ledger: Stock,
    broker: Broker,
    /// Told when orders were written that are to be paid.
    notices: deadlines::Notices,
    /// Raised when restock markers were written.
    restock: Arc<Notify>,
    health: Health,
    metrics: Arc<WorkerMetrics>,
    /// Where spans go.
    traces: Option<Arc<Traces>>,
}

/// Runs every job until `shutdown`, then lets them finish the work in hand within `worker.drain_timeout_ms`. A dependency
/// that is away is waited for.
///
/// # Errors
/// An operations port that is taken, or a job that ended by itself, which is a bug.
pub async fn run(
    config: Arc<Config>,
    backends: Backends,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let Backends { stock: ledger, store, broker } = backends;
    let (stopper, stop) = stop::pair();
    let health = Health::default();
    let drift = Drift::default();
    let metrics = Arc::new(WorkerMetrics::default());
    let traces = spike_backends::traces(&config, "spike-worker").context("traces")?;
    ops::open(&config, &health, (&metrics, &drift, &traces), &store, &ledger, stop.clone()).await?;
    let rebuilder =
        Rebuilder { store: store.clone(), stock: ledger.clone(), inflight_max: config.outbox.inflight_max };
    health.ready.store(true, Ordering::Relaxed);
    let (notices, given) = deadlines::channel();
    let jobs = Jobs {
        config,
        store,
        ledger,
        broker,
        notices,
        restock: Arc::new(Notify::new()),
        health,
        metrics,
        traces: traces.clone(),
    };

    let mut running = start(&jobs, (rebuilder, drift), given, stop);

    tokio::select! {
        () = shutdown => {}
        Some(ended) = running.join_next() => {
            ended.context("a job of the worker panicked")?;
            anyhow::bail!("a job of the worker ended by itself");
        }
    }
    jobs.health.ready.store(false, Ordering::Relaxed);
    stopper.stop();
    drain(running, Duration::from_millis(jobs.config.worker.drain_timeout_ms)).await;
    if let Some(traces) = traces {
        tokio::task::spawn_blocking(move || traces.flush()).await?;
    }
    Ok(())
}

fn start(
    jobs: &Jobs,
    (rebuilder, drift): (Rebuilder, Drift),
    given: Receiver<deadlines::Deadline>,
    stop: stop::Stop,
) -> JoinSet<()> {
    let mut running = JoinSet::new();
    running.spawn(consume::run(jobs.clone(), stop.clone()));
    running.spawn(parking::run(jobs.clone(), stop.clone()));
    running.spawn(settle_sweep::run(jobs.clone(), stop.clone()));
    running.spawn(restock::run(jobs.clone(), stop.clone()));
    running.spawn(deadlines::run(jobs.clone(), given, stop.clone()));
    running.spawn(cancel_queue::run(jobs.clone(), stop.clone()));
    running.spawn(expire::run(jobs.clone(), stop.clone()));
    running.spawn(expire_shop::run(jobs.clone(), stop.clone()));
    running.spawn(units::run(jobs.clone(), stop.clone()));
    running.spawn(purge::run(jobs.clone(), stop.clone()));
    running.spawn(payments::run(jobs.clone(), stop.clone()));
    running.spawn(paid_orders::run(jobs.clone(), stop.clone()));
    running.spawn(refunds::run(jobs.clone(), stop.clone()));
    running.spawn(idempotency_keys::run(jobs.clone(), stop.clone()));
    running.spawn(archive::run(jobs.clone(), stop.clone()));
    running.spawn(retention::run(jobs.clone(), stop.clone()));
    running.spawn(reconcile::run(jobs.clone(), rebuilder.clone(), drift, stop.clone()));
    running.spawn(watch::run(jobs.clone(), rebuilder, stop));
    running
}

/// Waits for the jobs; what is not finished in time is dropped, which every job survives.
async fn drain(mut running: JoinSet<()>, limit: Duration) {
    let all = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(limit, all).await.is_ok() {
        tracing::info!("worker stopped, its last batch finished");
    } else {
        tracing::warn!(
            limit_ms = limit.as_millis(),
            jobs = running.len(),
            "worker stopped before its jobs had finished"
        );
        running.shutdown().await;
    }
}
