//! The queues of one process: what RabbitMQ does for us, in memory.
//!
//! They forget everything with the process, which costs nothing: an entry stays in the ledger's outbox until its orders have
//! their rows, and the relay of the next process finds it there; deadlines are in the database.

mod held;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::lookout::QueueState;
use crate::topology::DELIVERY_LIMIT;
use crate::{Delivery, Forward, Inbox, Outgoing, PublishError, Route, Tag, Trail};
use held::{Held, Message};

/// Accepted orders that may wait or be in hand unless another number is given: some 40 MB of full messages. As many may be
/// put off.
const CAPACITY: usize = 1024;

/// A handle on the queues; clones share them.
#[derive(Clone)]
pub struct Queue(Arc<Shared>);

struct Shared {
    held: Mutex<Held>,
    /// Subscriptions, by inbox.
    consumers: [AtomicU64; Inbox::ALL.len()],
    arrived: Notify,
    room: Notify,
}

/// How many messages are where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Accepted orders waiting for a consumer.
    pub ready: usize,
    /// Accepted orders delivered and not acknowledged.
    pub in_hand: usize,
    /// Given up, kept to be looked at.
    pub parked: usize,
    /// Put off, for a retry or until orders are to be cancelled.
    pub waiting: usize,
}

impl Default for Queue {
    fn default() -> Self {
        Self::new(CAPACITY, u64::from(DELIVERY_LIMIT.unsigned_abs()))
    }
}

impl Queue {
    /// Holds at most `capacity` accepted orders, those in hand included, and as many that are put off; a message that comes
    /// back more than `delivery_limit` times is parked.
    pub fn new(capacity: usize, delivery_limit: u64) -> Self {
        Self(Arc::new(Shared {
            held: Mutex::new(Held::new(capacity, delivery_limit)),
            consumers: Default::default(),
            arrived: Notify::new(),
            room: Notify::new(),
        }))
    }

    /// How many messages are where.
    pub fn depth(&self) -> Depth {
        self.held().depth()
    }

    /// How full a queue is and who reads it.
    pub(crate) fn state(&self, inbox: Inbox) -> QueueState {
        let consumers = self.0.consumers[inbox as usize].load(Ordering::Relaxed);
        QueueState { inbox, messages: self.held().ready(inbox) as u64, consumers }
    }

    /// Takes the messages one by one, waiting for room. When the future is dropped, those taken stay.
    pub(crate) async fn publish_window(&self, window: &[Outgoing]) {
        for outgoing in window {
            self.publish(outgoing, &Trail::default()).await;
        }
    }

    /// The same to any queue. Only accepted orders wait for room.
    pub(crate) async fn forward(&self, window: &[Forward]) -> Result<(), PublishError> {
        for Forward { to, message, trail } in window {
            match *to {
                Route::Orders => self.publish(message, trail).await,
                Route::Parking => self.held().park(Message::new(message, trail)),
                Route::Retry(wait) => self.put_off(Inbox::Orders, wait, message, trail)?,
                Route::Cancel(wait) => self.put_off(Inbox::Cancel, wait, message, trail)?,
            }
        }
        self.0.arrived.notify_waiters();
        Ok(())
    }

    pub(crate) fn subscribe(&self, inbox: Inbox, prefetch: u16) -> Subscription {
        let prefetch = prefetch.into();
        self.0.consumers[inbox as usize].fetch_add(1, Ordering::Relaxed);
        Subscription { queue: self.clone(), inbox, prefetch, in_hand: BTreeMap::new(), last_tag: 0 }
    }

    async fn publish(&self, message: &Outgoing, trail: &Trail) {
        loop {
            let mut room = std::pin::pin!(self.0.room.notified());
            // Listening before looking, so that room made in between is not missed.
            room.as_mut().enable();
            if self.held().offer(|| Message::new(message, trail)) {
                self.0.arrived.notify_waiters();
                return;
            }
            room.await;
        }
    }

    fn put_off(
        &self,
        inbox: Inbox,
        wait: Duration,
        message: &Outgoing,
        trail: &Trail,
    ) -> Result<(), PublishError> {
        let taken = self.held().put_off(inbox, Instant::now() + wait, || Message::new(message, trail));
        if taken { Ok(()) } else { Err(PublishError::Refused { count: 1 }) }
    }

    fn done(&self, inbox: Inbox, count: usize) {
        self.held().done(inbox, count);
        self.0.room.notify_waiters();
    }

    fn park(&self, inbox: Inbox, message: Message) {
        let mut held = self.held();
        held.done(inbox, 1);
        held.park(message.parked_by_broker(inbox, "rejected"));
        drop(held);
        self.0.arrived.notify_waiters();
        self.0.room.notify_waiters();
    }

    fn give_back(&self, inbox: Inbox, messages: Vec<Message>, behind: bool) {
        self.held().give_back(inbox, messages, behind);
        self.0.arrived.notify_waiters();
        self.0.room.notify_waiters();
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Every change is complete before anything in it could panic, so a poisoned lock protects sound data.
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One consumer's share of a queue. Dropping it gives back what is in hand.
pub(crate) struct Subscription {
    queue: Queue,
    inbox: Inbox,
    prefetch: usize,
    in_hand: BTreeMap<Tag, Message>,
    last_tag: u64,
}

impl Subscription {
    pub(crate) async fn next(&mut self) -> Delivery {
        if self.in_hand.len() >= self.prefetch {
            // Only this consumer could make room, and it is waiting here: as over AMQP, nothing comes.
            std::future::pending::<()>().await;
        }
        loop {
            let queue = self.queue.clone();
            let mut arrived = std::pin::pin!(queue.0.arrived.notified());
            arrived.as_mut().enable();
            let taken = queue.held().take(self.inbox, Instant::now());
            let next_due = match taken {
                Ok(message) => return self.deliver(message),
                Err(next_due) => next_due,
            };
            let due = async {
                match next_due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = arrived => {}
                () = due => {}
            }
        }
    }

    pub(crate) fn ack(&mut self, tags: &[Tag]) {
        let done = tags.iter().filter(|tag| self.in_hand.remove(tag).is_some()).count();
        self.queue.done(self.inbox, done);
    }

    pub(crate) fn park(&mut self, tag: Tag) {
        if let Some(message) = self.in_hand.remove(&tag) {
            self.queue.park(self.inbox, message);
        }
    }

    pub(crate) fn requeue(&mut self, tags: &[Tag]) {
        let messages = tags.iter().filter_map(|tag| self.in_hand.remove(tag)).collect();
        self.queue.give_back(self.inbox, messages, true);
    }

    fn deliver(&mut self, message: Message) -> Delivery {
        self.last_tag += 1;
        let tag = Tag(self.last_tag);
        let delivery = message.delivery(tag);
        self.in_hand.insert(tag, message);
        delivery
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.queue.0.consumers[self.inbox as usize].fetch_sub(1, Ordering::Relaxed);
        let messages = std::mem::take(&mut self.in_hand).into_values().collect();
        self.queue.give_back(self.inbox, messages, false);
    }
}
