//! Which message is where in the queues of a process: no waiting, no waking, and the time is handed in.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;

use super::Depth;
use crate::{Delivery, Inbox, Outgoing, Tag, Trail, topology};

/// Parked messages that are kept while nobody takes them; the oldest goes first.
const PARKED_MAX: usize = 256;

/// Everything in the queues.
pub(super) struct Held {
    orders: Lane,
    parking: Lane,
    cancel: Lane,
    /// What is put off, by the time it is due and the order in which it came.
    waiting: BTreeMap<(Instant, u64), (Inbox, Message)>,
    put_off: u64,
    capacity: usize,
    delivery_limit: u64,
}

/// One queue.
#[derive(Default)]
struct Lane {
    ready: VecDeque<Message>,
    in_hand: usize,
}

pub(super) struct Message {
    message_id: String,
    body: Vec<u8>,
    trail: Trail,
    /// Deliveries that ended without an acknowledgement.
    returns: u64,
}

impl Message {
    pub(super) fn new(outgoing: &Outgoing, trail: &Trail) -> Self {
        let (message_id, body) = (outgoing.message_id.clone(), outgoing.body.clone());
        Self { message_id, body, trail: trail.clone(), returns: 0 }
    }

    pub(super) fn parked_by_broker(mut self, from: Inbox, why: &str) -> Self {
        self.trail = self.trail.parked_by_broker(topology::name(from), why);
        self
    }

    pub(super) fn delivery(&self, tag: Tag) -> Delivery {
        Delivery {
            body: self.body.clone(),
            message_id: self.message_id.clone(),
            redelivered: self.returns > 0,
            delivery_count: self.returns,
            trail: self.trail.clone(),
            tag,
        }
    }
}

impl Held {
    pub(super) fn new(capacity: usize, delivery_limit: u64) -> Self {
        Self {
            orders: Lane::default(),
            parking: Lane::default(),
            cancel: Lane::default(),
            waiting: BTreeMap::new(),
            put_off: 0,
            capacity,
            delivery_limit,
        }
    }

    pub(super) fn depth(&self) -> Depth {
        Depth {
            ready: self.orders.ready.len(),
            in_hand: self.orders.in_hand,
            parked: self.parking.ready.len() + self.parking.in_hand,
            waiting: self.waiting.len(),
        }
    }

    /// Messages that wait in a queue; those in hand are not counted.
    pub(super) fn ready(&self, inbox: Inbox) -> usize {
        match inbox {
            Inbox::Orders => self.orders.ready.len(),
            Inbox::Parking => self.parking.ready.len(),
            Inbox::Cancel => self.cancel.ready.len(),
        }
    }

    /// An accepted order; false when there is no room.
    pub(super) fn offer(&mut self, message: impl FnOnce() -> Message) -> bool {
        let room = self.orders.ready.len() + self.orders.in_hand < self.capacity;
        if room {
            self.orders.ready.push_back(message());
        }
        room
    }

    /// A message that is wanted later; false when too many wait for the same queue.
    pub(super) fn put_off(&mut self, inbox: Inbox, due: Instant, message: impl FnOnce() -> Message) -> bool {
        let room = self.waiting.values().filter(|(of, _)| *of == inbox).count() < self.capacity;
        if room {
            self.put_off += 1;
            self.waiting.insert((due, self.put_off), (inbox, message()));
        }
        room
    }

    pub(super) fn park(&mut self, message: Message) {
        self.parking.ready.push_back(message);
        if self.parking.ready.len() > PARKED_MAX
            && let Some(lost) = self.parking.ready.pop_front()
        {
            tracing::error!(message_id = lost.message_id, "parked message dropped: nobody has taken it");
        }
    }

    /// The next message of a queue, or when to look again: `None` means when something arrives.
    pub(super) fn take(&mut self, inbox: Inbox, now: Instant) -> Result<Message, Option<Instant>> {
        while let Some(first) = self.waiting.first_entry()
            && first.key().0 <= now
        {
            let (of, message) = first.remove();
            self.lane(of).ready.push_back(message);
        }
        let lane = self.lane(inbox);
        match lane.ready.pop_front() {
            Some(message) => {
                lane.in_hand += 1;
                Ok(message)
            }
            None => Err(self.waiting.keys().next().map(|(due, _)| *due)),
        }
    }

    /// Forgets so many messages that were in hand.
    pub(super) fn done(&mut self, inbox: Inbox, count: usize) {
        self.lane(inbox).in_hand -= count;
    }

    /// Takes messages back, in their order: before the waiting ones, or behind them, so that those get their turn.
    pub(super) fn give_back(&mut self, inbox: Inbox, messages: Vec<Message>, behind: bool) {
        self.done(inbox, messages.len());
        let mut again = Vec::with_capacity(messages.len());
        for mut message in messages {
            message.returns += 1;
            // Parked messages have nowhere else to go.
            if message.returns > self.delivery_limit && inbox != Inbox::Parking {
                tracing::error!(
                    message_id = message.message_id,
                    returns = message.returns,
                    "message parked: it came back too often"
                );
                self.park(message.parked_by_broker(inbox, "delivery_limit"));
            } else {
                again.push(message);
            }
        }
        let ready = &mut self.lane(inbox).ready;
        if behind {
            ready.extend(again);
        } else {
            again.into_iter().rev().for_each(|message| ready.push_front(message));
        }
    }

    fn lane(&mut self, inbox: Inbox) -> &mut Lane {
        match inbox {
            Inbox::Orders => &mut self.orders,
            Inbox::Parking => &mut self.parking,
            Inbox::Cancel => &mut self.cancel,
        }
    }
}
