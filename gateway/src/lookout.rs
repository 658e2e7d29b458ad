//! What a gateway sees of the way behind it: outboxes, their fences, and the broker's queues, looked at every few seconds.
//!
//! It is the gateway that looks, because a worker that is gone cannot say so. Every gateway shows the same; rules take the
//! greatest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use spike_broker::{Broker, Inbox, Lookout, QueueState};
use spike_domain::{EventId, EventState, LedgerState, Phase, clock};
use spike_metrics::catalogue::gateway::{
    BROKER_UP, EVENTS, OUTBOX_ENTRIES, OUTBOX_LOOKS_FAILED, OUTBOX_OLDEST_AGE, QUEUE_CONSUMERS,
    QUEUE_MESSAGES,
};
use spike_metrics::words::{EventState as Shown, QueueName};
use spike_metrics::{Counts, Page};
use spike_stock::{Stock, StockError};
use tokio::sync::watch;

use crate::local::EventLocal;
use crate::local::events::Events;

/// What was seen last.
#[derive(Debug)]
pub struct Seen {
    inner: Mutex<Inner>,
    failed: Counts,
}

#[derive(Debug, Default)]
struct Inner {
    entries: u64,
    /// When the oldest entry was accepted, Unix ms.
    oldest_at_ms: Option<u64>,
    /// Events whose reserve script is not there.
    unfenced: BTreeSet<EventId>,
    /// `None` until the broker has been asked, and while it cannot be.
    queues: Option<Vec<QueueState>>,
    /// Why not.
    broker_error: Option<String>,
}

impl Default for Seen {
    fn default() -> Self {
        Self { inner: Mutex::default(), failed: Counts::new(&OUTBOX_LOOKS_FAILED) }
    }
}

impl Seen {
    /// Shows what was seen of outboxes and queues.
    pub fn write(&self, page: &mut Page) {
        let seen = self.inner();
        page.value(&OUTBOX_ENTRIES, seen.entries);
        let age_ms = seen.oldest_at_ms.map_or(0, |at_ms| clock::now_ms().saturating_sub(at_ms));
        page.value(&OUTBOX_OLDEST_AGE, Duration::from_millis(age_ms).as_secs_f64());
        self.failed.write(page);
        page.value(&BROKER_UP, u8::from(seen.queues.is_some()));
        let states = seen.queues.as_deref().unwrap_or_default();
        let mut messages = page.family(&QUEUE_MESSAGES);
        states.iter().for_each(|state| messages.sample(&[word(state.inbox)], state.messages));
        let mut consumers = page.family(&QUEUE_CONSUMERS);
        states.iter().for_each(|state| consumers.sample(&[word(state.inbox)], state.consumers));
    }

    /// Shows how many events are at what.
    pub fn write_events(&self, page: &mut Page, events: &Events, now_ms: u64) {
        let seen = self.inner();
        let counts = Counts::new(&EVENTS);
        for event in events.values() {
            counts.add_at(at(event, seen.unfenced.contains(&event.def.id), now_ms) as usize, 1);
        }
        counts.write(page);
    }

    /// Events that should sell now and cannot.
    pub fn fenced(&self, events: &Events, now_ms: u64) -> Vec<EventId> {
        let seen = self.inner();
        let fenced = |event: &&Arc<EventLocal>| {
            at(event, seen.unfenced.contains(&event.def.id), now_ms) == Shown::Fenced
        };
        let mut fenced: Vec<EventId> = events.values().filter(fenced).map(|event| event.def.id).collect();
        fenced.sort_unstable();
        fenced
    }

    /// Whether the broker answered last, else why not.
    ///
    /// # Errors
    /// What it said, or that it has not been asked yet.
    pub fn broker(&self) -> Result<(), String> {
        let seen = self.inner();
        match (&seen.queues, &seen.broker_error) {
            (Some(_), _) => Ok(()),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Err("not asked yet".to_owned()),
        }
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks for as long as it is polled. `timeout` limits each step of asking the broker.
pub async fn run(
    seen: Arc<Seen>,
    stock: Stock,
    broker: Broker,
    events: watch::Receiver<Arc<Vec<EventId>>>,
    (interval, timeout): (Duration, Duration),
) {
    // One that does not answer must not keep the other's figures from being seen.
    tokio::join!(
        look_at_ledgers(&seen, &stock, &events, interval),
        look_at_queues(&seen, broker, interval, timeout)
    );
}

async fn look_at_ledgers(
    seen: &Seen,
    stock: &Stock,
    events: &watch::Receiver<Arc<Vec<EventId>>>,
    interval: Duration,
) {
    let mut found: BTreeMap<EventId, Found> = BTreeMap::new();
    loop {
        let active = events.borrow().clone();
        found.retain(|event, _| active.contains(event));
        for &event in active.iter() {
            // One that cannot be looked at keeps its figures and leaves the others theirs.
            match look(stock, event).await {
                Ok(of_event) => drop(found.insert(event, of_event)),
                Err(error) => {
                    seen.failed.add(1);
                    tracing::debug!(%event, %error, "outbox not looked at");
                }
            }
        }
        {
            let mut inner = seen.inner();
            inner.entries = found.values().map(|of_event| of_event.entries).sum();
            inner.oldest_at_ms = found.values().filter_map(|of_event| of_event.oldest_at_ms).min();
            inner.unfenced =
                found.iter().filter(|(_, of_event)| !of_event.has_script).map(|(event, _)| *event).collect();
        }
        tokio::time::sleep(interval).await;
    }
}

/// What is seen of one event's ledger.
struct Found {
    entries: u64,
    /// When the oldest entry was accepted, Unix ms.
    oldest_at_ms: Option<u64>,
    has_script: bool,
}

async fn look(stock: &Stock, event: EventId) -> Result<Found, StockError> {
    let entries = stock.outbox_length(event).await?;
    let mut oldest_at_ms = None;
    if entries > 0 {
        let first = stock.entries(event, None, 1).await?.entries;
        oldest_at_ms = first.iter().flat_map(|entry| &entry.orders).map(|order| order.accepted_at_ms).min();
    }
    Ok(Found { entries, oldest_at_ms, has_script: stock.fence_open_now(event).await? })
}

async fn look_at_queues(seen: &Seen, broker: Broker, interval: Duration, timeout: Duration) {
    let mut lookout = Lookout::new(broker, timeout);
    loop {
        let found = lookout.look().await;
        {
            let mut inner = seen.inner();
            inner.broker_error = found.as_ref().err().map(ToString::to_string);
            inner.queues = found.ok();
        }
        tokio::time::sleep(interval).await;
    }
}

fn word(inbox: Inbox) -> &'static str {
    match inbox {
        Inbox::Orders => QueueName::Orders.word(),
        Inbox::Parking => QueueName::Parked.word(),
        Inbox::Cancel => QueueName::Cancel.word(),
    }
}

/// What an event is at. `no_script`: its reserve script was not there when it was looked for.
fn at(event: &EventLocal, no_script: bool, now_ms: u64) -> Shown {
    let ledger = event.ledger.map(|ledger| ledger.state);
    match (event.state, event.def.window.phase(now_ms), ledger) {
        (EventState::Closed, _, _) | (_, Phase::Ended, _) | (_, _, Some(LedgerState::Closed)) => Shown::Over,
        (EventState::Paused, _, _) | (_, _, Some(LedgerState::Paused)) => Shown::Paused,
        (_, Phase::NotStarted, _) => Shown::Waiting,
        (_, Phase::Running, Some(LedgerState::Open)) if !no_script => Shown::Selling,
        (_, Phase::Running, _) => Shown::Fenced,
    }
}

#[cfg(test)]
mod tests {
    use spike_domain::{Currency, EventDef, Money, ProductId, Window};
    use spike_stock::View;

    use super::*;

    fn event(state: EventState, ledger: Option<LedgerState>) -> EventLocal {
        let def = EventDef {
            id: EventId(7),
            product_id: ProductId(1),
            name: "Sale".into(),
            price: Money { minor: 100, currency: Currency::parse("EUR").unwrap() },
            total: 5,
            per_user_limit: 1,
            pay_timeout_s: 60,
            window: Window { starts_at_ms: 1000, ends_at_ms: 2000 },
        };
        let view = ledger.map(|state| View { epoch: 1, state, version: 1, stock: Some(5) });
        EventLocal::new(def, state, view, 500, None)
    }

    #[test]
    fn an_event_is_fenced_when_it_should_sell_and_cannot() {
        use LedgerState::{Closed, Open, Paused, Recovering};
        for (state, ledger, no_script, now_ms, want) in [
            (EventState::Open, Some(Open), false, 1500, Shown::Selling),
            (EventState::Open, Some(Open), true, 1500, Shown::Fenced),
            (EventState::Open, Some(Recovering), false, 1500, Shown::Fenced),
            (EventState::Open, None, false, 1500, Shown::Fenced),
            (EventState::Scheduled, None, false, 1500, Shown::Fenced),
            (EventState::Scheduled, None, false, 500, Shown::Waiting),
            (EventState::Open, Some(Recovering), true, 500, Shown::Waiting),
            (EventState::Open, Some(Recovering), true, 2500, Shown::Over),
            (EventState::Paused, Some(Recovering), true, 1500, Shown::Paused),
            (EventState::Open, Some(Paused), true, 1500, Shown::Paused),
            (EventState::Closed, Some(Open), false, 1500, Shown::Over),
            (EventState::Open, Some(Closed), false, 1500, Shown::Over),
        ] {
            assert_eq!(at(&event(state, ledger), no_script, now_ms), want, "{state:?} {ledger:?} {now_ms}");
        }
        let seen = Seen::default();
        let events = Events::from([(EventId(7), Arc::new(event(EventState::Open, Some(Open))))]);
        assert_eq!(seen.fenced(&events, 1500), []);
        seen.inner().unfenced.insert(EventId(7));
        assert_eq!(seen.fenced(&events, 1500), [EventId(7)]);
        let mut page = Page::default();
        seen.write_events(&mut page, &events, 1500);
        assert!(page.into_text().contains("spike_gateway_events{state=\"fenced\"} 1\n"));
    }

    #[test]
    fn a_broker_that_cannot_be_asked_shows_no_figures() {
        let seen = Seen::default();
        let text = |seen: &Seen| {
            let mut page = Page::default();
            seen.write(&mut page);
            page.into_text()
        };
        assert!(text(&seen).contains("spike_gateway_broker_up 0") && !text(&seen).contains("consumers{"));
        assert_eq!(seen.broker(), Err("not asked yet".to_owned()));
        let state = QueueState { inbox: Inbox::Orders, messages: 3, consumers: 2 };
        seen.inner().queues = Some(vec![state]);
        assert!(text(&seen).contains("spike_gateway_queue_consumers{queue=\"spike.orders\"} 2"));
        assert_eq!(seen.broker(), Ok(()));
    }
}
