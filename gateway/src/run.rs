//! The gateway process, wired: what it needs, what it starts, how it stops.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use spike_backends::Backends;
use spike_config::{Config, allowed_cpus};
use spike_domain::{EventId, clock};
use spike_store::{DatabaseSettings, Store};
use spike_telemetry::ops::{self, Check, Knob, Ops};
use spike_telemetry::{Counter, Counters};
use spike_trace::Traces;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::bridge::{Exit, bridge};
use crate::control::{self, Control};
use crate::follower::Follower;
use crate::hot::{self, failed, listener};
use crate::local::{EventTable, SaleClock};
use crate::lookout::{self, Seen};
use crate::metrics::Metrics;
use crate::relay::{self, RelayDeps, RelayMetrics};
use crate::shared::{Drain, DrainPhase, Limits, Seats, Shared};
use crate::tokens::Tokens;

/// How long a gateway that is told to stop still accepts, so that balancers see it unready before it closes.
const UNREADY: Duration = Duration::from_secs(1);
/// Events named by `/healthz` that should sell and cannot.
const FENCED_TOLD: usize = 10;
/// The events, the limits, the news of revocations, and all of them.
const FOLLOWER_CONNECTIONS: u32 = 4;

/// Runs a gateway until `shutdown`, then drains it within its deadline. Call it on the sidecar's runtime.
///
/// # Errors
/// When a port cannot be bound, a setting cannot be used, or a hot core ends on its own.
pub async fn run(
    config: Arc<Config>,
    backends: Backends,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let cpus = allowed_cpus();
    let cores = config.hot.core_count(cpus.len());
    let listeners = bind(&config, cores)?;
    let ops_listener = tokio::net::TcpListener::bind(config.http.ops_listen)
        .await
        .with_context(|| format!("SPIKE_HTTP_OPS_LISTEN: cannot listen on {}", config.http.ops_listen))?;
    tracing::info!(listen = %listeners[0].local_addr()?, ops = %ops_listener.local_addr()?, cores, "gateway listening");

    let (entrance, exit) = bridge(config.sidecar.bridge_capacity);
    let (failed_buys, failed_log) = failed::log();
    let shared = Arc::new(Shared {
        embedded: backends.stock.as_embedded().cloned(),
        events: EventTable::default(),
        clock: SaleClock::new(clock::now_ms()),
        tokens: Arc::new(Tokens::new(&config.auth)),
        limits: Limits::new(&config.limits),
        counters: Counters::new(cores).measuring(config.telemetry.hot_metrics),
        bridge: entrance,
        relay_wake: Arc::new(Notify::new()),
        follower_wake: Arc::new(Notify::new()),
        connections: Seats::new(config.http.connections_max),
        drain: Drain::default(),
        traces: spike_backends::traces(&config, "spike-gateway").context("traces")?,
        failed_buys,
        config: config.clone(),
    });
    let ready = Arc::new(AtomicBool::new(true));
    let mut sidecar = Sidecar::start(&shared, &backends, exit, ops_listener, ready.clone())?;
    sidecar.others.spawn(named("log of failed buys", failed_log));
    let mut hot_cores = start_cores(&shared, listeners, &cpus)?;

    tokio::select! {
        () = shutdown => {}
        ended = hot_cores.recv() => match ended {
            Some((core, result)) => {
                anyhow::bail!("hot core {core} ended while the gateway was serving: {result:?}")
            }
            None => anyhow::bail!("every hot core ended while the gateway was serving"),
        },
        task = sidecar.ended() => anyhow::bail!("the sidecar's {task} ended while the gateway was serving"),
    }
    drain(&shared, &ready, hot_cores, cores).await;
    sidecar.stop().await;
    flush(&shared).await
}

/// Sends the spans that are still held.
async fn flush(shared: &Shared) -> anyhow::Result<()> {
    if let Some(traces) = shared.traces.clone() {
        tokio::task::spawn_blocking(move || traces.flush()).await?;
    }
    Ok(())
}

/// One listener a core, all on the one address. Port 0 is bound once, then shared.
fn bind(config: &Config, cores: usize) -> anyhow::Result<Vec<std::net::TcpListener>> {
    let mut address = config.http.listen;
    let mut listeners = Vec::with_capacity(cores);
    for _ in 0..cores {
        let listener = listener::bind(address, config.http.backlog)
            .with_context(|| format!("SPIKE_HTTP_LISTEN: cannot listen on {address}"))?;
        address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn checks(backends: &Backends, shared: &Arc<Shared>, seen: &Arc<Seen>) -> Vec<Check> {
    let (stock, store) = (backends.stock.clone(), backends.store.clone());
    let (table, tokens, limited) = (shared.clone(), shared.tokens.clone(), shared.clone());
    let (selling, fences, queues) = (shared.clone(), seen.clone(), seen.clone());
    vec![
        Check::new("ledger", true, move || {
            let stock = stock.clone();
            async move { stock.ping().await.map_err(|error| error.to_string()) }
        }),
        Check::new("database", false, move || {
            let store = store.clone();
            async move { store.ping().await.map_err(|error| error.to_string()) }
        }),
        // A gateway that has just started would turn every buyer away.
        Check::new("events", true, move || {
            let known = table.events.complete() || !table.events.load().is_empty();
            async move { if known { Ok(()) } else { Err("no event has been read yet".to_owned()) } }
        }),
        // And it could not tell a living token from a dead one. Read once, it goes on without the database.
        Check::new("revocations", true, move || {
            let known = tokens.revocations().loaded();
            async move { if known { Ok(()) } else { Err("revoked tokens have not been read yet".to_owned()) } }
        }),
        // And it would go by its configuration where an administrator has set other limits.
        Check::new("limits", true, move || {
            let known = limited.limits.version() > 0;
            async move { if known { Ok(()) } else { Err("the rate limits have not been read yet".to_owned()) } }
        }),
        // Accepted orders wait in the outbox meanwhile.
        Check::new("broker", false, move || {
            let answered = queues.broker();
            async move { answered }
        }),
        // Its buyers are told to come again; nobody else's traffic should go elsewhere for it, where it would be no better.
        Check::new("fence", false, move || {
            let fenced = fences.fenced(&selling.events.load(), selling.clock.read().unix_ms);
            async move { if fenced.is_empty() { Ok(()) } else { Err(closed_for_recovery(&fenced)) } }
        }),
    ]
}

fn closed_for_recovery(events: &[EventId]) -> String {
    let ids: Vec<String> = events.iter().take(FENCED_TOLD).map(ToString::to_string).collect();
    let more = if events.len() > FENCED_TOLD { " and more" } else { "" };
    format!("should sell and cannot, their ledgers are being brought up: event {}{more}", ids.join(", "))
}

/// Everything that runs on the tokio side.
struct Sidecar {
    relay: JoinHandle<()>,
    others: JoinSet<&'static str>,
    stop: watch::Sender<bool>,
}

impl Sidecar {
    fn start(
        shared: &Arc<Shared>,
        backends: &Backends,
        exit: Exit,
        ops_listener: tokio::net::TcpListener,
        ready: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let config = &shared.config;
        let (stop, stopping) = watch::channel(false);
        let (active, events) = watch::channel(Arc::new(Vec::<EventId>::new()));
        let control = control_of(shared, backends);
        let metrics = Metrics::new(shared, backends, &control, &ready);
        let seen = metrics.seen.clone();
        let store = follower_store(config)?.counting_with(&backends.store);
        let follower = Follower::new(shared.clone(), backends.stock.clone(), store, active);
        let (look_every, look_within) = (config.telemetry.look_interval_ms, config.amqp.connect_timeout_ms);
        let look = lookout::run(
            seen.clone(),
            backends.stock.clone(),
            backends.broker.clone(),
            events.clone(),
            (Duration::from_millis(look_every), Duration::from_millis(look_within)),
        );
        let relay = relay::run(
            relay_deps(shared, backends, events, metrics.relay.clone()),
            told_to(stopping.clone()),
        );
        let (relays, idle) = (config.relay.enabled, told_to(stopping.clone()));
        let checks = checks(backends, shared, &seen);
        let debug = config.telemetry.debug_endpoints;
        let traces = shared.traces.clone().map(sampling_knob);
        let ops = Ops { ready, checks, metrics: Arc::new(move || metrics.text()), debug, traces };
        let mut others = JoinSet::new();
        others.spawn(named("bridge", exit.serve(control::router(Arc::new(control)))));
        others.spawn(named("follower", follower.run()));
        others.spawn(named("look-out", look));
        others.spawn(named("ops server", async move {
            if let Err(error) = ops::serve(ops_listener, ops, told_to(stopping)).await {
                tracing::error!(%error, "the ops server ended");
            }
        }));
        let relay = async move { if relays { relay.await } else { idle.await } };
        Ok(Self { relay: tokio::spawn(relay), others, stop })
    }

    /// Waits for a task that ends on its own, which none should: without the follower the gateway sells by an old table,
    /// without the bridge nobody logs in.
    async fn ended(&mut self) -> String {
        tokio::select! {
            relay = &mut self.relay => format!("relay ({relay:?})"),
            Some(other) = self.others.join_next() => match other {
                Ok(name) => name.to_owned(),
                Err(panicked) => format!("task ({panicked})"),
            },
        }
    }

    /// Lets the relay finish its window; the others have nothing to finish and end with their set.
    async fn stop(self) {
        self.stop.send_replace(true);
        if self.relay.await.is_err() {
            tracing::error!("the relay panicked");
        }
    }
}

/// Turns which traces are recorded.
fn sampling_knob(traces: Arc<Traces>) -> Knob {
    let shown = traces.clone();
    Knob::new(
        move || shown.sampling().to_string(),
        move |text| text.parse().map(|sampling| traces.set_sampling(sampling)),
    )
}

fn control_of(shared: &Arc<Shared>, backends: &Backends) -> Control {
    let (timed, counted) = (shared.clone(), shared.clone());
    Control::new(shared.config.clone(), backends.store.clone(), backends.stock.clone(), shared.tokens.clone())
        .with_clock(move || timed.clock.read().unix_ms)
        .on_panic(move || counted.counters.add(Counter::Panics, 1))
        .with_traces(shared.traces.clone())
}

/// What the relay of `events` works with.
fn relay_deps(
    shared: &Shared,
    backends: &Backends,
    events: watch::Receiver<Arc<Vec<EventId>>>,
    metrics: Arc<RelayMetrics>,
) -> RelayDeps {
    let config = &shared.config;
    RelayDeps {
        ledger: backends.stock.clone(),
        store: Some(backends.store.clone()),
        broker: backends.broker.clone(),
        amqp: config.amqp.clone(),
        relay: config.relay.clone(),
        events,
        wake: shared.relay_wake.clone(),
        consumer: consumer_name(config),
        metrics,
        traces: shared.traces.clone(),
    }
}

/// Connections of the follower's own: whoever keeps the others busy must not keep it from what is revoked.
fn follower_store(config: &Config) -> anyhow::Result<Store> {
    let settings = DatabaseSettings {
        connections_min: 0,
        connections_max: FOLLOWER_CONNECTIONS,
        ..spike_backends::database_settings(config)
    };
    Ok(Store::connect_lazy(&settings)?)
}

/// Names a task, so that its end can be told.
async fn named(name: &'static str, task: impl Future<Output = ()>) -> &'static str {
    task.await;
    name
}

/// The relay's name in the outboxes' group: the same after a restart on this host and port, so that it finds its own.
fn consumer_name(config: &Config) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", host.trim(), config.http.listen.port())
}

async fn told_to(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender is gone, which also says stop.
    let _ = stopping.wait_for(|stop| *stop).await;
}

type Ended = (usize, anyhow::Result<()>);

fn start_cores(
    shared: &Arc<Shared>,
    listeners: Vec<std::net::TcpListener>,
    cpus: &[usize],
) -> anyhow::Result<mpsc::Receiver<Ended>> {
    let (sender, receiver) = mpsc::channel(listeners.len());
    for (number, listener) in listeners.into_iter().enumerate() {
        let (shared, sender) = (shared.clone(), sender.clone());
        let cpu = shared.config.hot.pin.then(|| cpus[number % cpus.len()]);
        start_core(number, sender, move || hot::core::run(&shared, number, cpu, listener))?;
    }
    Ok(receiver)
}

/// Runs `core` on a thread of its own and tells how it ended, also when it panicked outside of any connection.
fn start_core(
    number: usize,
    sender: mpsc::Sender<Ended>,
    core: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> std::io::Result<()> {
    let told = move || {
        let result =
            catch_unwind(AssertUnwindSafe(core)).unwrap_or_else(|_| Err(anyhow::anyhow!("panicked")));
        // Fails only when nobody listens any more, which is after the drain.
        let _ = sender.blocking_send((number, result));
    };
    std::thread::Builder::new().name(format!("hot-{number}")).spawn(told).map(drop)
}

/// Unready, closing, over: see [`DrainPhase`].
async fn drain(shared: &Shared, ready: &AtomicBool, mut hot_cores: mpsc::Receiver<Ended>, cores: usize) {
    let timeout = Duration::from_millis(shared.config.http.drain_timeout_ms);
    tracing::info!(timeout_ms = shared.config.http.drain_timeout_ms, "draining");
    ready.store(false, Ordering::Relaxed);
    shared.drain.advance(DrainPhase::Unready);
    tokio::time::sleep(UNREADY.min(timeout / 4)).await;
    shared.drain.advance(DrainPhase::Closing);
    let all = async {
        for _ in 0..cores {
            hot_cores.recv().await;
        }
    };
    if tokio::time::timeout(timeout, all).await.is_err() {
        shared.drain.advance(DrainPhase::Over);
        tracing::warn!("the drain's deadline has passed; what is left is cut");
    } else {
        tracing::info!("drained");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_core_that_panics_is_told_of() {
        let (sender, mut receiver) = mpsc::channel(1);
        start_core(3, sender, || panic!("planted")).unwrap();
        let (number, result) = receiver.recv().await.expect("the core tells of its end");
        assert_eq!((number, result.unwrap_err().to_string().as_str()), (3, "panicked"));
    }

    #[tokio::test]
    async fn a_task_of_the_sidecar_that_ends_or_panics_is_told_of() {
        let ended = async |relay: fn() -> bool, bridge: fn() -> bool| {
            let mut others = JoinSet::new();
            others.spawn(named("follower", std::future::pending()));
            others.spawn(named("bridge", until(bridge)));
            let stop = watch::channel(false).0;
            Sidecar { relay: tokio::spawn(until(relay)), others, stop }.ended().await
        };
        assert_eq!(ended(|| false, || true).await, "bridge");
        assert!(ended(|| false, || panic!("planted")).await.contains("panic"));
        assert!(ended(|| panic!("planted"), || false).await.contains("relay"));
        assert!(ended(|| true, || false).await.contains("relay"));
    }

    async fn until(over: fn() -> bool) {
        if !over() {
            std::future::pending::<()>().await;
        }
    }
}
