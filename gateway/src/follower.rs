//! The snapshot follower: keeps the hot cores' table of events true, by a poll of Redis every 200 ms, a poll of the
//! database every second, and hints in between.
//!
//! Redis says what the ledger is; the database says what the event is and what the operator wants. Either may be away:
//! the table then keeps what was known last, and a gateway that starts without the database reads the event's document
//! from its ledger.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use redis::aio::ConnectionManager;
use redis::{FromRedisValue, Value};
use spike_domain::{EventDef, EventId, EventState, LedgerState};
use spike_stock::keys::HINTS;
use spike_stock::{EventKeys, Ledger, StockError};
use spike_store::Store;
use tokio::sync::watch;

use crate::local::EventLocal;
use crate::local::events::{Events, LedgerView};
use crate::shared::Shared;

/// How often the clock is compared with Redis TIME.
const TIME_EVERY: Duration = Duration::from_secs(1);

/// What the follower works with.
pub struct Follower {
    shared: Arc<Shared>,
    ledger: Ledger<ConnectionManager>,
    store: Store,
    /// Events that have a ledger: the relay's outboxes.
    active: watch::Sender<Arc<Vec<EventId>>>,
    wanted: HashMap<EventId, (EventDef, EventState)>,
    ledgers: HashMap<EventId, (LedgerView, Option<EventDef>)>,
    wanted_at: Option<Instant>,
    time_at: Option<Instant>,
    redis_was_up: bool,
    database_was_up: bool,
}

impl Follower {
    /// A follower that knows nothing yet.
    pub fn new(
        shared: Arc<Shared>,
        ledger: Ledger<ConnectionManager>,
        store: Store,
        active: watch::Sender<Arc<Vec<EventId>>>,
    ) -> Self {
        Self {
            shared,
            ledger,
            store,
            active,
            wanted: HashMap::new(),
            ledgers: HashMap::new(),
            wanted_at: None,
            time_at: None,
            redis_was_up: true,
            database_was_up: true,
        }
    }

    /// Follows until the future is dropped. `client` is for the subscription to hints.
    pub async fn run(mut self, client: redis::Client) {
        let (hint, mut hinted) = watch::channel(());
        let hints = tokio::spawn(listen(client, hint));
        let _stop = Abort(hints);
        loop {
            self.step().await;
            let poll = Duration::from_millis(self.shared.config.follower.poll_ms);
            tokio::select! {
                () = tokio::time::sleep(poll) => {}
                () = self.shared.follower_wake.notified() => {}
                Ok(()) = hinted.changed() => self.wanted_at = None,
            }
        }
    }

    /// One look at both sides.
    async fn step(&mut self) {
        let redis = self.follow_ledgers().await;
        self.redis_was_up = told(self.redis_was_up, "Redis", &redis);
        let definitions_ms = self.shared.config.follower.definitions_poll_ms;
        if due(self.wanted_at, Duration::from_millis(definitions_ms)) {
            let database = self.follow_definitions().await;
            self.database_was_up = told(self.database_was_up, "the database", &database);
            self.wanted_at = Some(Instant::now());
        }
        self.publish();
        // Once true it stays: what the database has told is kept while it is away.
        if self.database_was_up && !self.shared.events.complete() {
            self.shared.events.mark_complete();
        }
    }

    async fn follow_definitions(&mut self) -> Result<(), spike_store::StoreError> {
        let rows = self.store.events_for_gateways().await?;
        self.wanted = rows.into_iter().map(|row| (row.def.id, (row.def, row.state))).collect();
        Ok(())
    }

    async fn follow_ledgers(&mut self) -> Result<(), StockError> {
        if due(self.time_at, TIME_EVERY) {
            let asked = Instant::now();
            let (seconds, micros): (u64, u64) =
                redis::cmd("TIME").query_async(&mut self.ledger.connection()).await?;
            self.shared.clock.learn(seconds * 1000 + micros / 1000, asked, Instant::now());
            self.time_at = Some(asked);
        }
        let ids = self.ledger.events().await?;
        let views = views(&self.ledger, &ids).await?;
        let mut ledgers = HashMap::with_capacity(ids.len());
        for (id, view) in ids.into_iter().zip(views) {
            let Some(view) = view else { continue };
            let known =
                self.ledgers.remove(&id).filter(|(old, doc)| doc.is_some() && old.version == view.version);
            let doc = match known {
                Some((_, doc)) => doc,
                None => self.ledger.meta(id).await?.and_then(|meta| meta.doc),
            };
            ledgers.insert(id, (view, doc));
        }
        self.ledgers = ledgers;
        let mut active: Vec<EventId> = self.ledgers.keys().copied().collect();
        active.sort_unstable();
        self.active.send_if_modified(|known| {
            let news = **known != active;
            if news {
                *known = Arc::new(active);
            }
            news
        });
        Ok(())
    }

    /// Replaces the table if anything but stock has changed; stock and versions flow through the present one.
    fn publish(&self) {
        let before = self.shared.events.load();
        let mut changed = false;
        let mut events = Events::with_capacity(before.len());
        for (id, def, state) in self.known() {
            let ledger = self.ledgers.get(&id).map(|(view, _)| *view);
            let old = before.get(&id);
            let event = match old {
                Some(old) if old.refresh(def, state, ledger) => old.clone(),
                _ => {
                    changed = true;
                    let sold_out_ms = self.shared.config.follower.sold_out_ms;
                    Arc::new(EventLocal::new(def.clone(), state, ledger, sold_out_ms, old.map(AsRef::as_ref)))
                }
            };
            events.insert(id, event);
        }
        if changed || events.len() != before.len() {
            self.shared.events.replace(events);
        }
    }

    /// Every event with its definition: the database's, else the ledger's own document.
    fn known(&self) -> impl Iterator<Item = (EventId, &EventDef, EventState)> {
        let only_ledger = self.ledgers.iter().filter(|(id, _)| !self.wanted.contains_key(id));
        let from_ledger = only_ledger.filter_map(|(&id, (view, doc))| {
            let state = match view.state {
                LedgerState::Open | LedgerState::Recovering => EventState::Open,
                LedgerState::Paused => EventState::Paused,
                LedgerState::Closed => EventState::Closed,
            };
            doc.as_ref().map(|doc| (id, doc, state))
        });
        self.wanted.iter().map(|(&id, (def, state))| (id, def, *state)).chain(from_ledger)
    }
}

/// Epoch, state, version and stock of every event, in one round trip.
async fn views(
    ledger: &Ledger<ConnectionManager>,
    events: &[EventId],
) -> Result<Vec<Option<LedgerView>>, StockError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let mut pipe = redis::pipe();
    for &event in events {
        let keys = EventKeys::new(event);
        pipe.cmd("HMGET").arg(keys.meta).arg(&["epoch", "state", "version"]);
        pipe.cmd("GET").arg(keys.stock);
    }
    let replies: Vec<Value> = pipe.query_async(&mut ledger.connection()).await?;
    replies.chunks_exact(2).map(|pair| view(&pair[0], &pair[1])).collect()
}

fn view(meta: &Value, stock: &Value) -> Result<Option<LedgerView>, StockError> {
    let bad = || StockError::reply("follower", &(meta, stock));
    let fields: Vec<Option<String>> = FromRedisValue::from_redis_value_ref(meta).map_err(|_| bad())?;
    let stock: Option<u64> = FromRedisValue::from_redis_value_ref(stock).map_err(|_| bad())?;
    let [Some(epoch), Some(state), version] = &fields[..] else { return Ok(None) };
    Ok(Some(LedgerView {
        epoch: epoch.parse().map_err(|_| bad())?,
        state: LedgerState::parse(state).ok_or_else(bad)?,
        version: version.as_ref().and_then(|text| text.parse().ok()).unwrap_or(0),
        stock,
    }))
}

/// Passes hints on, subscribing again after every break. A hint lost is found by the next poll.
async fn listen(client: redis::Client, hint: watch::Sender<()>) {
    loop {
        if let Ok(mut subscription) = client.get_async_pubsub().await
            && subscription.subscribe(HINTS).await.is_ok()
        {
            let mut messages = subscription.on_message();
            while messages.next().await.is_some() {
                hint.send_replace(());
            }
        }
        tokio::time::sleep(Duration::from_millis(500 + fastrand::u64(0..500))).await;
    }
}

fn due(last: Option<Instant>, every: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() >= every)
}

/// Logs when a side goes away or comes back, not at every poll.
fn told<E: std::fmt::Display>(was_up: bool, side: &str, result: &Result<(), E>) -> bool {
    match result {
        Ok(()) if !was_up => tracing::info!("{side} can be followed again"),
        Err(error) if was_up => tracing::warn!(%error, "cannot follow {side}; events stay as last seen"),
        _ => {}
    }
    result.is_ok()
}

struct Abort(tokio::task::JoinHandle<()>);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}
