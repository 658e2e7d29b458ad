//! Events that cannot be written for now (a ledger that is being rebuilt, a lock that somebody keeps): their messages stay
//! in hand and are tried again later, so that they cost the other events nothing.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use spike_broker::{Backoff, Tag};
use spike_domain::EventId;
use tokio::time::Instant;

use super::batch::EventBatch;

/// How long messages wait in hand before they go back to the queue, where a worker with better connections may find them.
/// Not shorter: a message that has gone back too often is parked.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest rest between two attempts.
const REST_MAX: Duration = Duration::from_secs(2);

/// Events that failed and have not succeeded since.
#[derive(Default)]
pub(super) struct Waiting {
    events: HashMap<EventId, Rest>,
}

struct Rest {
    batch: EventBatch,
    backoff: Backoff,
    try_at: Instant,
    give_back_at: Instant,
}

impl Waiting {
    /// Sorts what has come in: messages of an event at rest stay here, and messages whose rest is over are added.
    pub(super) fn sort(&mut self, events: &mut BTreeMap<EventId, EventBatch>, now: Instant) {
        for (event, rest) in &mut self.events {
            if let Some(come) = events.remove(event) {
                if rest.batch.messages.is_empty() {
                    rest.give_back_at = now + PATIENCE;
                }
                rest.batch.absorb(come);
            }
            if rest.try_at <= now && !rest.batch.messages.is_empty() {
                events.insert(*event, std::mem::take(&mut rest.batch));
            }
        }
    }

    /// When the next rest is over; `None` when no messages wait.
    pub(super) fn next_try(&self) -> Option<Instant> {
        let waits = |rest: &&Rest| !rest.batch.messages.is_empty();
        self.events.values().filter(waits).map(|rest| rest.try_at).min()
    }

    /// `event` failed. Returns the messages to give back: none, or all of them after a while.
    pub(super) fn failed(&mut self, event: EventId, batch: EventBatch, now: Instant) -> Vec<Tag> {
        let fresh = || Rest {
            batch: EventBatch::default(),
            backoff: Backoff::new(Duration::from_millis(50), REST_MAX),
            try_at: now,
            give_back_at: now + PATIENCE,
        };
        let rest = self.events.entry(event).or_insert_with(fresh);
        rest.try_at = now + rest.backoff.next_wait();
        if now >= rest.give_back_at {
            return batch.tags();
        }
        rest.batch = batch;
        Vec::new()
    }

    /// `event` was written.
    pub(super) fn succeeded(&mut self, event: EventId) {
        self.events.remove(&event);
    }
}

#[cfg(test)]
mod tests {
    use spike_broker::Delivery;
    use spike_domain::{EntryId, OrderId, OrdersMessage, OutboxEntry, QueuedOrder, UserId};

    use super::super::batch::Batch;
    use super::*;

    const EVENT: EventId = EventId(5);

    fn come(tag: u64) -> BTreeMap<EventId, EventBatch> {
        let order = QueuedOrder {
            order: OrderId::new(1),
            user: UserId(1),
            quantity: 1,
            key: None,
            accepted_at_ms: 1,
        };
        let entry = OutboxEntry { id: EntryId { epoch: 7, sequence: tag }, orders: vec![order] };
        let body = OrdersMessage::new(EVENT, vec![entry]).encode();
        let mut batch = Batch::default();
        let message_id = format!("m{tag}");
        batch.add(Delivery { body, message_id, redelivered: false, delivery_count: 0, tag: Tag(tag) });
        batch.events
    }

    fn in_hand(events: &BTreeMap<EventId, EventBatch>) -> Vec<Tag> {
        events.get(&EVENT).map(EventBatch::tags).unwrap_or_default()
    }

    #[test]
    fn a_failed_event_waits_in_hand_is_tried_again_and_goes_back_after_a_while() {
        let (mut waiting, start) = (Waiting::default(), Instant::now());
        let mut events = come(1);
        waiting.sort(&mut events, start);
        assert_eq!(in_hand(&events), [Tag(1)], "nothing is known against it");
        assert_eq!(waiting.failed(EVENT, events.remove(&EVENT).unwrap(), start), []);

        let mut events = come(2);
        waiting.sort(&mut events, start);
        assert!(events.is_empty(), "it rests, what comes meanwhile too");
        let over = waiting.next_try().expect("its rest ends");
        assert!(over > start);
        waiting.sort(&mut events, over);
        assert_eq!(in_hand(&events), [Tag(1), Tag(2)], "tried again, together");
        assert_eq!(waiting.next_try(), None);

        let late = start + PATIENCE;
        let back = waiting.failed(EVENT, events.remove(&EVENT).unwrap(), late);
        assert_eq!(back, [Tag(1), Tag(2)]);
        let mut events = come(3);
        waiting.sort(&mut events, late);
        assert!(events.is_empty(), "it still rests when they come again");
        let mut events = BTreeMap::new();
        waiting.sort(&mut events, late + REST_MAX);
        let batch = events.remove(&EVENT).unwrap();
        assert_eq!(waiting.failed(EVENT, batch, late + REST_MAX), [], "and has its while again");

        waiting.succeeded(EVENT);
        let mut events = come(4);
        waiting.sort(&mut events, late);
        assert_eq!(in_hand(&events), [Tag(4)]);
    }
}
