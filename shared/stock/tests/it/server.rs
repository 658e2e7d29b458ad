//! A ledger of a test's own, in a private Redis or embedded in a folder, and an opened event on it.

use std::time::Duration;

use spike_devstack::RedisServer;
use spike_domain::{Currency, EventDef, EventId, LedgerState, Money, OrderId, ProductId, UserId, Window};
use spike_stock::reserve::{Buyer, Decided, Decision};
use spike_stock::stock::Timeouts;
use spike_stock::{Claim, Opening, Stock, StockError};

/// The epoch events are opened in.
pub const EPOCH: u64 = 1_763_800_000_000;

/// Runs one contract on both implementations of the port.
macro_rules! both {
    ($($name:ident),+ $(,)?) => {
        mod redis_server {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::server::Server::redis().await).await;
            })+
        }
        mod embedded {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::server::Server::embedded()).await;
            })+
        }
    };
}
pub(crate) use both;

/// A ledger of this test's own.
pub struct Server {
    pub stock: Stock,
    pub redis: Option<RedisServer>,
    pub folder: Option<tempfile::TempDir>,
}

impl Server {
    /// In a private Redis.
    pub async fn redis() -> Self {
        let redis = spike_devstack::fixture::redis();
        Self { stock: connect(&redis).await, redis: Some(redis), folder: None }
    }

    /// In a folder.
    pub fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { stock: Stock::embedded(folder.path()).unwrap(), redis: None, folder: Some(folder) }
    }

    /// Opens `event` with `stock` units, `limit` a user and room for `cap` units in flight.
    pub async fn open(&self, event: EventId, stock: u32, limit: u32, cap: u64) {
        open(&self.stock, event, EPOCH, stock, limit, cap).await;
    }

    /// One call for these (user, quantity, key).
    pub async fn reserve(
        &self,
        event: EventId,
        buyers: &[(i64, u32, Option<&str>)],
    ) -> Result<Decided, StockError> {
        let buyers: Vec<Buyer> =
            buyers.iter().map(|&(user, quantity, key)| buyer(user, quantity, key)).collect();
        self.stock.reserve(event, EPOCH, 7, &buyers).await
    }

    /// One buyer who must be accepted; returns the order.
    pub async fn buy(&self, event: EventId, user: i64, quantity: u32, key: Option<&str>) -> OrderId {
        let buyer = buyer(user, quantity, key);
        let decided = self.stock.reserve(event, EPOCH, 7, std::slice::from_ref(&buyer)).await.unwrap();
        assert_eq!(decided.decisions, [Decision::Accepted]);
        buyer.order
    }

    /// The user's claim.
    pub async fn claim(&self, event: EventId, user: i64) -> Option<Claim> {
        self.stock.lookup(event, UserId(user)).await.unwrap().0
    }

    /// Stock and units in flight.
    pub async fn figures(&self, event: EventId) -> (u64, u64) {
        let meta = self.stock.meta(event).await.unwrap().expect("a ledger");
        (meta.stock.expect("stock"), meta.inflight.expect("inflight"))
    }
}

pub async fn connect(redis: &RedisServer) -> Stock {
    // A disk that many tests share: every write waits for it.
    let patience = Duration::from_secs(20);
    let stock = Stock::redis(&redis.url(), Timeouts { connect: patience, command: patience }).unwrap();
    stock.ping().await.unwrap();
    stock
}

pub async fn open(ledger: &Stock, event: EventId, epoch: u64, stock: u32, limit: u32, cap: u64) {
    let def = def(event, stock, limit);
    ledger.begin(event, epoch).await.unwrap();
    ledger.load(event, epoch, &[], &[]).await.unwrap();
    let opening = Opening { state: LedgerState::Open, stock: u64::from(stock), inflight: 0, cap, def: &def };
    ledger.open(event, epoch, &opening).await.unwrap();
    ledger.load_fenced(event, epoch).await.unwrap();
}

pub fn def(event: EventId, total: u32, per_user_limit: u32) -> EventDef {
    EventDef {
        id: event,
        product_id: ProductId(1),
        name: "Sale \"one\"\n".into(),
        price: Money { minor: 100, currency: Currency::parse("EUR").unwrap() },
        total,
        per_user_limit,
        pay_timeout_s: 60,
        window: Window { starts_at_ms: 0, ends_at_ms: u64::MAX / 2 },
    }
}

pub fn buyer(user: i64, quantity: u32, key: Option<&str>) -> Buyer {
    Buyer {
        user: UserId(user),
        order: OrderId::new(1_763_800_000_000),
        quantity,
        key: key.map(Into::into),
        trace: None,
    }
}
