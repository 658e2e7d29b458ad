//! After the last answer: waiting until every accepted order has its row, and reading both sides for the auditor.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context;
use loadtest::OrderRow;
use spike_config::{Config, RedisConfig, RedisEndpoint};
use spike_domain::{Conservation, EventId, OrderId, QueuedOrder};
use spike_stock::stock::Timeouts;
use spike_stock::{Connection, Ledger, Servers};
use spike_store::Store;
use tokio::time::{Instant, sleep};

/// The longest wait. What has not drained by then is for the auditor to say.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Entries read at once.
const PAGE: usize = 1_000;

/// What Redis and the database say at rest.
pub struct BothSides {
    /// S, R, L, F, K: S, L and K of the database, R of Redis, F the outbox's orders without a row.
    pub conservation: Conservation,
    /// Every row of the event.
    pub rows: Vec<OrderRow>,
    /// What does not fit within one side.
    pub differences: Vec<String>,
}

/// The books of one event: its ledger in Redis and its rows.
pub struct Books {
    pub(crate) ledger: Ledger<Connection>,
    pub(crate) store: Store,
    pub(crate) event: EventId,
}

impl Books {
    /// Opens them.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn open(config: &Config, store: Store, event: EventId) -> anyhow::Result<Self> {
        let ledger = ledger(&config.redis)?;
        let answered = ledger.held_epoch(event).await;
        answered.with_context(|| format!("Redis at {} does not answer", config.redis.url))?;
        Ok(Self { ledger, store, event })
    }

    /// Waits until both are at rest, or patience ends; how long it took since `since`.
    ///
    /// # Errors
    /// When one of them does not answer.
    pub async fn wait(&self, since: Instant) -> anyhow::Result<Duration> {
        wait(&self.ledger, &self.store, self.event, since).await
    }

    /// Reads both.
    ///
    /// # Errors
    /// When one of them does not answer.
    pub async fn read(&self) -> anyhow::Result<BothSides> {
        read(&self.ledger, &self.store, self.event).await
    }
}

/// A ledger on a connection of its own, to the server or the cluster of the settings.
fn ledger(redis: &RedisConfig) -> anyhow::Result<Ledger<Connection>> {
    let url = redis.url.server().context("SPIKE_REDIS_URL is empty")?.expose();
    // The books are read late rather than not at all: a disk that keeps Redis waiting is no fault of the sale.
    let patient = Timeouts { command: PATIENCE, ..Timeouts::default() };
    if redis.cluster {
        let seeds: Vec<String> = redis.seeds().iter().map(RedisEndpoint::expose).collect();
        return Ok(Ledger::sharded(Servers::cluster(&seeds)?.connection(patient)?));
    }
    Ok(Ledger::new(Servers::one(url)?.connection(patient)?))
}

/// Waits until nothing is under way any more, or patience ends; how long it took since `since`.
async fn wait(
    ledger: &Ledger<Connection>,
    store: &Store,
    event: EventId,
    since: Instant,
) -> anyhow::Result<Duration> {
    loop {
        // Redis first: it is the cheap question, and the one that is answered last.
        let in_flight = ledger.meta(event).await?.and_then(|meta| meta.inflight);
        let at_rest = in_flight == Some(0)
            && ledger.entries(event, None, 1).await?.entries.is_empty()
            && store.conservation(event).await?.open_markers.units == 0;
        let waited = since.elapsed();
        if at_rest || waited >= PATIENCE {
            return Ok(waited);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Reads everything there is of the event.
async fn read(ledger: &Ledger<Connection>, store: &Store, event: EventId) -> anyhow::Result<BothSides> {
    let outbox = outbox(ledger, event).await?;
    let meta = ledger.meta(event).await?.context("the event has no ledger")?;
    let stock = meta.stock.context("the ledger has no stock")?;
    let database = store.audit_event(event).await?;
    let rows = rows(store, event).await?;

    let written: HashSet<OrderId> = rows.iter().map(|row| row.order).collect();
    let units = |orders: &mut dyn Iterator<Item = &QueuedOrder>| -> u64 {
        orders.map(|order| u64::from(order.quantity)).sum()
    };
    let queued = units(&mut outbox.iter());
    let unwritten = units(&mut outbox.iter().filter(|order| !written.contains(&order.order)));
    let figures = database.figures;
    let mut differences = Vec::new();
    if meta.inflight != Some(queued) {
        differences
            .push(format!("Redis counts {:?} units in flight, the outbox holds {queued}", meta.inflight));
    }
    if !database.holds() {
        differences.push(format!("the database contradicts itself: {database:?}"));
    }
    let conservation = Conservation {
        S: i64::try_from(figures.total)?,
        R: i64::try_from(stock)?,
        L: i64::try_from(figures.live().units)?,
        F: i64::try_from(unwritten)?,
        K: i64::try_from(figures.open_markers.units)?,
    };
    Ok(BothSides { conservation, rows, differences })
}

/// Every row of the event.
///
/// # Errors
/// When the database does not answer.
pub async fn rows(store: &Store, event: EventId) -> anyhow::Result<Vec<OrderRow>> {
    let row = |row: spike_store::SnapshotRow| OrderRow {
        order: row.order,
        user: row.user,
        status: row.status,
        quantity: row.quantity,
    };
    Ok(store.all_orders(event).await?.into_iter().map(row).collect())
}

/// Every order in the outbox.
async fn outbox(ledger: &Ledger<Connection>, event: EventId) -> anyhow::Result<Vec<QueuedOrder>> {
    let (mut orders, mut after) = (Vec::new(), None);
    loop {
        let page = ledger.entries(event, after, PAGE).await?;
        after = page.entries.last().map(|entry| entry.id).or(after);
        orders.extend(page.entries.into_iter().flat_map(|entry| entry.orders));
        if page.next.is_none() {
            return Ok(orders);
        }
    }
}
