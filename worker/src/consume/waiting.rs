//! Events that cannot be written for now (a ledger that is being rebuilt, a lock that somebody keeps): their messages wait in
//! hand for a few tries, and then go out of hand, so that they cost the other events nothing.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use spike_broker::Backoff;
use spike_domain::EventId;
use tokio::time::Instant;

use super::batch::EventBatch;

/// Tries in hand; afterwards messages wait with the broker.
const TRIES: u32 = 4;
/// Longest rest between two tries.
const REST_MAX: Duration = Duration::from_secs(2);
/// An event of which nothing was heard for so long after a failure starts anew.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// Events that failed and have not succeeded since, or whose write takes long.
pub(super) struct Waiting {
    events: HashMap<EventId, Rest>,
    /// Messages of failed events that may wait in hand, all together.
    held_max: usize,
}

struct Rest {
    batch: EventBatch,
    backoff: Backoff,
    try_at: Instant,
    /// A write is under way; what comes meanwhile waits for its end.
    writing: bool,
    /// Its messages went out of hand: one message at a time finds out whether that is over.
    stuck: bool,
    /// Why it failed, the last time.
    reason: String,
}

impl Rest {
    /// What to try now: all, or the first message of a stuck event.
    fn take(&mut self) -> EventBatch {
        let all = std::mem::take(&mut self.batch);
        if !self.stuck {
            return all;
        }
        let mut apart = all.apart().into_iter();
        let first = apart.next().unwrap_or_default();
        apart.for_each(|other| self.batch.absorb(other));
        first
    }
}

/// Messages to be put off, of an event that has failed for this reason.
pub(super) struct PutOff {
    pub(super) batch: EventBatch,
    pub(super) reason: String,
}

impl Waiting {
    /// At most `held_max` messages of failed events stay in hand.
    pub(super) fn new(held_max: usize) -> Self {
        Self { events: HashMap::new(), held_max }
    }

    /// Sorts what has come in: messages of an event at rest stay here, and messages whose rest is over are added. Returns
    /// what is too much to stay.
    pub(super) fn sort(&mut self, events: &mut BTreeMap<EventId, EventBatch>, now: Instant) -> Vec<PutOff> {
        for (event, rest) in &mut self.events {
            if let Some(come) = events.remove(event) {
                rest.batch.absorb(come);
            }
            if !rest.writing && rest.try_at <= now && !rest.batch.messages.is_empty() {
                events.insert(*event, rest.take());
            }
        }
        self.events.retain(|event, rest| {
            let idle = !rest.writing && rest.batch.messages.is_empty() && !events.contains_key(event);
            !idle || rest.try_at + FORGET_AFTER > now
        });
        self.too_much()
    }

    /// When the next rest is over; `None` when no messages wait for one.
    pub(super) fn next_try(&self) -> Option<Instant> {
        let waits = |rest: &&Rest| !rest.writing && !rest.batch.messages.is_empty();
        self.events.values().filter(waits).map(|rest| rest.try_at).min()
    }

    /// A write of `event` takes long and goes on beside the others.
    pub(super) fn slow(&mut self, event: EventId, now: Instant) {
        self.rest(event, now).writing = true;
    }

    /// `event` failed. Returns its messages when they have waited in hand long enough.
    pub(super) fn failed(
        &mut self,
        event: EventId,
        mut batch: EventBatch,
        reason: String,
        now: Instant,
    ) -> Option<EventBatch> {
        let slow = self.stuck(event, reason, now);
        let rest = self.rest(event, now);
        batch.absorb(std::mem::take(&mut rest.batch));
        // What took long has had its tries below.
        if slow || rest.backoff.failures() >= TRIES {
            rest.stuck = true;
            return Some(batch);
        }
        rest.batch = batch;
        None
    }

    /// `event` failed, and its messages are looked after. Returns whether its write took long.
    pub(super) fn stuck(&mut self, event: EventId, reason: String, now: Instant) -> bool {
        let rest = self.rest(event, now);
        rest.try_at = now + rest.backoff.next_wait();
        rest.reason = reason;
        std::mem::take(&mut rest.writing)
    }

    /// `event` was written; what has come meanwhile is to be tried at once.
    pub(super) fn succeeded(&mut self, event: EventId, now: Instant) {
        let Some(rest) = self.events.remove(&event) else { return };
        if !rest.batch.messages.is_empty() {
            self.rest(event, now).batch = rest.batch;
        }
    }

    fn rest(&mut self, event: EventId, now: Instant) -> &mut Rest {
        self.events.entry(event).or_insert_with(|| Rest {
            batch: EventBatch::default(),
            backoff: Backoff::new(Duration::from_millis(50), REST_MAX),
            try_at: now,
            writing: false,
            stuck: false,
            reason: String::new(),
        })
    }

    /// Takes whole events out, the largest first, until the others fit. Events that only wait for a database which is away
    /// have not failed, and stay.
    fn too_much(&mut self) -> Vec<PutOff> {
        let mut out = Vec::new();
        let failed = |rest: &&mut Rest| rest.backoff.failures() > 0;
        loop {
            let held: usize =
                self.events.values_mut().filter(failed).map(|rest| rest.batch.messages.len()).sum();
            if held <= self.held_max {
                return out;
            }
            let largest =
                self.events.values_mut().filter(failed).max_by_key(|rest| rest.batch.messages.len());
            let Some(rest) = largest else { return out };
            out.push(PutOff { batch: std::mem::take(&mut rest.batch), reason: rest.reason.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use spike_broker::{Delivery, Tag, Trail};
    use spike_domain::{EntryId, OrderId, OrdersMessage, OutboxEntry, QueuedOrder, UserId};

    use super::super::batch::Batch;
    use super::*;

    const EVENT: EventId = EventId(5);

    fn come_to(event: EventId, tags: &[u64]) -> BTreeMap<EventId, EventBatch> {
        let mut batch = Batch::default();
        for &tag in tags {
            let order = QueuedOrder {
                order: OrderId::new(1),
                user: UserId(1),
                quantity: 1,
                key: None,
                accepted_at_ms: 1,
            };
            let entry = OutboxEntry::new(EntryId { epoch: 7, sequence: tag }, vec![order]);
            let (body, message_id) = (OrdersMessage::new(event, vec![entry]).encode(), format!("m{tag}"));
            let (trail, tag) = (Trail::default(), Tag(tag));
            batch.add(Delivery { body, message_id, redelivered: false, delivery_count: 0, trail, tag });
        }
        batch.events
    }

    fn come(tag: u64) -> BTreeMap<EventId, EventBatch> {
        come_to(EVENT, &[tag])
    }

    fn tags(batch: &EventBatch) -> Vec<u64> {
        batch.tags().iter().map(|tag| tag.0).collect()
    }

    fn in_hand(events: &BTreeMap<EventId, EventBatch>) -> Vec<u64> {
        events.get(&EVENT).map(tags).unwrap_or_default()
    }

    #[test]
    fn a_failed_event_waits_in_hand_for_a_few_tries_and_goes_out_of_it() {
        let (mut waiting, start) = (Waiting::new(10), Instant::now());
        let mut events = come(1);
        assert!(waiting.sort(&mut events, start).is_empty());
        assert_eq!(in_hand(&events), [1], "nothing is known against it");
        assert!(waiting.failed(EVENT, events.remove(&EVENT).unwrap(), "no".into(), start).is_none());

        let mut events = come(2);
        waiting.sort(&mut events, start);
        assert!(events.is_empty(), "it rests, what comes meanwhile too");
        let over = waiting.next_try().expect("its rest ends");
        assert!(over > start);
        waiting.sort(&mut events, over);
        assert_eq!(in_hand(&events), [1, 2], "tried again, together");
        assert_eq!(waiting.next_try(), None);

        let mut out = None;
        for tries in 2..=TRIES {
            assert!(out.is_none(), "{tries}");
            out = waiting.failed(EVENT, events.remove(&EVENT).unwrap(), "no".into(), over);
            waiting.sort(&mut events, over + REST_MAX);
        }
        assert_eq!(tags(&out.expect("that was the last try")), [1, 2]);

        let (later, mut events) = (over + REST_MAX, come_to(EVENT, &[3, 4, 5]));
        waiting.sort(&mut events, later);
        assert_eq!(in_hand(&events), [3], "one message finds out whether it is over");
        let out = waiting.failed(EVENT, events.remove(&EVENT).unwrap(), "no".into(), later);
        assert_eq!(tags(&out.expect("once")), [3, 4, 5]);

        let mut events = come_to(EVENT, &[6, 7]);
        waiting.sort(&mut events, later + REST_MAX);
        assert_eq!(in_hand(&events), [6]);
        waiting.succeeded(EVENT, later);
        let mut events = come(8);
        waiting.sort(&mut events, later);
        assert_eq!(in_hand(&events), [7, 8]);
    }

    #[test]
    fn a_slow_write_gathers_what_comes_and_lets_go_of_all_when_it_fails() {
        let (mut waiting, now) = (Waiting::new(10), Instant::now());
        waiting.slow(EVENT, now);
        let mut events = come(2);
        waiting.sort(&mut events, now + REST_MAX);
        assert!(events.is_empty(), "two writes of one event never run at once");
        assert_eq!(waiting.next_try(), None);
        let first = come(1).remove(&EVENT).unwrap();
        assert_eq!(tags(&waiting.failed(EVENT, first, "slow".into(), now).expect("at once")), [1, 2]);

        waiting.slow(EVENT, now);
        waiting.sort(&mut come(3), now);
        waiting.succeeded(EVENT, now);
        let mut events = BTreeMap::new();
        waiting.sort(&mut events, now);
        assert_eq!(in_hand(&events), [3], "it was written: the rest may come at once");
    }

    #[test]
    fn failed_events_hold_a_bounded_part_of_what_is_in_hand() {
        let (mut waiting, now) = (Waiting::new(3), Instant::now());
        let other = EventId(6);
        for event in [EVENT, other] {
            waiting.stuck(event, "locked".into(), now);
            waiting.slow(event, now);
        }
        assert!(waiting.sort(&mut come_to(other, &[1]), now).is_empty());
        assert!(waiting.sort(&mut come_to(EVENT, &[2, 3]), now).is_empty());
        let out = waiting.sort(&mut come_to(EVENT, &[4]), now);
        assert_eq!(out.len(), 1);
        assert_eq!((tags(&out[0].batch), out[0].reason.as_str()), (vec![2, 3, 4], "locked"));

        // The database is away: nothing has failed yet, and nothing could be written anyway.
        let mut waiting = Waiting::new(3);
        waiting.slow(EVENT, now);
        assert!(waiting.sort(&mut come_to(EVENT, &[1, 2, 3, 4, 5]), now).is_empty());
    }
}
