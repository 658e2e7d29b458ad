//! The worker's operations port: whether it lives, and whether what it works with answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use redis::aio::ConnectionManager;
use spike_config::Config;
use spike_stock::Ledger;
use spike_store::Store;
use spike_telemetry::ops::{Check, Ops, serve};
use tokio::net::TcpListener;

use crate::stop::Stop;

/// What the port is told while the worker runs.
#[derive(Clone, Default)]
pub(crate) struct Health {
    /// Whether the worker takes work.
    pub(crate) ready: Arc<AtomicBool>,
    /// Whether it is subscribed to the orders queue.
    pub(crate) consuming: Arc<AtomicBool>,
    /// The database, once it has answered for the first time.
    pub(crate) store: Arc<OnceLock<Store>>,
}

/// Binds `worker.ops_listen` and serves it in the background until `stop`.
///
/// # Errors
/// When the port cannot be bound.
pub(crate) async fn open(
    config: &Config,
    health: &Health,
    ledger: &Ledger<ConnectionManager>,
    mut stop: Stop,
) -> anyhow::Result<()> {
    let address = config.worker.ops_listen;
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("worker.ops_listen {address}"))?;
    let ops = Ops {
        ready: Arc::clone(&health.ready),
        checks: checks(health, ledger),
        metrics: Arc::new(String::new),
    };
    tokio::spawn(async move {
        if let Err(error) = serve(listener, ops, async move { stop.wait().await }).await {
            tracing::error!(%error, "operations port closed");
        }
    });
    Ok(())
}

fn checks(health: &Health, ledger: &Ledger<ConnectionManager>) -> Vec<Check> {
    let (store, consuming, ledger) =
        (Arc::clone(&health.store), Arc::clone(&health.consuming), ledger.clone());
    let database = move || {
        let store = store.get().cloned();
        async move {
            let store = store.ok_or("not reached yet")?;
            store.ping().await.map_err(|error| error.to_string())
        }
    };
    let redis = move || {
        let mut connection = ledger.connection();
        async move {
            let pong = redis::cmd("PING").query_async::<String>(&mut connection).await;
            pong.map(drop).map_err(|error| error.to_string())
        }
    };
    let broker = move || {
        let subscribed = consuming.load(Ordering::Relaxed);
        async move { if subscribed { Ok(()) } else { Err("not subscribed".to_owned()) } }
    };
    vec![
        Check::new("database", true, database),
        Check::new("redis", true, redis),
        Check::new("rabbitmq", true, broker),
    ]
}
