//! The follower on a real Redis, beside a database that takes connections and never says a word.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use spike_config::Config;
use spike_devstack::{RedisServer, fixture};
use spike_domain::{
    Currency, EventDef, EventId, EventState, LedgerState, Money, ProductId, Window, clock::now_ms,
};
use spike_gateway::bridge::bridge;
use spike_gateway::follower::Follower;
use spike_gateway::local::events::EventTable;
use spike_gateway::local::{EventLocal, SaleClock};
use spike_gateway::shared::{Drain, Limits, Seats, Shared};
use spike_gateway::tokens::Tokens;
use spike_stock::stock::Timeouts;
use spike_stock::{EventKeys, Opening, Stock};
use spike_store::{DatabaseSettings, Store};
use spike_telemetry::Counters;
use tokio::sync::{Notify, watch};

const EPOCH: u64 = 1_763_800_000_000;
const PATIENCE: Duration = Duration::from_secs(10);
/// Longer than any test waits.
const SILENCE: Duration = Duration::from_secs(60);

struct Following {
    shared: Arc<Shared>,
    ledger: Stock,
    redis: RedisServer,
    _silent: TcpListener,
}

impl Following {
    async fn start() -> Self {
        let redis = fixture::redis();
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let database = format!("mysql://u:p@{}/spike", silent.local_addr().unwrap());
        let config = Config::load(None, [("SPIKE_REDIS_URL".to_owned(), redis.url())]).unwrap();
        let shared = Arc::new(Shared {
            embedded: None,
            events: EventTable::default(),
            clock: SaleClock::new(now_ms()),
            tokens: Arc::new(Tokens::new(&config.auth)),
            limits: Limits::new(&config.limits),
            counters: Counters::new(1),
            bridge: bridge(1).0,
            relay_wake: Arc::new(Notify::new()),
            follower_wake: Arc::new(Notify::new()),
            connections: Seats::new(1),
            drain: Drain::default(),
            traces: None,
            failed_buys: Default::default(),
            config: Arc::new(config),
        });
        let ledger = Stock::redis(&redis.url(), Timeouts::default()).unwrap();
        let settings = DatabaseSettings {
            url: database,
            connections_min: 0,
            connections_max: 1,
            acquire_timeout: SILENCE,
            statement_timeout: SILENCE,
        };
        let store = Store::connect_lazy(&settings).unwrap();
        let follower = Follower::new(shared.clone(), ledger.clone(), store, watch::channel(Arc::default()).0);
        tokio::spawn(follower.run());
        Self { shared, ledger, redis, _silent: silent }
    }

    async fn open(&self, id: EventId, stock: u64) {
        let now = now_ms();
        let def = EventDef {
            id,
            product_id: ProductId(1),
            name: "Sale".into(),
            price: Money { minor: 100, currency: Currency::parse("EUR").unwrap() },
            total: 10,
            per_user_limit: 1,
            pay_timeout_s: 60,
            window: Window { starts_at_ms: now - 60_000, ends_at_ms: now + 3_600_000 },
        };
        let opening = Opening { state: LedgerState::Open, stock, inflight: 0, cap: 1000, def: &def };
        self.ledger.begin(id, EPOCH).await.unwrap();
        self.ledger.load(id, EPOCH, &[], &[]).await.unwrap();
        self.ledger.open(id, EPOCH, &opening).await.unwrap();
    }

    fn set(&self, command: &[&str]) {
        self.redis.command(command).unwrap();
    }

    async fn until(&self, what: &str, shown: impl Fn(&EventLocal) -> bool, id: EventId) {
        let looked = async {
            while !self.shared.events.load().get(&id).is_some_and(|event| shown(event)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, looked).await.unwrap_or_else(|_| panic!("{what}: not in time"));
    }
}

fn stock(event: &EventLocal) -> Option<u64> {
    event.page.load().shown.stock
}

#[tokio::test]
async fn a_silent_database_does_not_delay_the_ledgers() {
    let following = Following::start().await;
    following.open(EventId(1), 10).await;
    following.until("the event", |event| event.state == EventState::Open, EventId(1)).await;
    following.set(&["SET", &EventKeys::new(EventId(1)).stock, "4"]);
    following.until("its stock", |event| stock(event) == Some(4), EventId(1)).await;
    assert!(!following.shared.tokens.revocations().loaded(), "nobody has said what is revoked");
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_stops_no_other() {
    let following = Following::start().await;
    for id in [1, 2, 3] {
        following.open(EventId(id), 10).await;
    }
    following.set(&["HSET", &EventKeys::new(EventId(1)).meta, "state", "nonsense"]);
    following.set(&["DEL", &EventKeys::new(EventId(2)).stock]);
    following.set(&["HSET", &EventKeys::new(EventId(2)).stock, "wrong", "type"]);
    following.set(&["SET", &EventKeys::new(EventId(3)).stock, "5"]);
    following.until("the third", |event| stock(event) == Some(5), EventId(3)).await;
    following.set(&["HSET", &EventKeys::new(EventId(1)).meta, "state", "open"]);
    following.until("the first, mended", |event| event.ledger.is_some(), EventId(1)).await;
}
