//! One hot core on a thread of its own, as the gateway starts it, with events set by the test.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use spike_config::Config;
use spike_devstack::RedisServer;
use spike_domain::{
    Currency, EventDef, EventId, EventState, LedgerState, Money, ProductId, Role, SessionId, UserId, Window,
    clock,
};
use spike_gateway::bridge::bridge;
use spike_gateway::hot;
use spike_gateway::local::SaleClock;
use spike_gateway::local::events::{EventLocal, EventTable, LedgerView};
use spike_gateway::shared::{Drain, DrainPhase, Limits, Seats, Shared};
use spike_gateway::tokens::Tokens;
use spike_stock::stock::Timeouts;
use spike_stock::{Opening, Stock};
use spike_telemetry::Counters;
use tokio::sync::Notify;

use super::raw::Client;

/// The event most tests buy in.
pub const EVENT: EventId = EventId(7);
pub const EPOCH: u64 = 1_763_800_000_000;

/// A running core.
pub struct HotCore {
    pub address: SocketAddr,
    pub shared: Arc<Shared>,
    pub redis: RedisServer,
    pub ledger: Stock,
    sidecar: tokio::runtime::Runtime,
    core: Option<JoinHandle<anyhow::Result<()>>>,
}

/// What a test may want otherwise.
pub struct Wishes {
    pub env: Vec<(&'static str, String)>,
    pub router: axum::Router,
    pub stock: u32,
    pub limit: u32,
    pub cap: u64,
    /// The ledger of the process instead of the one in Redis.
    pub embedded: bool,
    /// Name of the core's thread: failpoints are the whole process's, a planted one asks for its thread.
    pub thread: &'static str,
}

impl Default for Wishes {
    fn default() -> Self {
        let cold = axum::routing::any(|| async { (http::StatusCode::IM_A_TEAPOT, "cold") });
        Self {
            env: Vec::new(),
            router: axum::Router::new().fallback(cold),
            stock: 10,
            limit: 2,
            cap: 1_000_000,
            embedded: false,
            thread: "hot",
        }
    }
}

impl HotCore {
    pub fn start() -> Self {
        Self::start_with(Wishes::default())
    }

    pub fn start_with(wishes: Wishes) -> Self {
        let redis = spike_devstack::fixture::redis();
        let sidecar =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let ledger = sidecar.block_on(open(&redis, &wishes));
        let config = Arc::new(config(&redis, &wishes));
        let (entrance, exit) = bridge(config.sidecar.bridge_capacity);
        sidecar.spawn(exit.serve(wishes.router));
        let shared = Arc::new(Shared {
            embedded: ledger.as_embedded().cloned(),
            events: EventTable::default(),
            clock: SaleClock::new(clock::now_ms()),
            tokens: Arc::new(Tokens::new(&config.auth)),
            limits: Limits::new(&config.limits),
            counters: Counters::new(1),
            bridge: entrance,
            relay_wake: Arc::new(Notify::new()),
            follower_wake: Arc::new(Notify::new()),
            connections: Seats::new(config.http.connections_max),
            drain: Drain::default(),
            traces: None,
            failed_buys: Default::default(),
            config,
        });
        shared.tokens.revocations().mark_loaded();
        let listener = hot::listener::bind("127.0.0.1:0".parse().unwrap(), 128).unwrap();
        let address = listener.local_addr().unwrap();
        let of_core = shared.clone();
        let thread = std::thread::Builder::new().name(wishes.thread.to_owned());
        let core = thread.spawn(move || hot::core::run(&of_core, 0, None, listener)).unwrap();
        let this = Self { address, shared, redis, ledger, sidecar, core: Some(core) };
        this.show(this.def(wishes.stock, wishes.limit), EventState::Open, Some(LedgerState::Open));
        this.wait_for_redis();
        this
    }

    /// The event as it is sold: started a minute ago, for an hour.
    pub fn def(&self, total: u32, per_user_limit: u32) -> EventDef {
        def(total, per_user_limit)
    }

    /// Puts the event into the table, as the follower would.
    pub fn show(&self, def: EventDef, state: EventState, ledger: Option<LedgerState>) {
        let view = ledger.map(|state| LedgerView {
            epoch: EPOCH,
            state,
            version: 1,
            stock: Some(u64::from(def.total)),
        });
        let event = EventLocal::new(def, state, view, 500, None);
        self.shared.events.replace(HashMap::from([(EVENT, Arc::new(event))]));
        self.shared.events.mark_complete();
    }

    pub fn token(&self, user: i64) -> String {
        self.shared.tokens.mint(
            UserId(user),
            Role::User,
            SessionId::new(clock::now_ms()),
            0,
            clock::now_ms() / 1000,
        )
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.sidecar.block_on(future)
    }

    /// Polls until a call reaches Redis: the core connects on its own.
    pub fn wait_for_redis(&self) {
        let token = self.token(i64::MAX);
        super::raw::until("the core reaches Redis", || {
            let answer = self.client().get("/api/v1/spike/events/7/orders/mine", &token);
            answer.status == 404
        });
    }
}

impl Drop for HotCore {
    fn drop(&mut self) {
        self.shared.drain.advance(DrainPhase::Over);
        if let Some(core) = self.core.take() {
            let ended = core.join();
            if !std::thread::panicking() {
                ended.expect("no request may take the core down").expect("the core ends cleanly");
            }
        }
    }
}

fn def(total: u32, per_user_limit: u32) -> EventDef {
    let now = clock::now_ms();
    EventDef {
        id: EVENT,
        product_id: ProductId(1),
        name: "Sale".into(),
        price: Money { minor: 100, currency: Currency::parse("EUR").unwrap() },
        total,
        per_user_limit,
        pay_timeout_s: 60,
        window: Window { starts_at_ms: now - 60_000, ends_at_ms: now + 3_600_000 },
    }
}

async fn open(redis: &RedisServer, wishes: &Wishes) -> Stock {
    let ledger = match wishes.embedded {
        true => Stock::embedded(&spike_devstack::fixture::folder("ledger")).unwrap(),
        false => Stock::redis(&redis.url(), Timeouts::default()).unwrap(),
    };
    let def = def(wishes.stock, wishes.limit);
    ledger.begin(EVENT, EPOCH).await.unwrap();
    ledger.load(EVENT, EPOCH, &[], &[]).await.unwrap();
    let (state, stock) = (LedgerState::Open, u64::from(wishes.stock));
    let opening = Opening { state, stock, inflight: 0, cap: wishes.cap, def: &def };
    ledger.open(EVENT, EPOCH, &opening).await.unwrap();
    ledger.load_fenced(EVENT, EPOCH).await.unwrap();
    ledger
}

fn config(redis: &RedisServer, wishes: &Wishes) -> Config {
    let mut env = vec![
        ("SPIKE_REDIS_URL".to_owned(), redis.url()),
        ("SPIKE_LIMITS_USER_PER_S".to_owned(), "0".to_owned()),
        ("SPIKE_LIMITS_ADDRESS_PER_S".to_owned(), "0".to_owned()),
        ("SPIKE_LIMITS_DEBOUNCE_MS".to_owned(), "0".to_owned()),
        // A disk that the whole machine writes to may keep Redis waiting; who tests the time limit sets it.
        ("SPIKE_HOT_REDIS_TIMEOUT_MS".to_owned(), "10000".to_owned()),
    ];
    for (name, value) in &wishes.env {
        env.retain(|(known, _)| known != name);
        env.push(((*name).to_owned(), value.clone()));
    }
    Config::load(None, env).unwrap_or_else(|errors| panic!("{errors}"))
}
