//! The snapshot follower: keeps the hot cores' table of events true, by a poll of Redis every 200 ms, a poll of the
//! database every second, and hints in between; what is revoked ([`revocations`]); and the limits in force ([`limits`]).
//!
//! Redis says what the ledger is; the database says what the event is and what the operator wants. Either may be away, or
//! slow, and neither waits for the other: the table then keeps what was known last, and a gateway that starts without the
//! database reads the event's document from its ledger.

mod limits;
mod revocations;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use spike_domain::{EventDef, EventId, EventState, LedgerState};
use spike_stock::{Hint, Stock, StockError};
use spike_store::Store;
use tokio::sync::watch;

use crate::local::EventLocal;
use crate::local::events::{Events, LedgerView};
use crate::shared::Shared;

/// How often the clock is compared with Redis TIME.
const TIME_EVERY: Duration = Duration::from_secs(1);
/// Shortest rest between two looks. Every refused batch of every core raises a wake, and one look answers them all.
const REST_MIN: Duration = Duration::from_millis(20);

/// What the database says: each event, and what the operator wants of it.
type Definitions = HashMap<EventId, (EventDef, EventState)>;

/// What the follower works with.
pub struct Follower {
    shared: Arc<Shared>,
    ledger: Stock,
    store: Store,
    /// Events that have a ledger: the relay's outboxes.
    active: watch::Sender<Arc<Vec<EventId>>>,
    wanted: Arc<Definitions>,
    ledgers: HashMap<EventId, (LedgerView, Option<EventDef>)>,
    /// Ledgers that made no sense at the last look, so that each is told of once.
    unreadable: HashSet<EventId>,
    time_at: Option<Instant>,
    redis_was_up: bool,
}

impl Follower {
    /// A follower that knows nothing yet.
    pub fn new(
        shared: Arc<Shared>,
        ledger: Stock,
        store: Store,
        active: watch::Sender<Arc<Vec<EventId>>>,
    ) -> Self {
        Self {
            shared,
            ledger,
            store,
            active,
            wanted: Arc::default(),
            ledgers: HashMap::new(),
            unreadable: HashSet::new(),
            time_at: None,
            redis_was_up: true,
        }
    }

    /// Follows until the future is dropped.
    pub async fn run(self) {
        let (hint, hinted) = watch::channel(());
        let (define, defined) = watch::channel(None);
        let every = Duration::from_millis(self.shared.config.follower.definitions_poll_ms);
        let definitions = follow_definitions(self.store.clone(), every, hinted.clone(), define);
        let revoked = revocations::follow(self.shared.clone(), self.store.clone(), hinted.clone());
        let limited = limits::follow(self.shared.clone(), self.store.clone(), hinted.clone());
        // One task, so that a panic in any part of it ends the follower and is seen.
        let ledger = self.ledger.clone();
        let shared = self.shared.clone();
        let listen = ledger.follow_hints(|told| match told {
            Hint::Look => hint.send_replace(()),
            Hint::Revoked { sessions, min_ver } => revocations::told_of(&shared, &sessions, min_ver),
        });
        tokio::join!(listen, definitions, revoked, limited, self.follow(hinted, defined));
    }

    async fn follow(
        mut self,
        mut hinted: watch::Receiver<()>,
        mut defined: watch::Receiver<Option<Arc<Definitions>>>,
    ) {
        let poll = Duration::from_millis(self.shared.config.follower.poll_ms);
        let shared = self.shared.clone();
        loop {
            let redis = self.follow_ledgers().await;
            self.redis_was_up = told(self.redis_was_up, "Redis", &redis);
            self.publish();
            let next = tokio::time::Instant::now() + poll;
            tokio::time::sleep(REST_MIN.min(poll)).await;
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = shared.follower_wake.notified() => {}
                Ok(()) = hinted.changed() => {}
                Ok(()) = defined.changed() => {}
            }
            let news = defined.borrow_and_update().clone();
            if let Some(definitions) = news {
                self.wanted = definitions;
                self.publish();
                // Once true it stays: what the database has told is kept while it is away.
                self.shared.events.mark_complete();
            }
        }
    }

    async fn follow_ledgers(&mut self) -> Result<(), StockError> {
        if due(self.time_at, TIME_EVERY) {
            let asked = Instant::now();
            let time_ms = self.ledger.time_ms().await?;
            self.shared.clock.learn(time_ms, asked, Instant::now());
            self.time_at = Some(asked);
        }
        let ids = self.ledger.events().await?;
        let views = self.ledger.views(&ids).await?;
        let mut ledgers = HashMap::with_capacity(ids.len());
        let mut unreadable = HashSet::new();
        let mut failed = None;
        for (id, view) in ids.into_iter().zip(views) {
            match self.read_ledger(id, view).await {
                Ok(Some(ledger)) => drop(ledgers.insert(id, ledger)),
                Ok(None) => {}
                // The other events are not made to wait until somebody mends this one.
                Err(error @ StockError::Reply { .. }) => {
                    if !self.unreadable.contains(&id) {
                        tracing::error!(event = %id, %error, "a ledger cannot be read; its event does not sell");
                    }
                    unreadable.insert(id);
                }
                // In a cluster the others may be on masters that answer; of this one what was seen last stays.
                Err(error) if self.ledger.sharded() => {
                    ledgers.extend(self.ledgers.get(&id).map(|seen| (id, seen.clone())));
                    failed = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        (self.ledgers, self.unreadable) = (ledgers, unreadable);
        let mut active: Vec<EventId> = self.ledgers.keys().copied().collect();
        active.sort_unstable();
        self.active.send_if_modified(|known| {
            let news = **known != active;
            if news {
                *known = Arc::new(active);
            }
            news
        });
        failed.map_or(Ok(()), Err)
    }

    /// A ledger with its document, which is asked for again only when the version has moved.
    async fn read_ledger(
        &self,
        id: EventId,
        view: Result<Option<LedgerView>, StockError>,
    ) -> Result<Option<(LedgerView, Option<EventDef>)>, StockError> {
        let Some(view) = view? else { return Ok(None) };
        let known = self.ledgers.get(&id).filter(|(old, doc)| doc.is_some() && old.version == view.version);
        let doc = match known {
            Some((_, doc)) => doc.clone(),
            None => self.ledger.meta(id).await?.and_then(|meta| meta.doc),
        };
        Ok(Some((view, doc)))
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

/// Tells what the database says about the events, every `every` and at each hint. It may take as long as it likes.
async fn follow_definitions(
    store: Store,
    every: Duration,
    mut hinted: watch::Receiver<()>,
    define: watch::Sender<Option<Arc<Definitions>>>,
) {
    let mut was_up = true;
    loop {
        let rows = store.events_for_gateways().await;
        was_up = told(was_up, "the database", &rows);
        if let Ok(rows) = rows {
            let definitions = rows.into_iter().map(|row| (row.def.id, (row.def, row.state))).collect();
            define.send_replace(Some(Arc::new(definitions)));
        }
        let next = tokio::time::Instant::now() + every;
        tokio::time::sleep(REST_MIN.min(every)).await;
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            Ok(()) = hinted.changed() => {}
        }
    }
}

fn due(last: Option<Instant>, every: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() >= every)
}

/// Logs when a side goes away or comes back, not at every poll.
fn told<T, E: std::fmt::Display>(was_up: bool, side: &str, result: &Result<T, E>) -> bool {
    match result {
        Ok(_) if !was_up => tracing::info!("{side} can be followed again"),
        Err(error) if was_up => tracing::warn!(%error, "cannot follow {side}; what was seen last stays"),
        _ => {}
    }
    result.is_ok()
}
