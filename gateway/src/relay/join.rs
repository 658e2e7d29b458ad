//! Joining outbox entries into queue messages: fewer, larger messages cost the broker and the worker less.

use spike_domain::{EventId, OrdersMessage, OutboxEntry};

/// Cuts `entries` of one event into messages of at most `orders_max` orders, in order. An entry is never split, because it is
/// settled as a whole; one that alone is larger than the limit is a message of its own.
pub fn join(event: EventId, entries: Vec<OutboxEntry>, orders_max: usize) -> Vec<OrdersMessage> {
    let mut messages = Vec::new();
    let (mut run, mut orders) = (Vec::new(), 0);
    for entry in entries {
        if !run.is_empty() && orders + entry.orders.len() > orders_max {
            messages.push(OrdersMessage::new(event, std::mem::take(&mut run)));
            orders = 0;
        }
        orders += entry.orders.len();
        run.push(entry);
    }
    if !run.is_empty() {
        messages.push(OrdersMessage::new(event, run));
    }
    messages
}

/// Names a message in logs and dead letters: the event, the first entry and how many. The same entries published again
/// have the same name.
pub fn message_id(message: &OrdersMessage) -> String {
    let first = message.entries.first().map(|entry| entry.id.to_string()).unwrap_or_default();
    format!("{}:{first}+{}", message.event, message.entries.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use spike_domain::{EntryId, OrderId, QueuedOrder, UserId};

    use super::*;

    fn entries(sizes: &[usize]) -> Vec<OutboxEntry> {
        let mut user = 0;
        let mut order = || {
            user += 1;
            let order = OrderId::new(1_763_800_000_000);
            QueuedOrder { order, user: UserId(user), quantity: 1, key: None, accepted_at_ms: 1 }
        };
        let mut entry = |(sequence, &size): (u64, &usize)| {
            OutboxEntry::new(EntryId { epoch: 9, sequence }, (0..size).map(|_| order()).collect())
        };
        (0..).zip(sizes).map(&mut entry).collect()
    }

    fn sizes(messages: &[OrdersMessage]) -> Vec<usize> {
        messages.iter().map(OrdersMessage::order_count).collect()
    }

    #[test]
    fn messages_are_filled_and_entries_stay_whole() {
        let check = |of: &[usize], max: usize, want: &[usize]| {
            assert_eq!(sizes(&join(EventId(5), entries(of), max)), want, "{of:?} at {max}");
        };
        check(&[], 256, &[]);
        check(&[128, 128, 1], 256, &[256, 1]);
        check(&[200, 100, 56], 256, &[200, 156]);
        check(&[1, 300, 1], 256, &[1, 300, 1]);
        check(&[1, 1, 1], 1, &[1, 1, 1]);
    }

    #[test]
    fn a_message_is_named_by_its_entries() {
        let messages = join(EventId(5), entries(&[2, 1]), 256);
        assert_eq!(message_id(&messages[0]), "5:9-0+2");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_split_or_moved(
            of in proptest::collection::vec(1usize..=128, 0..60),
            max in 1usize..=256,
        ) {
            let before = entries(&of);
            let messages = join(EventId(5), before.clone(), max);
            for message in &messages {
                prop_assert!(!message.entries.is_empty());
                prop_assert!(message.order_count() <= max || message.entries.len() == 1);
            }
            for pair in messages.windows(2) {
                let next = pair[1].entries[0].orders.len();
                prop_assert!(pair[0].order_count() + next > max, "a message that had room was left unfilled");
            }
            let after: Vec<_> = messages.into_iter().flat_map(|message| message.entries).collect();
            prop_assert_eq!(after, before);
        }
    }
}
