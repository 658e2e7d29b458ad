//! The outbox relay: accepted orders go from the Redis stream to RabbitMQ.
//!
//! An entry is acknowledged to the stream's group only when the broker has confirmed the whole window it travelled in; it is
//! deleted much later, when the worker has its orders in the database. So nothing is lost wherever this stops: an
//! unacknowledged entry is read again by this relay or taken over by another one, and an acknowledged one whose orders do not
//! reach the database is published again. Workers take duplicates as such.

mod join;
mod metrics;
mod republish;
mod sink;
mod source;

use std::sync::Arc;
use std::time::Duration;

use spike_broker::{Backoff, Broker};
use spike_config::{AmqpConfig, RelayConfig};
use spike_domain::{EntryId, EventId, OrdersMessage, OutboxEntry, clock};
use spike_stock::Stock;
use spike_store::Store;
use spike_telemetry::Arrow;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub use join::{join, message_id};
pub use metrics::RelayMetrics;

use republish::Republish;
use sink::Sink;
use source::{READ_ENTRIES, Source};

/// How long a relay that is told to stop may still wait for the confirms of the window under way.
const DRAIN: Duration = Duration::from_secs(5);
/// Old entries published again in one look, at least; more wait for the next look.
const REPUBLISH_ENTRIES_MAX: usize = 512;
/// Longest rest while Redis does not answer.
const REDIS_WAIT_MAX: Duration = Duration::from_secs(1);

/// What the relay works with.
pub struct RelayDeps {
    /// The ledger, on a connection that reconnects.
    pub ledger: Stock,
    /// The database, asked only before an old entry is published again; without it that is left to other relays.
    pub store: Option<Store>,
    /// Where messages go.
    pub broker: Broker,
    /// Section `[amqp]`.
    pub amqp: AmqpConfig,
    /// Section `[relay]`.
    pub relay: RelayConfig,
    /// Events whose outbox may hold entries.
    pub events: watch::Receiver<Arc<Vec<EventId>>>,
    /// Raised by the hot cores when they have accepted an order.
    pub wake: Arc<Notify>,
    /// This relay among all: unique among those that run, and the same after a restart where that is possible, so that
    /// a restarted relay finds its own entries at once.
    pub consumer: String,
    /// What is measured.
    pub metrics: Arc<RelayMetrics>,
}

/// Relays until `shutdown`, then finishes the window under way within 5 s. No error ends it: it tries again.
pub async fn run(deps: RelayDeps, shutdown: impl Future<Output = ()>) {
    let (stop, stopping) = watch::channel(false);
    let mut relay = Relay::new(deps, stopping);
    let finished = {
        let work = relay.work();
        tokio::pin!(work);
        tokio::select! {
            () = &mut work => true,
            () = shutdown => {
                stop.send_replace(true);
                tokio::time::timeout(DRAIN, work).await.is_ok()
            }
        }
    };
    if finished {
        relay.sink.close().await;
        tracing::info!("relay stopped, its last window confirmed or left in the outbox");
    } else {
        tracing::warn!("relay stopped before its last window was confirmed; the entries stay in the outbox");
    }
}

struct Relay {
    source: Source,
    sink: Sink,
    republish: Option<Republish>,
    republish_every: Duration,
    republish_at: Instant,
    /// Where among the events the next look begins.
    republish_from: usize,
    ledger: Stock,
    events: watch::Receiver<Arc<Vec<EventId>>>,
    wake: Arc<Notify>,
    orders_max: usize,
    window: usize,
    metrics: Arc<RelayMetrics>,
    linger: Duration,
    poll: Duration,
    stopping: watch::Receiver<bool>,
}

/// What a look at every outbox has brought.
#[derive(Default)]
struct Look {
    entries: Vec<(EventId, Vec<OutboxEntry>)>,
    /// At least one outbox holds more than was read.
    more: bool,
    /// At least one outbox could not be read.
    failed: bool,
}

impl Relay {
    fn new(deps: RelayDeps, stopping: watch::Receiver<bool>) -> Self {
        let (amqp, relay) = (&deps.amqp, &deps.relay);
        let republish_after = Duration::from_millis(relay.republish_after_ms);
        Self {
            source: Source::new(
                deps.ledger.clone(),
                deps.consumer,
                Duration::from_millis(relay.claim_idle_ms),
            ),
            republish: deps
                .store
                .map(|store| Republish::new(deps.ledger.clone(), store, relay.republish_after_ms)),
            republish_every: (republish_after / 8).min(Duration::from_secs(5)),
            republish_at: Instant::now(),
            republish_from: 0,
            orders_max: amqp.message_orders_max,
            window: amqp.confirm_window,
            linger: Duration::from_millis(amqp.message_linger_ms),
            poll: Duration::from_millis(relay.poll_ms),
            sink: Sink::new(deps.broker, deps.amqp, deps.metrics.clone(), stopping.clone()),
            metrics: deps.metrics,
            ledger: deps.ledger,
            events: deps.events,
            wake: deps.wake,
            stopping,
        }
    }

    async fn work(&mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(50), REDIS_WAIT_MAX);
        while !*self.stopping.borrow() {
            let active = Arc::clone(&self.events.borrow_and_update());
            self.source.keep(&active);
            let look = self.look(&active).await;
            let (more, failed) = (look.more, look.failed);
            self.publish(look.entries, true).await;
            self.publish_old(&active).await;
            if failed {
                self.rest(backoff.next_wait()).await;
            } else {
                backoff.reset();
                if !more {
                    self.rest(self.poll).await;
                }
            }
        }
    }

    /// Rests until an order is accepted, and then for company: every look is a write in Redis, with a sync of its own, so one
    /// look at many entries costs it less than many looks.
    async fn rest(&mut self, at_most: Duration) {
        let woken = tokio::select! {
            () = tokio::time::sleep(at_most) => false,
            () = self.wake.notified() => true,
            _ = self.stopping.changed() => false,
        };
        if woken && !self.linger.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(self.linger) => {}
                _ = self.stopping.changed() => {}
            }
        }
    }

    /// Reads every outbox.
    async fn look(&mut self, active: &[EventId]) -> Look {
        let mut look = Look::default();
        for &event in active {
            match self.source.read(event).await {
                Ok(entries) if entries.is_empty() => {}
                Ok(entries) => {
                    look.more |= entries.len() >= READ_ENTRIES;
                    look.entries.push((event, entries));
                }
                Err(error) => {
                    look.failed = true;
                    tracing::warn!(%event, %error, "outbox not read");
                }
            }
        }
        look
    }

    /// Publishes window by window; an entry is acknowledged when the whole of its window is confirmed.
    async fn publish(&mut self, entries: Vec<(EventId, Vec<OutboxEntry>)>, acknowledge: bool) {
        let messages: Vec<OrdersMessage> =
            entries.into_iter().flat_map(|(event, entries)| join(event, entries, self.orders_max)).collect();
        for window in messages.chunks(self.window) {
            Arrow::RelayRead.pass();
            if !self.sink.publish(window).await {
                return;
            }
            Arrow::RelayConfirmed.pass();
            for message in window {
                self.metrics.entries.add(message.entries.len() as u64);
                self.metrics.orders.add(message.order_count() as u64);
            }
            if acknowledge {
                self.acknowledge(window).await;
            }
        }
    }

    /// Acknowledges a confirmed window, an event at a time.
    async fn acknowledge(&self, window: &[OrdersMessage]) {
        for of_event in window.chunk_by(|a, b| a.event == b.event) {
            let entries = of_event.iter().flat_map(|message| &message.entries);
            let ids: Vec<EntryId> = entries.map(|entry| entry.id).collect();
            let event = of_event[0].event;
            if let Err(error) = self.ledger.ack(event, &ids).await {
                // They will be taken over as idle and published twice, which is allowed.
                tracing::warn!(%event, %error, entries = ids.len(), "published entries not acknowledged");
            }
            Arrow::RelayAcked.pass();
        }
    }

    async fn publish_old(&mut self, active: &[EventId]) {
        if Instant::now() < self.republish_at {
            return;
        }
        self.republish_at = Instant::now() + self.republish_every;
        let (mut entries, first) = (0, self.republish_from);
        for (at, &event) in active.iter().enumerate().cycle().skip(first).take(active.len()) {
            // The next look begins where this one stops: the broker is in trouble perhaps, and no event is left out.
            if entries >= REPUBLISH_ENTRIES_MAX {
                self.republish_from = at;
                return;
            }
            let Some(republish) = &mut self.republish else { return };
            republish.keep(active);
            match republish.search(event, clock::now_ms()).await {
                Ok(old) if old.is_empty() => {}
                Ok(old) => {
                    entries += old.len();
                    self.metrics.republished.add(old.len() as u64);
                    tracing::warn!(%event, entries = old.len(), "publishing again what is not in the database yet");
                    // Whether they are acknowledged is not this round's business: somebody has published them before.
                    self.publish(vec![(event, old)], false).await;
                }
                Err(error) => tracing::debug!(%event, %error, "old entries not looked for"),
            }
        }
    }
}
