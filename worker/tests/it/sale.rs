//! A sale with its servers, a worker that runs in this process, and a relay reduced to its essence.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spike_backends::Backends;
use spike_broker::{Outgoing, Publisher, Timeouts};
use spike_config::Config;
use spike_devstack::{ChaosProxy, RabbitServer, RedisServer, fixture};
use spike_domain::clock::now_ms;
use spike_domain::{
    Conservation, Currency, EntryId, EventId, EventState, Money, OrderId, OrdersMessage, OutboxEntry, UserId,
    Window,
};
use spike_stock::reserve::{Buyer, Decision};
use spike_stock::stock::Timeouts as StockTimeouts;
use spike_stock::{Stock, StockError};
use spike_store::{DatabaseSettings, DeadLetter, LetterFilter, NewEvent, NewProduct, Store};
use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Patience of a test.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// An event on servers of its own.
pub struct Sale {
    pub redis: RedisServer,
    pub ledger: Stock,
    pub store: Store,
    pub event: EventId,
    pub config: Arc<Config>,
    pub amqp_url: String,
    database_url: String,
    env: HashMap<String, String>,
}

/// A worker; dropping it kills it where it stands.
pub struct RunningWorker {
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Sale {
    /// A sale of `total` units on the shared RabbitMQ; not warmed up yet.
    pub async fn of(total: u32) -> Self {
        let amqp_url = tokio::task::spawn_blocking(fixture::vhost).await.unwrap();
        Self::with_broker(total, amqp_url).await
    }

    /// With these settings besides.
    pub async fn of_with(total: u32, settings: &[(&str, &str)]) -> Self {
        let amqp_url = tokio::task::spawn_blocking(fixture::vhost).await.unwrap();
        Self::made(total, amqp_url, settings).await
    }

    pub async fn with_broker(total: u32, amqp_url: String) -> Self {
        Self::made(total, amqp_url, &[]).await
    }

    async fn made(total: u32, amqp_url: String, own: &[(&str, &str)]) -> Self {
        let servers = || (fixture::redis(), fixture::database());
        let (redis, database_url) = tokio::task::spawn_blocking(servers).await.unwrap();
        let mut settings_given = HashMap::from(
            [
                ("SPIKE_REDIS_URL", redis.url()),
                ("SPIKE_AMQP_URL", amqp_url.clone()),
                ("SPIKE_DATABASE_URL", database_url.clone()),
                ("SPIKE_WORKER_OPS_LISTEN", "127.0.0.1:0".into()),
                ("SPIKE_WORKER_SWEEP_INTERVAL_MS", "100".into()),
                ("SPIKE_WORKER_PURGE_INTERVAL_MS", "100".into()),
                ("SPIKE_WORKER_WATCH_INTERVAL_MS", "50".into()),
                ("SPIKE_WORKER_DRAIN_TIMEOUT_MS", "10000".into()),
                // Tests open their events themselves.
                ("SPIKE_WORKER_AUTO_WARMUP_BEFORE_S", "0".into()),
            ]
            .map(|(name, value): (&str, String)| (name.to_owned(), value)),
        );
        settings_given.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let config = Config::load(None, settings_given.clone()).unwrap();
        let store = Store::connect(&settings(database_url.clone())).await.unwrap();
        store.migrate().await.unwrap();
        let ledger = Stock::redis(&redis.url(), StockTimeouts::default()).unwrap();
        let event = scheduled_event(&store, total).await;
        store.set_event_state(event, EventState::Open).await.unwrap();
        Self {
            redis,
            ledger,
            store,
            event,
            config: Arc::new(config),
            amqp_url,
            database_url,
            env: settings_given,
        }
    }

    /// A setting of the workers started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
        self.config = Arc::new(Config::load(None, self.env.clone()).unwrap());
    }

    /// Starts a worker on these servers.
    pub fn worker(&self) -> RunningWorker {
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        let backends = Backends::connect(&self.config).unwrap();
        let worker = spike_worker::run(Arc::clone(&self.config), backends, shutdown);
        RunningWorker { stop, task: tokio::spawn(worker) }
    }

    /// Waits until the worker has brought the ledger to the state the event has in the database; returns its epoch.
    pub async fn until_open(&self) -> u64 {
        eventually("the ledger opens", async || {
            let row = self.store.event(self.event).await.unwrap()?;
            let meta = self.ledger.meta(self.event).await.ok()??;
            let open = self.ledger.fence_open_now(self.event).await.ok()?;
            (open && meta.epoch == row.epoch && Some(meta.state) == row.state.ledger()).then_some(meta.epoch)
        })
        .await
    }

    /// One press of each user for one unit; panics unless all are accepted. Returns the orders.
    pub async fn buy(&self, epoch: u64, users: impl IntoIterator<Item = i64>) -> Vec<OrderId> {
        let buyers: Vec<Buyer> =
            users.into_iter().map(|user| buyer(user, Some(format!("{user:x}")))).collect();
        let decided = self.ledger.reserve(self.event, epoch, now_ms(), &buyers).await.unwrap();
        assert!(decided.decisions.iter().all(|decision| *decision == Decision::Accepted), "{decided:?}");
        buyers.into_iter().map(|buyer| buyer.order).collect()
    }

    /// What a press meets now.
    pub async fn press(&self, epoch: u64, user: i64) -> Result<Decision, StockError> {
        let decided = self.ledger.reserve(self.event, epoch, now_ms(), &[buyer(user, None)]).await?;
        Ok(decided.decisions[0])
    }

    /// Every entry of the outbox.
    pub async fn outbox(&self) -> Vec<OutboxEntry> {
        self.ledger.entries(self.event, None, 1000).await.unwrap().entries
    }

    /// Publishes entries, each as a message of its own.
    pub async fn publish(&self, entries: &[OutboxEntry]) {
        self.publish_of(self.event, entries).await;
    }

    /// Publishes entries of another event.
    pub async fn publish_of(&self, event: EventId, entries: &[OutboxEntry]) {
        let timeouts = Timeouts { connect: PATIENCE, confirm: PATIENCE };
        let mut publisher = Publisher::connect(&self.amqp_url, timeouts).await.unwrap();
        let message = |entry: &OutboxEntry| Outgoing {
            message_id: entry.id.to_string(),
            body: OrdersMessage::new(event, vec![entry.clone()]).encode(),
        };
        publisher.publish_window(&entries.iter().map(message).collect::<Vec<_>>()).await.unwrap();
        publisher.close().await;
    }

    /// Where every unit is now; `None` without a ledger.
    pub async fn conservation(&self) -> Option<Conservation> {
        let figures = self.store.conservation(self.event).await.unwrap();
        let meta = self.ledger.meta(self.event).await.ok()??;
        let units = |units: u64| i64::try_from(units).unwrap();
        Some(Conservation {
            S: units(figures.total),
            R: units(meta.stock?),
            L: units(figures.live().units),
            F: units(meta.inflight?),
            K: units(figures.open_markers.units),
        })
    }

    /// Waits until nothing is under way and `live` units are sold, and checks that every unit is accounted for.
    pub async fn until_at_rest_with(&self, live: i64) {
        eventually("all is written and settled", async || {
            let now = self.conservation().await?;
            (now.at_rest() && now.L == live && now.holds()).then_some(())
        })
        .await;
        assert!(self.store.audit_event(self.event).await.unwrap().holds());
        assert!(self.outbox().await.is_empty());
    }

    /// Messages of a queue, in hand or not; `None` where there is no such queue.
    pub fn queue(&self, name: &str) -> Option<usize> {
        let (_, vhost) = self.amqp_url.rsplit_once('/').unwrap();
        let queues =
            fixture::rabbit().ctl(&["list_queues", "--quiet", "-p", vhost, "name", "messages"]).unwrap();
        let line = queues.lines().find_map(|line| line.strip_prefix(&format!("{name}\t")));
        line.map(|count| count.parse().unwrap())
    }

    /// Sends bytes as whoever publishes might.
    pub async fn send(&self, message_id: &str, body: &[u8]) {
        let timeouts = Timeouts { connect: PATIENCE, confirm: PATIENCE };
        let mut publisher = Publisher::connect(&self.amqp_url, timeouts).await.unwrap();
        let message = Outgoing { message_id: message_id.into(), body: body.to_vec() };
        publisher.publish_window(&[message]).await.unwrap();
        publisher.close().await;
    }

    /// Every dead letter, oldest first.
    pub async fn letters(&self) -> Vec<DeadLetter> {
        let mut letters = self.store.dead_letters(&LetterFilter::default(), None, 1000).await.unwrap();
        letters.reverse();
        letters
    }

    /// A proxy in front of the database that workers started from now on go through.
    pub fn database_proxy(&mut self) -> ChaosProxy {
        let proxy = ChaosProxy::start(([127, 0, 0, 1], fixture::mariadb().port()).into()).unwrap();
        let server = format!(":{}/", fixture::mariadb().port());
        let proxied = self.database_url.replace(&server, &format!(":{}/", proxy.address().port()));
        assert_ne!(proxied, self.database_url);
        self.set("SPIKE_DATABASE_URL", &proxied);
        self.set("SPIKE_DATABASE_ACQUIRE_TIMEOUT_MS", "500");
        self.set("SPIKE_DATABASE_STATEMENT_TIMEOUT_MS", "2000");
        proxy
    }

    /// A transaction with one statement in it, which ends in nothing when it is dropped.
    pub async fn hold(&self, statement: &str) -> MySqlConnection {
        let mut conn = MySqlConnection::connect(&self.database_url).await.unwrap();
        sqlx::raw_sql("BEGIN").execute(&mut conn).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut conn).await.unwrap();
        conn
    }

    /// SQL on this sale's database; `orders` is replaced by nothing, so name tables plainly.
    pub fn sql(&self, statement: &str) -> String {
        let (_, database) = self.database_url.rsplit_once('/').unwrap();
        fixture::mariadb().query(&format!("USE `{database}`; {statement}")).unwrap()
    }
}

impl RunningWorker {
    /// SIGTERM's way: waits until the worker has drained.
    pub async fn stop(self) {
        drop(self.stop);
        tokio::time::timeout(PATIENCE, self.task).await.expect("a drained worker").unwrap().unwrap();
    }

    /// kill -9's way: every job ends at its next await, and nothing is finished. They have ended when this returns.
    pub async fn kill(self) {
        self.task.abort();
        // Aborted is what it is to be; a worker that had ended by itself would be no worker to kill.
        assert!(
            self.task.await.is_err_and(|error| error.is_cancelled()),
            "the worker ran until it was killed"
        );
    }
}

/// A RabbitMQ that this test may kill.
pub async fn own_broker() -> RabbitServer {
    let start = || RabbitServer::start(&fixture::folder("rabbit")).expect("a node of one's own");
    tokio::task::spawn_blocking(start).await.unwrap()
}

/// Runs `probe` until it gives a value, within the test's patience.
pub async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(value) = probe().await {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not in time: {what}");
}

/// An entry of another epoch, as a message that was under way during a rebuild.
pub fn entry_of(epoch: u64, entry: &OutboxEntry) -> OutboxEntry {
    OutboxEntry::new(EntryId { epoch, ..entry.id }, entry.orders.clone())
}

pub fn buyer(user: i64, key: Option<String>) -> Buyer {
    Buyer {
        user: UserId(user),
        order: OrderId::new(now_ms()),
        quantity: 1,
        key: key.map(String::into_boxed_str),
        trace: None,
    }
}

fn settings(url: String) -> DatabaseSettings {
    DatabaseSettings {
        url,
        connections_min: 0,
        connections_max: 4,
        acquire_timeout: Duration::from_secs(20),
        statement_timeout: Duration::from_secs(10),
    }
}

/// A running event that nobody has opened yet.
pub async fn scheduled_event(store: &Store, total: u32) -> EventId {
    event_between(store, total, -1000, 3_600_000).await
}

/// A scheduled event of a product of its own, with its window in milliseconds from now.
pub async fn event_between(store: &Store, total: u32, starts_in_ms: i64, ends_in_ms: i64) -> EventId {
    let price = Money { minor: 500, currency: Currency::parse("EUR").unwrap() };
    let sku = OrderId::new(now_ms()).to_string();
    let product = NewProduct { sku, name: "Lamp".into(), description: String::new(), price, stock: total };
    let product_id = store.create_product(product, None).await.unwrap();
    let at = |in_ms: i64| now_ms().checked_add_signed(in_ms).unwrap();
    let event = NewEvent {
        product_id,
        name: "Spring sale".into(),
        price,
        total,
        per_user_limit: 3,
        pay_timeout_s: 3600,
        window: Window { starts_at_ms: at(starts_in_ms), ends_at_ms: at(ends_in_ms) },
    };
    store.create_event(event, None).await.unwrap()
}
