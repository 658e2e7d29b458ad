//! Messages in hand, sorted by event: one transaction writes the orders of one event.

use std::collections::{BTreeMap, HashMap};

use spike_broker::{Delivery, Tag};
use spike_domain::{
    EntryId, EventId, OrderStatus, OrdersMessage, OutboxEntry, QueuedOrder, message::BadMessage,
};
use spike_trace::Current;

/// Messages of one event.
#[derive(Debug, Default)]
pub(crate) struct EventBatch {
    pub(crate) messages: Vec<Delivery>,
    /// The entries of all messages, each once: a message delivered twice does not write twice.
    pub(crate) entries: Vec<OutboxEntry>,
    /// What its writing is shown under, where that is traced.
    pub(crate) current: Option<Current>,
    /// Which message brought an entry.
    origin: HashMap<EntryId, usize>,
}

/// Messages as they come in.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) events: BTreeMap<EventId, EventBatch>,
    pub(crate) unreadable: Vec<(Delivery, BadMessage)>,
    /// Orders in all entries.
    pub(crate) orders: usize,
}

impl Batch {
    pub(crate) fn add(&mut self, delivery: Delivery) {
        match OrdersMessage::decode(&delivery.body) {
            Ok(message) => {
                let batch = self.events.entry(message.event).or_default();
                self.orders += batch.add(delivery, message.entries);
            }
            Err(error) => self.unreadable.push((delivery, error)),
        }
    }
}

impl EventBatch {
    /// Returns the orders that were not here before.
    fn add(&mut self, delivery: Delivery, entries: Vec<OutboxEntry>) -> usize {
        let at = self.messages.len();
        self.messages.push(delivery);
        let mut orders = 0;
        for entry in entries {
            if let std::collections::hash_map::Entry::Vacant(vacant) = self.origin.entry(entry.id) {
                vacant.insert(at);
                orders += entry.orders.len();
                self.entries.push(entry);
            }
        }
        orders
    }

    /// Takes in messages that came later.
    pub(crate) fn absorb(&mut self, later: Self) {
        let first = self.messages.len();
        self.messages.extend(later.messages);
        for entry in later.entries {
            if let std::collections::hash_map::Entry::Vacant(vacant) = self.origin.entry(entry.id) {
                vacant.insert(first + later.origin[&entry.id]);
                self.entries.push(entry);
            }
        }
    }

    /// The same messages, each a batch of its own.
    pub(crate) fn apart(self) -> Vec<Self> {
        let mut apart = Vec::with_capacity(self.messages.len());
        for delivery in self.messages {
            let mut batch = Batch::default();
            batch.add(delivery);
            apart.extend(batch.events.into_values());
        }
        apart
    }

    pub(crate) fn tags(&self) -> Vec<Tag> {
        self.messages.iter().map(|message| message.tag).collect()
    }

    /// The message that brought an entry.
    pub(crate) fn message_of(&self, entry: EntryId) -> Option<&Delivery> {
        self.messages.get(*self.origin.get(&entry)?)
    }

    /// Every order with its entry, in order.
    pub(crate) fn orders(&self) -> Vec<(EntryId, &QueuedOrder)> {
        self.entries
            .iter()
            .flat_map(|entry| entry.orders.iter().map(move |order| (entry.id, order)))
            .collect()
    }

    /// Entries whose orders all have rows: what may be settled.
    pub(crate) fn settleable(
        &self,
        rows: &HashMap<spike_domain::OrderId, OrderStatus>,
    ) -> Vec<spike_stock::Settled> {
        crate::settle_sweep::settleable(&self.entries, rows)
    }
}

/// Orders as entries again: what a transaction takes. Entries may be incomplete here.
pub(crate) fn regroup(orders: &[(EntryId, &QueuedOrder)]) -> Vec<OutboxEntry> {
    let mut entries: Vec<OutboxEntry> = Vec::new();
    for &(id, order) in orders {
        match entries.last_mut() {
            Some(entry) if entry.id == id => entry.orders.push(order.clone()),
            _ => entries.push(OutboxEntry::new(id, vec![order.clone()])),
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use spike_domain::{OrderId, UserId};

    use super::*;

    fn entry(sequence: u64, users: &[i64]) -> OutboxEntry {
        let order = |&user: &i64| QueuedOrder {
            order: OrderId::new(1),
            user: UserId(user),
            quantity: 1,
            key: None,
            accepted_at_ms: 1,
        };
        OutboxEntry::new(EntryId { epoch: 7, sequence }, users.iter().map(order).collect())
    }

    fn delivery(tag: u64, body: Vec<u8>) -> Delivery {
        let message_id = format!("m{tag}");
        let (trail, tag) = (spike_broker::Trail::default(), Tag(tag));
        Delivery { body, message_id, redelivered: false, delivery_count: 0, trail, tag }
    }

    #[test]
    fn messages_are_sorted_by_event_and_an_entry_is_taken_once() {
        let (first, second) = (entry(0, &[1, 2]), entry(1, &[3]));
        let message = |event, entries: &[&OutboxEntry]| {
            OrdersMessage::new(EventId(event), entries.iter().map(|&e| e.clone()).collect()).encode()
        };
        let mut batch = Batch::default();
        batch.add(delivery(1, message(5, &[&first])));
        batch.add(delivery(2, message(5, &[&first, &second])));
        batch.add(delivery(3, b"{}".to_vec()));
        batch.add(delivery(4, message(6, &[&entry(0, &[4])])));
        assert_eq!(batch.orders, 4);
        assert_eq!(batch.unreadable.len(), 1);
        let five = &batch.events[&EventId(5)];
        assert_eq!(five.entries, [first.clone(), second.clone()]);
        assert_eq!(five.tags(), [Tag(1), Tag(2)], "the duplicate is acknowledged too");
        assert_eq!(five.message_of(second.id).unwrap().message_id, "m2");
        assert_eq!(regroup(&five.orders()), five.entries);

        let apart = batch.events.remove(&EventId(5)).unwrap().apart();
        assert_eq!(apart.iter().map(EventBatch::tags).collect::<Vec<_>>(), [[Tag(1)], [Tag(2)]]);
        assert_eq!(apart[1].entries, [first.clone(), second.clone()], "each with all it brought");
        let five = &apart[1];

        let (third, mut waiting) = (entry(2, &[5]), EventBatch::default());
        waiting.add(delivery(8, message(5, &[&first])), vec![first.clone()]);
        let mut later = EventBatch::default();
        later.add(delivery(9, message(5, &[&first])), vec![first.clone()]);
        later.add(delivery(10, message(5, &[&third])), vec![third.clone()]);
        waiting.absorb(later);
        assert_eq!(waiting.entries, [first.clone(), third.clone()]);
        assert_eq!(waiting.tags(), [Tag(8), Tag(9), Tag(10)]);
        assert_eq!(waiting.message_of(third.id).unwrap().message_id, "m10");

        assert_eq!(regroup(&five.orders()[1..2]), [OutboxEntry::new(first.id, first.orders[1..].to_vec())]);
    }
}
