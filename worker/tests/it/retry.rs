//! Messages that cannot be written: whose fault it is decides where they go.

use std::time::{Duration, Instant};

use spike_broker::topology::PARKED;
use spike_devstack::{Fault, fixture};
use spike_domain::{EventState, OrdersMessage, OutboxEntry};
use spike_store::LetterState;

use crate::sale::{Sale, entry_of, eventually, scheduled_event};

/// So short that a walk through all of them is over long before a test's patience.
const TIERS: (&str, &str) = ("SPIKE_WORKER_RETRY_TIERS_MS", "100,200,400");
/// Longer than that walk with its tries.
const WHOLE_WALK: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_nothing_can_be_done_about_is_parked_after_every_tier_and_keeps_nobody_from_a_row() {
    let sale = Sale::of_with(20, &[TIERS]).await;
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    // No row of this user's is taken, not even a rejected one.
    sale.sql("ALTER TABLE spike_orders ADD CONSTRAINT not_13 CHECK (user_id <> 13)");
    for users in [vec![11, 12], vec![13, 14], vec![15]] {
        sale.buy(epoch, users).await;
    }
    let entries = sale.outbox().await;
    let sent = Instant::now();
    sale.publish(&entries).await;
    let letter = eventually("it is parked", async || sale.letters().await.pop()).await;
    assert!(sent.elapsed() >= Duration::from_millis(700), "three tiers in {:?}", sent.elapsed());
    assert!(letter.reason.starts_with("not written in 4 attempts: "), "{letter:?}");
    assert_eq!((letter.event, letter.order, letter.parks), (Some(sale.event), None, 1));
    let (_, payload) = sale.store.dead_letter(letter.id).await.unwrap();
    assert_eq!(OrdersMessage::decode(&payload).unwrap().entries, entries[1..2]);
    eventually("all others have rows", async || {
        let rows = sale.store.all_order_ids(sale.event).await.unwrap();
        (rows.len() == 4).then_some(())
    })
    .await;
    assert_eq!(sale.letters().await.len(), 1, "those beside it were not parked with it");
    for queue in [PARKED, "spike.orders", "spike.retry.100ms", "spike.retry.200ms", "spike.retry.400ms"] {
        assert_eq!(sale.queue(queue), Some(0), "{queue}");
    }

    // Parked again it is the same letter, and when it can be written it is.
    sale.publish(&entries[1..2]).await;
    let parks = async || (sale.letters().await[0].parks == 2).then_some(());
    eventually("it is parked again", parks).await;
    assert_eq!(sale.letters().await.len(), 1);
    sale.sql("ALTER TABLE spike_orders DROP CONSTRAINT not_13");
    sale.send("as an operator would", &payload).await;
    sale.until_at_rest_with(5).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_somebody_has_locked_holds_no_other_and_nothing_of_it_is_parked() {
    let mut sale = Sale::of_with(60, &[TIERS, ("SPIKE_AMQP_PREFETCH", "8")]).await;
    sale.set("SPIKE_DATABASE_STATEMENT_TIMEOUT_MS", "2000");
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    let locked = scheduled_event(&sale.store, 60).await;
    sale.store.set_event_state(locked, EventState::Open).await.unwrap();
    let other_epoch = eventually("the other ledger opens", async || {
        let (row, meta) = (sale.store.event(locked).await.unwrap()?, sale.ledger.meta(locked).await.ok()??);
        (sale.ledger.fence_open_now(locked).await.ok()? && row.epoch == meta.epoch).then_some(meta.epoch)
    })
    .await;
    let mut stuck: Vec<OutboxEntry> = Vec::new();
    for user in 1..=40 {
        let buyers = [crate::sale::buyer(user, None)];
        sale.ledger.reserve(locked, other_epoch, 1, &buyers).await.unwrap();
    }
    stuck.extend(sale.ledger.entries(locked, None, 1000).await.unwrap().entries);
    assert_eq!(stuck.len(), 40);

    let database = sale.sql("SELECT DATABASE()").trim().to_owned();
    let hold = format!(
        "USE `{database}`; START TRANSACTION; SELECT id FROM spike_events WHERE id = {locked} FOR UPDATE; \
         SELECT SLEEP(30); COMMIT"
    );
    let holder = std::thread::spawn(move || fixture::mariadb().query(&hold).unwrap());
    eventually("the row is locked", async || {
        let asked =
            sale.sql(&format!("SELECT id FROM spike_events WHERE id = {locked} FOR UPDATE SKIP LOCKED"));
        asked.trim().is_empty().then_some(())
    })
    .await;
    sale.publish_of(locked, &stuck).await;
    for user in 1..=6 {
        sale.buy(epoch, [user]).await;
        sale.publish(&sale.outbox().await).await;
    }
    sale.until_at_rest_with(6).await;
    assert!(!holder.is_finished(), "the other event was written only when the lock was gone");
    holder.join().unwrap();
    eventually("the locked event is written too", async || {
        (sale.store.all_order_ids(locked).await.unwrap().len() == 40).then_some(())
    })
    .await;
    assert_eq!(sale.letters().await, [], "a lock is nobody's fault");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_counts_against_no_message_and_parked_ones_wait_for_it() {
    let mut sale = Sale::of_with(20, &[TIERS]).await;
    let proxy = sale.database_proxy();
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    for user in 1..=10 {
        sale.buy(epoch, [user]).await;
    }
    proxy.set(Fault::Cut);
    sale.send("odd", b"nothing of ours").await;
    sale.publish(&sale.outbox().await).await;
    eventually("what is unreadable waits in the parking queue", async || {
        (sale.queue(PARKED) == Some(1)).then_some(())
    })
    .await;
    tokio::time::sleep(WHOLE_WALK).await;
    assert_eq!(sale.queue(PARKED), Some(1), "no order is parked because the database is away");
    proxy.set(Fault::Healed);
    sale.until_at_rest_with(10).await;
    let letters = eventually("the parked one is in the table", async || {
        Some(sale.letters().await).filter(|letters| !letters.is_empty())
    })
    .await;
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].message_id.as_str(), letters[0].state), ("odd", LetterState::Open));
    eventually("and out of the queue", async || (sale.queue(PARKED) == Some(0)).then_some(())).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_is_away_counts_against_no_message() {
    let sale = Sale::of_with(20, &[TIERS]).await;
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    sale.buy(epoch, 1..=3).await;
    let entries = sale.outbox().await;
    worker.stop().await;
    sale.redis.kill9();
    // Only the ledger could say whether orders of another epoch still have a place.
    sale.store.bump_epoch(sale.event, epoch + 1, 0).await.unwrap();
    let worker = sale.worker();
    sale.publish(&entries).await;
    sale.publish(&[entry_of(epoch - 1, &entries[0])]).await;
    tokio::time::sleep(WHOLE_WALK).await;
    assert_eq!((sale.letters().await, sale.queue(PARKED)), (vec![], Some(0)));
    sale.redis.restart().unwrap();
    sale.until_open().await;
    sale.until_at_rest_with(3).await;
    assert_eq!(sale.letters().await, []);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_reads_is_one_letter_however_often_it_comes() {
    let sale = Sale::of_with(5, &[TIERS]).await;
    let worker = sale.worker();
    for _ in 0..3 {
        sale.send("odd", b"{}").await;
    }
    // An event that nobody knows is parked at once as well.
    let unknown = OrdersMessage::new(spike_domain::EventId(987), vec![any_entry()]).encode();
    sale.send("unknown", &unknown).await;
    let letters = eventually("both are kept", async || {
        let letters = sale.letters().await;
        (letters.len() == 2 && letters[0].parks == 3).then_some(letters)
    })
    .await;
    assert_eq!(letters[1].reason, "the event does not exist");
    assert_eq!(letters[1].event, Some(spike_domain::EventId(987)));
    assert_eq!(sale.queue("spike.retry.100ms"), None, "nothing was tried again");
    worker.stop().await;
}

fn any_entry() -> OutboxEntry {
    let order = spike_domain::QueuedOrder {
        order: spike_domain::OrderId::new(1),
        user: spike_domain::UserId(1),
        quantity: 1,
        key: None,
        accepted_at_ms: 1,
    };
    OutboxEntry::new(spike_domain::EntryId { epoch: 1, sequence: 0 }, vec![order])
}
