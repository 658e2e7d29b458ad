//! The queue of one process: what RabbitMQ's orders queue does, in memory.
//!
//! It forgets everything with the process, which costs nothing: an entry stays in the ledger's outbox until its orders have
//! their rows, and the relay of the next process finds it there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::topology::DELIVERY_LIMIT;
use crate::{Delivery, Outgoing, Tag};

/// Messages that may wait or be in hand unless another number is given: some 40 MB of full ones.
const CAPACITY: usize = 1024;
/// Parked messages that are kept to be looked at; the oldest goes first. The worker keeps their bytes in the database.
const PARKED_MAX: usize = 256;

/// A handle on the queue; clones share it.
#[derive(Clone)]
pub struct Queue(Arc<Shared>);

struct Shared {
    held: Mutex<Held>,
    capacity: usize,
    delivery_limit: u64,
    arrived: Notify,
    room: Notify,
}

#[derive(Default)]
struct Held {
    ready: VecDeque<Message>,
    in_hand: usize,
    parked: VecDeque<Message>,
}

struct Message {
    message_id: String,
    body: Vec<u8>,
    /// Deliveries that ended without an acknowledgement.
    returns: u64,
}

/// How many messages are where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Waiting for a consumer.
    pub ready: usize,
    /// Delivered and not acknowledged.
    pub in_hand: usize,
    /// Given up, kept to be looked at.
    pub parked: usize,
}

impl Default for Queue {
    fn default() -> Self {
        Self::new(CAPACITY, u64::from(DELIVERY_LIMIT.unsigned_abs()))
    }
}

impl Queue {
    /// Holds at most `capacity` messages, those in hand included; a message that comes back more than `delivery_limit`
    /// times is parked.
    pub fn new(capacity: usize, delivery_limit: u64) -> Self {
        Self(Arc::new(Shared {
            held: Mutex::default(),
            capacity,
            delivery_limit,
            arrived: Notify::new(),
            room: Notify::new(),
        }))
    }

    /// How many messages are where.
    pub fn depth(&self) -> Depth {
        let held = self.held();
        Depth { ready: held.ready.len(), in_hand: held.in_hand, parked: held.parked.len() }
    }

    /// Takes the messages one by one, waiting for room. When the future is dropped, those taken stay.
    pub(crate) async fn publish_window(&self, window: &[Outgoing]) {
        for outgoing in window {
            loop {
                let mut room = std::pin::pin!(self.0.room.notified());
                // Listening before looking, so that room made in between is not missed.
                room.as_mut().enable();
                if self.offer(outgoing) {
                    break;
                }
                room.await;
            }
        }
    }

    pub(crate) fn subscribe(&self, prefetch: u16) -> Subscription {
        Subscription { queue: self.clone(), prefetch: prefetch.into(), in_hand: BTreeMap::new(), last_tag: 0 }
    }

    /// False when there is no room.
    fn offer(&self, outgoing: &Outgoing) -> bool {
        let mut held = self.held();
        if held.ready.len() + held.in_hand >= self.0.capacity {
            return false;
        }
        let (message_id, body) = (outgoing.message_id.clone(), outgoing.body.clone());
        held.ready.push_back(Message { message_id, body, returns: 0 });
        drop(held);
        self.0.arrived.notify_waiters();
        true
    }

    fn take(&self) -> Option<Message> {
        let mut held = self.held();
        let message = held.ready.pop_front()?;
        held.in_hand += 1;
        Some(message)
    }

    /// Forgets so many messages that were in hand.
    fn done(&self, count: usize) {
        self.held().in_hand -= count;
        self.0.room.notify_waiters();
    }

    fn park(&self, message: Message) {
        self.held().park(message);
        self.0.room.notify_waiters();
    }

    /// Takes messages back, in their order: before the waiting ones, or behind them, so that those get their turn.
    fn give_back(&self, messages: Vec<Message>, behind: bool) {
        let mut held = self.held();
        let mut again = Vec::with_capacity(messages.len());
        for mut message in messages {
            message.returns += 1;
            if message.returns > self.0.delivery_limit {
                tracing::error!(
                    message_id = message.message_id,
                    returns = message.returns,
                    "message parked: it came back too often"
                );
                held.park(message);
            } else {
                held.in_hand -= 1;
                again.push(message);
            }
        }
        if behind {
            held.ready.extend(again);
        } else {
            again.into_iter().rev().for_each(|message| held.ready.push_front(message));
        }
        drop(held);
        self.0.arrived.notify_waiters();
        self.0.room.notify_waiters();
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Every change is complete before anything in it could panic, so a poisoned lock protects sound data.
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn park(&mut self, message: Message) {
        self.in_hand -= 1;
        self.parked.push_back(message);
        if self.parked.len() > PARKED_MAX {
            self.parked.pop_front();
        }
    }
}

/// One consumer's share of the queue. Dropping it gives back what is in hand.
pub(crate) struct Subscription {
    queue: Queue,
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
            if let Some(message) = queue.take() {
                return self.deliver(message);
            }
            arrived.await;
        }
    }

    pub(crate) fn ack(&mut self, tags: &[Tag]) {
        let done = tags.iter().filter(|tag| self.in_hand.remove(tag).is_some()).count();
        self.queue.done(done);
    }

    pub(crate) fn park(&mut self, tag: Tag) {
        if let Some(message) = self.in_hand.remove(&tag) {
            self.queue.park(message);
        }
    }

    pub(crate) fn requeue(&mut self, tags: &[Tag]) {
        let messages = tags.iter().filter_map(|tag| self.in_hand.remove(tag)).collect();
        self.queue.give_back(messages, true);
    }

    fn deliver(&mut self, message: Message) -> Delivery {
        self.last_tag += 1;
        let tag = Tag(self.last_tag);
        let delivery = Delivery {
            body: message.body.clone(),
            message_id: message.message_id.clone(),
            redelivered: message.returns > 0,
            delivery_count: message.returns,
            tag,
        };
        self.in_hand.insert(tag, message);
        delivery
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let messages = std::mem::take(&mut self.in_hand).into_values().collect();
        self.queue.give_back(messages, false);
    }
}
