//! Faults of messages: doubled, out of order, late by an epoch, and poisonous.

use std::time::Duration;

use spike_broker::{Outgoing, Publisher, Timeouts};
use spike_domain::clock::now_ms;
use spike_domain::{EntryId, EventId, OrderId, OrdersMessage, OutboxEntry, QueuedOrder, UserId};

use super::faults::{Back, Scene};
use crate::poll::lasting;

/// An entry that was in an outbox once, and its event.
pub type Seen = (EventId, OutboxEntry);

/// How often each is published.
const COPIES: usize = 10;
/// Entries that are published again at once, at most.
const ENTRIES_MAX: usize = 60;

/// Everything in the outboxes now, and some of what was there long ago, ten times each and in no order.
pub fn duplicates(scene: &mut Scene<'_>) -> Back {
    // Seen now, while they are under way.
    for _ in 0..20 {
        remember(scene);
        lasting(Duration::from_millis(50));
    }
    scene.rng.shuffle(scene.seen);
    let chosen = &scene.seen[..scene.seen.len().min(ENTRIES_MAX)];
    let mut copies: Vec<Outgoing> = (0..COPIES)
        .flat_map(|copy| chosen.iter().map(move |(event, entry)| message(*event, vec![entry.clone()], copy)))
        .collect();
    scene.rng.shuffle(&mut copies);
    publish(scene, &copies);
    scene.seen.truncate(2_000);
    Back::now()
}

/// Bytes that mean nothing, an event nobody announced, and an order that no INSERT takes.
pub fn poison(scene: &mut Scene<'_>) -> Back {
    let event = *scene.arena.events.last().expect("a sale");
    let row = scene.arena.system.store.event(event);
    let row = scene.arena.system.runtime.block_on(row).expect("the database answers").expect("the event");
    let order = |key: Option<String>| QueuedOrder {
        order: OrderId::new(now_ms()),
        user: UserId(9_000_000_000),
        quantity: 1,
        key,
        accepted_at_ms: now_ms(),
    };
    let bad = order(Some("k".repeat(500)));
    scene.allowed.planted.insert(bad.order);
    // Above every sequence that the outbox of this epoch will reach.
    let id = EntryId { epoch: row.epoch, sequence: scene.rng.u64(1 << 40..1 << 41) };
    let entry = |order| vec![OutboxEntry::new(id, vec![order])];
    let odd = |message_id: &str, body: Vec<u8>| Outgoing { message_id: message_id.into(), body };
    let messages = [
        odd("nothing", Vec::new()),
        odd("noise", (0..200).map(|_| scene.rng.u8(..)).collect()),
        odd("half", br#"{"v":1}"#.to_vec()),
        message(EventId(987_654_321), entry(order(None)), 0),
        message(event, entry(bad), 0),
    ];
    publish(scene, &messages);
    Back::now()
}

/// Keeps what is in the outboxes.
pub fn remember(scene: &mut Scene<'_>) {
    let (arena, seen) = (&scene.arena, &mut scene.seen);
    arena.system.runtime.block_on(async {
        for &event in &arena.events {
            // Redis may be slow; whatever it has is enough.
            if let Ok(page) = arena.ledger.entries(event, None, 20).await {
                seen.extend(page.entries.into_iter().map(|entry| (event, entry)));
            }
        }
    });
}

fn message(event: EventId, entries: Vec<OutboxEntry>, copy: usize) -> Outgoing {
    Outgoing { message_id: format!("again-{copy}"), body: OrdersMessage::new(event, entries).encode() }
}

fn publish(scene: &Scene<'_>, messages: &[Outgoing]) {
    let patience = Duration::from_secs(60);
    scene.arena.system.runtime.block_on(async {
        let timeouts = Timeouts { connect: patience, confirm: patience };
        let mut publisher =
            Publisher::connect(&scene.arena.amqp, timeouts).await.expect("the broker answers");
        for window in messages.chunks(200) {
            publisher.publish_window(window).await.expect("the broker confirms");
        }
        publisher.close().await;
    });
}
