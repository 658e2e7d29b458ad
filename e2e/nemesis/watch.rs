//! Looks at the figures while the sale runs and faults strike: what one server says at one moment must hold at any moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use loadtest::proof::{DatabaseSample, LedgerSample, Violation, check_sample};
use redis::Value;
use spike_domain::EventId;
use spike_stock::{Claim, EventKeys};
use spike_store::Store;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Rest between two looks.
const EVERY: Duration = Duration::from_millis(500);

/// The one who looks.
pub struct Watcher {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    events: Mutex<Vec<EventId>>,
    found: Mutex<Vec<String>>,
    looks: AtomicU64,
    over: AtomicBool,
}

impl Watcher {
    /// Looks from now on, past the proxies.
    pub fn start(runtime: &Handle, store: Store, redis_url: String) -> Self {
        let shared = Arc::<Shared>::default();
        let task = runtime.spawn(watch(shared.clone(), store, redis_url));
        Self { shared, task }
    }

    /// What to look at.
    pub fn watch(&self, events: &[EventId]) {
        *self.shared.events.lock().unwrap_or_else(PoisonError::into_inner) = events.to_vec();
    }

    /// How often figures were seen, and what was wrong with them.
    pub async fn end(self) -> (u64, Vec<String>) {
        self.shared.over.store(true, Ordering::Relaxed);
        self.task.await.expect("a watcher does not panic");
        let found = self.shared.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (self.shared.looks.load(Ordering::Relaxed), found)
    }
}

async fn watch(shared: Arc<Shared>, store: Store, redis_url: String) {
    let client = redis::Client::open(redis_url).expect("a URL");
    while !shared.over.load(Ordering::Relaxed) {
        let events = shared.events.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for event in events {
            // A server that is away says nothing, which is no violation.
            let look = async { (database(&store, event).await, ledger(&client, event).await) };
            let Ok((database, ledger)) = tokio::time::timeout(Duration::from_secs(5), look).await else {
                continue;
            };
            let seen = u64::from(database.is_some()) + u64::from(ledger.is_some());
            shared.looks.fetch_add(seen, Ordering::Relaxed);
            let ledger = ledger.map(|sample| LedgerSample { total: total(database, sample.total), ..sample });
            note(&shared, event, &check_sample(database, ledger));
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// S is the database's to say; without it the ledger's own document.
fn total(database: Option<DatabaseSample>, document: i64) -> i64 {
    database.map_or(document, |sample| i64::try_from(sample.total).unwrap_or(document))
}

fn note(shared: &Shared, event: EventId, violations: &[Violation]) {
    let mut found = shared.found.lock().unwrap_or_else(PoisonError::into_inner);
    found.extend(violations.iter().map(|violation| format!("event {event}, while it ran: {violation}")));
}

async fn database(store: &Store, event: EventId) -> Option<DatabaseSample> {
    let audit = store.audit_event(event).await.ok()?;
    let figures = audit.figures;
    Some(DatabaseSample {
        total: figures.total,
        live: figures.live().units,
        returned: figures.returned,
        doubled: audit.users_with_more_than_one_live,
    })
}

/// One MULTI; `None` while a rebuild has the ledger.
async fn ledger(client: &redis::Client, event: EventId) -> Option<LedgerSample> {
    let mut connection = client.get_multiplexed_async_connection().await.ok()?;
    let keys = EventKeys::new(event);
    let mut pipe = redis::pipe();
    pipe.atomic().cmd("HMGET").arg(&keys.meta).arg("state").arg("doc");
    pipe.cmd("MGET").arg(&keys.stock).arg(&keys.inflight);
    pipe.cmd("HVALS").arg(&keys.buyers);
    type Looked = (Vec<Option<String>>, Vec<Option<i64>>, Vec<Vec<u8>>);
    let (meta, figures, claims): Looked = pipe.query_async(&mut connection).await.ok()?;
    let (Some(state), Some(doc)) = (meta[0].as_deref(), meta[1].as_deref()) else { return None };
    if state == "recovering" {
        return None;
    }
    let doc: serde_json::Value = serde_json::from_str(doc).ok()?;
    let claimed: i64 =
        claims.iter().filter_map(|claim| Claim::parse(claim)).map(|claim| i64::from(claim.quantity)).sum();
    Some(LedgerSample { total: doc["total"].as_i64()?, stock: figures[0]?, inflight: figures[1]?, claimed })
}

/// The claims of an event as they stand.
pub async fn claims(client: &redis::Client, event: EventId) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut connection = client.get_multiplexed_async_connection().await?;
    let value: Value =
        redis::cmd("HGETALL").arg(EventKeys::new(event).buyers).query_async(&mut connection).await?;
    Ok(redis::from_redis_value(value)?)
}
