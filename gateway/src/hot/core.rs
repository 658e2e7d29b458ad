//! One hot core: its thread, its view of the events, its connections, its line to Redis.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use spike_config::Driver;
use spike_domain::{EventId, Reason, UserId};
use spike_metrics::CoreMetrics;
use spike_metrics::words::LedgerCall;
use spike_telemetry::Counter;

use super::answer::RequestIds;
use super::batch::Batch;
use super::connection::Connections;
use super::failed::Seldom;
use super::lane::Scratch;
use super::lane::page::{self, Date};
use super::line::{Line, Look};
use super::listener;
use super::measure::Call;
use super::traced::Budget;
use super::waiting::Waiting;
use crate::local::EventLocal;
use crate::redis::LinkError;
use crate::shared::{DrainPhase, Shared};
use crate::tokens::{Access, Lookup, TokenCache};

/// How often a core looks at deadlines, in ms.
const TICK_MS: u64 = 50;
/// So many connections that rest since the last sweep leave memory worth giving back to the system: some 10 MiB.
const MANY_RESTED: usize = 512;
/// How often connections are swept for passed deadlines, in ticks.
const SWEEP_TICKS: u64 = 10;

/// The state of one core. Lives and dies on its thread.
pub struct Core {
    /// What all cores and the sidecar share.
    pub shared: Arc<Shared>,
    /// This core's number.
    pub number: usize,
    /// What it counts.
    pub metrics: CoreMetrics,
    /// The line to the ledger.
    pub line: Line,
    /// Open connections.
    pub connections: Connections,
    /// Request ids.
    pub request_ids: RequestIds,
    /// Buys under way.
    pub pending: Cell<usize>,
    /// What its connections share in the fast lane.
    pub scratch: Scratch,
    /// `Date` of the answers made there, as of the last tick.
    pub date: Cell<Date>,
    /// Those who wait for news of their order.
    pub waiting: Waiting,
    /// Buys that may be recorded.
    pub trace_budget: Budget,
    /// Of failed and slow buys among the others.
    pub kept_budget: Budget,
    /// Lines about failed buys.
    pub failed_lines: Seldom,
    tokens: RefCell<TokenCache>,
    now_ms: Cell<u64>,
    generation: Cell<u64>,
    batches: RefCell<HashMap<EventId, Rc<Batch>>>,
}

impl Core {
    /// A core that has not started.
    pub fn new(shared: Arc<Shared>, number: usize) -> Rc<Self> {
        Rc::new(Self {
            line: {
                let counters = shared.clone();
                let reconnected = move || counters.counters.add(Counter::RedisReconnects, 1);
                Line::new(&shared.config, shared.embedded.clone(), reconnected)
            },
            tokens: RefCell::new(TokenCache::new(shared.config.hot.token_cache_slots)),
            metrics: shared.counters.of_core(number),
            shared,
            number,
            connections: Connections::default(),
            request_ids: RequestIds::new(fastrand::u64(..)),
            pending: Cell::new(0),
            waiting: Waiting::default(),
            scratch: Scratch::default(),
            date: Cell::new(page::date(0)),
            trace_budget: Budget::default(),
            kept_budget: Budget::default(),
            failed_lines: Seldom::default(),
            now_ms: Cell::new(0),
            generation: Cell::new(u64::MAX),
            batches: RefCell::default(),
        })
    }

    /// The event as this core sees it, with its queue; `None` for an unknown event.
    pub fn event(&self, event: EventId) -> Option<Rc<Batch>> {
        let generation = self.shared.events.generation();
        if generation != self.generation.get() {
            self.adopt_events(generation);
        }
        self.batches.borrow().get(&event).cloned()
    }

    /// Why there is no [`Core::event`]: nobody announced it, or this gateway has not heard of it yet.
    pub fn unknown_event(&self) -> Reason {
        if self.shared.events.complete() { Reason::NotFound } else { Reason::Recovering }
    }

    /// What a valid token says; most are remembered from an earlier request.
    pub fn access(&self, token: &str, now_s: u64) -> Option<Access> {
        let (access, lookup) = self.tokens.borrow_mut().authenticate(&self.shared.tokens, token, now_s);
        let counter = match lookup {
            Lookup::Hit => Counter::TokenCacheHits,
            Lookup::Miss => Counter::TokenCacheMisses,
        };
        self.count(counter, 1);
        access
    }

    /// Milliseconds since the process's start, as of the last tick: for deadlines, not for windows.
    pub fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    /// Counts on this core's own line.
    pub fn count(&self, counter: Counter, n: u64) {
        self.metrics.count(counter, n);
    }

    /// What the ledger shows one user.
    pub async fn look(&self, event: &EventLocal, user: UserId) -> Result<Look, LinkError> {
        let _timed = Call::begin(self, LedgerCall::Look);
        self.line.look(event, user).await
    }

    /// What the ledger shows each of `users`: see [`Line::looks`].
    pub async fn looks(&self, event: &EventLocal, users: &[UserId]) -> Result<Vec<Option<Look>>, LinkError> {
        let _timed = Call::begin(self, LedgerCall::Look);
        self.line.looks(event, users).await
    }

    /// Whether answers should ask clients to go elsewhere.
    pub fn draining(&self) -> bool {
        self.shared.drain.phase() != DrainPhase::Serving
    }

    /// Takes over a new table, keeping the queues of events that stay.
    fn adopt_events(&self, generation: u64) {
        let events = self.shared.events.load();
        let mut batches = self.batches.borrow_mut();
        batches.retain(|id, _| events.contains_key(id));
        for (&id, event) in events.iter() {
            match batches.get(&id) {
                Some(batch) => batch.set_event(event.clone()),
                None => drop(batches.insert(id, Rc::new(Batch::new(event.clone())))),
            }
        }
        self.generation.set(generation);
    }

    async fn tick_forever(self: Rc<Self>) {
        let timeout_ms = self.shared.config.hot.redis_timeout_ms;
        for tick in 0u64.. {
            self.now_ms.set(self.shared.clock.read().mono_ms());
            self.line.tick(self.now_ms(), timeout_ms);
            self.connections.tick(self.now_ms());
            self.date.set(page::date(spike_domain::clock::now_ms() / 1000));
            if tick % SWEEP_TICKS == 0 {
                let closed = self.connections.sweep(&self.shared.config.http);
                self.count(Counter::ConnectionsTimedOut, closed);
                if self.connections.rested() >= MANY_RESTED {
                    spike_telemetry::give_back();
                }
            }
            monoio::time::sleep(Duration::from_millis(TICK_MS)).await;
        }
    }
}

/// Runs core `number` on this thread until it has drained. `cpu`: where to pin it.
///
/// # Errors
/// When the runtime or the listener cannot be made.
pub fn run(
    shared: &Arc<Shared>,
    number: usize,
    cpu: Option<usize>,
    listener: std::net::TcpListener,
) -> anyhow::Result<()> {
    if let Some(cpu) = cpu
        && let Err(error) = monoio::utils::bind_to_cpu_set([cpu])
    {
        tracing::warn!(core = number, cpu, %error, "cannot pin this core; it runs where the system puts it");
    }
    let future = serve(shared.clone(), number, listener);
    match shared.config.hot.driver {
        Driver::Epoll => legacy()?.block_on(future),
        Driver::IoUring => uring()?.block_on(future),
        Driver::Auto => match uring() {
            Ok(mut runtime) => runtime.block_on(future),
            Err(error) => {
                tracing::info!(core = number, %error, "io_uring is not to be had; this core runs on epoll");
                legacy()?.block_on(future)
            }
        },
    }
}

async fn serve(shared: Arc<Shared>, number: usize, listener: std::net::TcpListener) -> anyhow::Result<()> {
    let core = Core::new(shared.clone(), number);
    monoio::spawn(core.clone().tick_forever());
    let linked = core.clone();
    monoio::spawn(async move {
        let link = match &linked.line {
            Line::Redis { link, .. } => link,
            Line::Cluster { cluster, .. } => return cluster.run().await,
            Line::Embedded { .. } => return,
        };
        let redis = &linked.shared.config.redis;
        let timeout = Duration::from_millis(redis.connect_timeout_ms);
        let (first, counting) = (Cell::new(true), linked.clone());
        let on_up = move || {
            if !first.replace(false) {
                counting.count(Counter::RedisReconnects, 1);
            }
        };
        if let Some(endpoint) = &redis.endpoint {
            link.run(endpoint, timeout, on_up).await;
        }
    });
    listener::accept_until_drained(&core, listener).await
}

type LegacyRuntime = monoio::Runtime<monoio::time::TimeDriver<monoio::LegacyDriver>>;
type UringRuntime = monoio::Runtime<monoio::time::TimeDriver<monoio::IoUringDriver>>;

fn legacy() -> std::io::Result<LegacyRuntime> {
    monoio::RuntimeBuilder::<monoio::LegacyDriver>::new().enable_timer().build()
}

fn uring() -> std::io::Result<UringRuntime> {
    if !monoio::utils::detect_uring() {
        return Err(std::io::Error::other("the kernel or its seccomp profile refuses io_uring"));
    }
    monoio::RuntimeBuilder::<monoio::IoUringDriver>::new().enable_timer().build()
}
