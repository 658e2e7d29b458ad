//! The worker: accepted orders become rows, dead orders give their stock back, and ledgers are kept right.
//!
//! One file a job; [`run`] is the inventory of all of them. Jobs share nothing but their dependencies: each may be
//! killed at any line, and what it leaves undone is found by its next run or by another job:
//!
//! - `consume` writes the orders of queue messages, acknowledges, settles.
//! - `settle_sweep` settles what a killed `consume` left.
//! - `expire` cancels orders whose time to pay is over; `restock` gives the stock of dead orders back.
//! - `watch` compares every ledger with the database and has [`rebuild`] make it anew where they differ.

mod consume;
mod expire;
mod ops;
pub mod rebuild;
mod restock;
mod settle_sweep;
mod stop;
mod watch;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use spike_broker::Backoff;
use spike_config::Config;
use spike_stock::Ledger;
use spike_store::{DatabaseSettings, Store};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use ops::Health;
pub use rebuild::{Rebuilder, Rebuilt};

/// Longest rest between two attempts to reach the database at the start.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(3);

/// What every job works with.
#[derive(Clone)]
pub(crate) struct Jobs {
    config: Arc<Config>,
    store: Store,
    ledger: Ledger<ConnectionManager>,
    /// Raised when restock markers were written.
    restock: Arc<Notify>,
    health: Health,
}

/// Runs every job until `shutdown`, then lets them finish the work in hand within `worker.drain_timeout_ms`. A dependency
/// that is away is waited for.
///
/// # Errors
/// Settings no client accepts, an operations port that is taken, or a job that ended by itself, which is a bug.
pub async fn run(config: Arc<Config>, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    let redis = redis::Client::open(config.redis.url.server().context("redis.url is empty")?.expose())
        .context("redis.url")?;
    let ledger = Ledger::new(connection_manager(&redis, &config).context("redis.url")?);
    let (stopper, stop) = stop::pair();
    let health = Health::default();
    ops::open(&config, &health, &ledger, stop.clone()).await?;
    tokio::pin!(shutdown);
    let store = tokio::select! {
        store = connect_store(&config) => store?,
        () = &mut shutdown => return Ok(()),
    };
    let rebuilder = Rebuilder::new(store.clone(), redis, &config.redis, config.outbox.inflight_max);
    health.store.get_or_init(|| store.clone());
    health.ready.store(true, Ordering::Relaxed);
    let jobs = Jobs { config, store, ledger, restock: Arc::new(Notify::new()), health };

    let mut running = JoinSet::new();
    running.spawn(consume::run(jobs.clone(), stop.clone()));
    running.spawn(settle_sweep::run(jobs.clone(), stop.clone()));
    running.spawn(restock::run(jobs.clone(), stop.clone()));
    running.spawn(expire::run(jobs.clone(), stop.clone()));
    running.spawn(watch::run(jobs.clone(), rebuilder, stop));

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
    jobs.store.close().await;
    Ok(())
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

async fn connect_store(config: &Config) -> anyhow::Result<Store> {
    let database = &config.database;
    let settings = DatabaseSettings {
        url: database.url.server().context("database.url is empty")?.expose().to_owned(),
        connections_min: database.connections_min,
        connections_max: database.connections_max,
        acquire_timeout: Duration::from_millis(database.acquire_timeout_ms),
        statement_timeout: Duration::from_millis(database.statement_timeout_ms),
    };
    let mut backoff = Backoff::new(Duration::from_millis(200), CONNECT_WAIT_MAX);
    loop {
        match Store::connect(&settings).await {
            Ok(store) => return Ok(store),
            Err(error) if error.transient() => {
                tracing::warn!(%error, attempt = backoff.failures() + 1, "database not reached");
                tokio::time::sleep(backoff.next_wait()).await;
            }
            Err(error) => return Err(error).context("database.url"),
        }
    }
}

/// A connection that is made when first used and made again when lost; a command fails rather than waits for it.
fn connection_manager(client: &redis::Client, config: &Config) -> redis::RedisResult<ConnectionManager> {
    let settings = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_millis(config.redis.connect_timeout_ms)))
        .set_response_timeout(Some(Duration::from_millis(config.redis.command_timeout_ms)))
        .set_max_delay(Duration::from_secs(1))
        .set_number_of_retries(1);
    client.get_connection_manager_lazy(settings)
}
