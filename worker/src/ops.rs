//! The worker's operations port: whether it lives, and whether what it works with answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use spike_config::Config;
use spike_metrics::Page;
use spike_stock::Stock;
use spike_store::Store;
use spike_telemetry::ops::{Check, Knob, Ops, serve};
use spike_trace::Traces;
use tokio::net::TcpListener;

use crate::drift::Drift;
use crate::metrics::WorkerMetrics;
use crate::stop::Stop;

/// What the port is told while the worker runs.
#[derive(Clone, Default)]
pub(crate) struct Health {
    /// Whether the worker takes work.
    pub(crate) ready: Arc<AtomicBool>,
    /// Whether it is subscribed to the orders queue.
    pub(crate) consuming: Arc<AtomicBool>,
}

/// Binds `worker.ops_listen` and serves it in the background until `stop`.
///
/// # Errors
/// When the port cannot be bound.
pub(crate) async fn open(
    config: &Config,
    health: &Health,
    (metrics, drift, traces): (&Arc<WorkerMetrics>, &Drift, &Option<Arc<Traces>>),
    store: &Store,
    ledger: &Stock,
    mut stop: Stop,
) -> anyhow::Result<()> {
    let address = config.worker.ops_listen;
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("worker.ops_listen {address}"))?;
    let ops = Ops {
        ready: Arc::clone(&health.ready),
        checks: checks(health, store, ledger),
        metrics: Arc::new({
            let (metrics, drift, health) = (metrics.clone(), drift.clone(), health.clone());
            let (store, ledger, traces) = (store.clone(), ledger.clone(), traces.clone());
            move || {
                let mut page = Page::default();
                metrics.write(&mut page, &health, &drift, &store, &ledger);
                spike_trace::write_metrics(traces.as_ref(), &mut page);
                page.into_text()
            }
        }),
        debug: config.telemetry.debug_endpoints,
        traces: traces.clone().map(sampling_knob),
    };
    tokio::spawn(async move {
        if let Err(error) = serve(listener, ops, async move { stop.wait().await }).await {
            tracing::error!(%error, "operations port closed");
        }
    });
    Ok(())
}

/// Turns which traces are recorded.
fn sampling_knob(traces: Arc<Traces>) -> Knob {
    let shown = traces.clone();
    Knob::new(
        move || shown.sampling().to_string(),
        move |text| text.parse().map(|sampling| traces.set_sampling(sampling)),
    )
}

fn checks(health: &Health, store: &Store, ledger: &Stock) -> Vec<Check> {
    let (store, consuming, ledger) = (store.clone(), Arc::clone(&health.consuming), ledger.clone());
    let database = move || {
        let store = store.clone();
        async move { store.ping().await.map_err(|error| error.to_string()) }
    };
    let stock = move || {
        let ledger = ledger.clone();
        async move { ledger.ping().await.map_err(|error| error.to_string()) }
    };
    let broker = move || {
        let subscribed = consuming.load(Ordering::Relaxed);
        async move { if subscribed { Ok(()) } else { Err("not subscribed".to_owned()) } }
    };
    vec![
        Check::new("database", true, database),
        Check::new("ledger", true, stock),
        Check::new("broker", true, broker),
    ]
}
