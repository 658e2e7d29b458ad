//! The relay between a private Redis and a real RabbitMQ: every accepted order reaches the broker, whoever goes away.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spike_broker::{Broker, Consumer};
use spike_config::Config;
use spike_devstack::{RabbitServer, RedisServer, fixture};
use spike_domain::clock::now_ms;
use spike_domain::{
    Currency, EventDef, EventId, LedgerState, Money, OrderId, OrdersMessage, ProductId, UserId, Window,
};
use spike_gateway::relay::{self, RelayDeps};
use spike_stock::keys::RELAY_GROUP;
use spike_stock::reserve::{Buyer, Decision};
use spike_stock::stock::Timeouts as StockTimeouts;
use spike_stock::{EventKeys, Opening, Stock};
use spike_store::{DatabaseSettings, NewEvent, NewProduct, Store};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(40);
const EVENT: EventId = EventId(7);
const EPOCH: u64 = 1_763_800_000_000;

/// An open ledger and a broker.
struct Outbox {
    redis: RedisServer,
    ledger: Stock,
    amqp_url: String,
    wake: Arc<Notify>,
}

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Outbox {
    async fn with_broker(amqp_url: String) -> Self {
        let redis = tokio::task::spawn_blocking(fixture::redis).await.unwrap();
        let ledger = Stock::redis(&redis.url(), StockTimeouts::default()).unwrap();
        let outbox = Self { redis, ledger, amqp_url, wake: Arc::new(Notify::new()) };
        outbox.open().await;
        outbox
    }

    async fn shared() -> Self {
        Self::with_broker(tokio::task::spawn_blocking(fixture::vhost).await.unwrap()).await
    }

    /// What the worker's rebuild does to an event nobody has bought in.
    async fn open(&self) {
        let price = Money { minor: 500, currency: Currency::parse("EUR").unwrap() };
        let window = Window { starts_at_ms: 0, ends_at_ms: u64::MAX };
        let def = EventDef {
            id: EVENT,
            product_id: ProductId(1),
            name: "Spring sale".into(),
            price,
            total: 100_000,
            per_user_limit: 1,
            pay_timeout_s: 60,
            window,
        };
        let opening =
            Opening { state: LedgerState::Open, stock: 100_000, inflight: 0, cap: 100_000, def: &def };
        self.ledger.begin(EVENT, EPOCH).await.unwrap();
        self.ledger.load(EVENT, EPOCH, &[], &[]).await.unwrap();
        self.ledger.open(EVENT, EPOCH, &opening).await.unwrap();
        self.ledger.load_fenced(EVENT).await.unwrap();
    }

    /// One reserve call, and the wake the hot cores would give.
    async fn buy(&self, users: std::ops::Range<i64>) {
        let buyer =
            |user| Buyer { user: UserId(user), order: OrderId::new(now_ms()), quantity: 1, key: None };
        let buyers: Vec<Buyer> = users.map(buyer).collect();
        let decided = self.ledger.reserve(EVENT, EPOCH, now_ms(), &buyers).await.unwrap();
        assert!(decided.decisions.iter().all(|decision| *decision == Decision::Accepted));
        self.wake.notify_one();
    }

    fn relay(&self, consumer: &str, event: EventId, store: Option<Store>) -> Running {
        let settings = [
            ("SPIKE_AMQP_URL", self.amqp_url.as_str()),
            ("SPIKE_AMQP_CONFIRM_TIMEOUT_MS", "2000"),
            ("SPIKE_RELAY_POLL_MS", "5"),
            ("SPIKE_RELAY_CLAIM_IDLE_MS", "100"),
            ("SPIKE_RELAY_REPUBLISH_AFTER_MS", "300"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::load(None, settings).unwrap();
        let deps = RelayDeps {
            ledger: self.ledger.clone(),
            store,
            broker: Broker::Amqp { url: self.amqp_url.clone() },
            amqp: config.amqp,
            relay: config.relay,
            events: watch::channel(Arc::new(vec![event])).1,
            wake: Arc::clone(&self.wake),
            consumer: consumer.to_owned(),
            metrics: Arc::default(),
        };
        let (stop, stopped) = oneshot::channel();
        Running { stop, task: tokio::spawn(relay::run(deps, async { drop(stopped.await) })) }
    }

    /// Consumes until every user below `users` has been seen; how often each came is not asked. Returns the messages' sizes.
    async fn until_broker_has(&self, users: i64) -> Vec<usize> {
        let mut consumer = Consumer::connect(&self.amqp_url, 1000, PATIENCE).await.unwrap();
        let mut missing: BTreeSet<i64> = (1..users).collect();
        let mut sizes = Vec::new();
        while !missing.is_empty() {
            let delivery =
                tokio::time::timeout(PATIENCE, consumer.next()).await.expect("orders in time").unwrap();
            let message = OrdersMessage::decode(&delivery.body).unwrap();
            message.entries.iter().flat_map(|entry| &entry.orders).for_each(|order| {
                missing.remove(&order.user.0);
            });
            sizes.push(message.order_count());
            consumer.ack(&[delivery.tag]).await.unwrap();
        }
        sizes
    }

    /// Entries delivered to a relay and not acknowledged.
    async fn pending(&self) -> usize {
        let client = redis::Client::open(self.redis.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut cmd = redis::cmd("XPENDING");
        cmd.arg(EventKeys::new(EVENT).outbox).arg(RELAY_GROUP);
        let reply: redis::Value = cmd.query_async(&mut connection).await.unwrap();
        let redis::Value::Array(fields) = reply else { panic!("{reply:?}") };
        redis::from_redis_value(fields[0].clone()).unwrap()
    }

    async fn until_acknowledged(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.pending().await > 0 {
            assert!(Instant::now() < deadline, "{} entries stay unacknowledged", self.pending().await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Running {
    async fn stop(self) {
        drop(self.stop);
        tokio::time::timeout(PATIENCE, self.task).await.expect("a stopped relay").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_joined_published_and_acknowledged_but_not_deleted() {
    let outbox = Outbox::shared().await;
    for call in 0..300 {
        outbox.buy(1 + call * 10..11 + call * 10).await;
    }
    let relay = outbox.relay("one", EVENT, None);
    let sizes = outbox.until_broker_has(3001).await;
    assert_eq!(sizes.iter().sum::<usize>(), 3000, "a healthy relay publishes once");
    assert!(sizes.len() < 20, "entries were not joined: {sizes:?}");
    assert!(sizes.iter().all(|&orders| orders <= 256), "{sizes:?}");
    outbox.until_acknowledged().await;
    assert_eq!(outbox.ledger.entries(EVENT, None, 1000).await.unwrap().entries.len(), 300);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_relay_held_is_found_by_its_next_life_and_by_another() {
    let outbox = Outbox::shared().await;
    outbox.buy(1..11).await;
    outbox.buy(11..21).await;
    assert_eq!(outbox.ledger.read_new(EVENT, "one", 1).await.unwrap().len(), 1);
    assert_eq!(outbox.ledger.read_new(EVENT, "gone for ever", 10).await.unwrap().len(), 1);
    let relay = outbox.relay("one", EVENT, None);
    outbox.until_broker_has(21).await;
    outbox.until_acknowledged().await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_lost_the_group_gets_it_back_and_every_entry_is_read() {
    let outbox = Outbox::shared().await;
    outbox.buy(1..11).await;
    let keys = EventKeys::new(EVENT);
    let gone = outbox.redis.command(&["XGROUP", "DESTROY", &keys.outbox, RELAY_GROUP]).unwrap();
    assert_eq!(gone.trim(), "1");
    let relay = outbox.relay("one", EVENT, None);
    outbox.buy(11..21).await;
    outbox.until_broker_has(21).await;
    outbox.until_acknowledged().await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_wait_for_a_broker_that_is_away() {
    let start = || RabbitServer::start(&fixture::folder("rabbit")).unwrap();
    let node = tokio::task::spawn_blocking(start).await.unwrap();
    let outbox = Outbox::with_broker(node.url("/")).await;
    node.kill9();
    let relay = outbox.relay("one", EVENT, None);
    outbox.buy(1..101).await;
    node.restart().unwrap();
    outbox.buy(101..201).await;
    outbox.until_broker_has(201).await;
    outbox.until_acknowledged().await;

    node.kill9();
    outbox.buy(201..211).await;
    relay.stop().await;
    assert_eq!(
        outbox.ledger.entries(EVENT, None, 1000).await.unwrap().entries.len(),
        3,
        "nothing is given up"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_reach_the_database_is_published_again_until_it_does() {
    let outbox = Outbox::shared().await;
    let url = tokio::task::spawn_blocking(fixture::database).await.unwrap();
    let store = store_with_event(url).await;
    // The broker loses everything: the first message is thrown away.
    outbox.buy(1..4).await;
    let relay = outbox.relay("one", EVENT, Some(store.clone()));
    outbox.until_broker_has(4).await;
    outbox.until_broker_has(4).await;

    let entries = outbox.ledger.entries(EVENT, None, 10).await.unwrap().entries;
    let written = store.insert_entries(EVENT, &entries).await.unwrap();
    assert_eq!(written.outcomes.len(), 3);
    relay.stop().await;
    let mut consumer = Consumer::connect(&outbox.amqp_url, 10, PATIENCE).await.unwrap();
    let until = tokio::time::Instant::now() + Duration::from_millis(300);
    while let Ok(delivery) = tokio::time::timeout_at(until, consumer.next()).await {
        consumer.ack(&[delivery.unwrap().tag]).await.unwrap();
    }
    let relay = outbox.relay("one", EVENT, Some(store));
    let nothing = tokio::time::timeout(Duration::from_millis(1000), consumer.next()).await;
    assert!(nothing.is_err(), "an entry whose orders have rows was published again");
    relay.stop().await;
}

/// A store in which [`EVENT`] is in [`EPOCH`].
async fn store_with_event(url: String) -> Store {
    let settings = DatabaseSettings {
        url,
        connections_min: 0,
        connections_max: 4,
        acquire_timeout: Duration::from_secs(20),
        statement_timeout: Duration::from_secs(10),
    };
    let store = Store::connect(&settings).await.unwrap();
    store.migrate().await.unwrap();
    let price = Money { minor: 500, currency: Currency::parse("EUR").unwrap() };
    let product = NewProduct {
        sku: "lamp".into(),
        name: "Lamp".into(),
        description: String::new(),
        price,
        stock: 1000,
    };
    let product_id = store.create_product(product, None).await.unwrap();
    let window = Window { starts_at_ms: now_ms(), ends_at_ms: now_ms() + 3_600_000 };
    loop {
        let event = NewEvent {
            product_id,
            name: "Spring sale".into(),
            price,
            total: 10,
            per_user_limit: 1,
            pay_timeout_s: 60,
            window,
        };
        let event = store.create_event(event, None).await.unwrap();
        if event == EVENT {
            assert_eq!(store.bump_epoch(event, EPOCH, 0).await.unwrap(), EPOCH);
            return store;
        }
        assert!(event < EVENT, "a fresh database counts from 1");
    }
}
