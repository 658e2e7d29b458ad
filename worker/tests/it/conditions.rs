//! Conditions of the protocol (V1 to V12), each with a story in a chosen order that goes wrong without it. `make
//! mutants-protocol` takes the conditions out one by one and runs these and the contract suites of ledger, store and broker.

use spike_broker::topology::ORDERS;
use spike_devstack::fixture;
use spike_domain::UserId;
use spike_domain::clock::now_ms;
use spike_stock::StockError;
use spike_stock::reserve::Decision;
use spike_store::Fenced;
use spike_worker::Rebuilder;
use std::collections::HashSet;

use crate::sale::{Sale, buyer, eventually};

fn rebuilder(sale: &Sale) -> Rebuilder {
    Rebuilder { store: sale.store.clone(), stock: sale.ledger.clone(), inflight_max: 1000 }
}

/// A sale that is open, with nobody at work.
async fn opened(total: u32) -> (Sale, Rebuilder, u64) {
    let sale = Sale::of(total).await;
    let rebuilder = rebuilder(&sale);
    let epoch = rebuilder.rebuild(sale.event).await.unwrap().epoch;
    (sale, rebuilder, epoch)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v2_an_order_that_has_its_row_is_not_counted_as_under_way() {
    let (sale, rebuilder, epoch) = opened(5).await;
    let orders = sale.buy(epoch, [1, 2]).await;
    sale.store.insert_entries(sale.event, &sale.outbox().await).await.unwrap();
    // Its entry is still in the outbox; counted as under way it would hold a unit for ever.
    sale.store.cancel_order(orders[0], UserId(1)).await.unwrap();
    let rebuilt = rebuilder.rebuild(sale.event).await.unwrap();
    assert_eq!((rebuilt.stock, rebuilt.counted, rebuilt.claims), (4, 0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v3_units_that_a_rebuild_has_freed_are_not_owed_any_more() {
    let (sale, rebuilder, epoch) = opened(5).await;
    let orders = sale.buy(epoch, [1]).await;
    sale.store.insert_entries(sale.event, &sale.outbox().await).await.unwrap();
    sale.store.cancel_order(orders[0], UserId(1)).await.unwrap();
    assert_eq!(sale.store.conservation(sale.event).await.unwrap().open_markers.units, 1);
    let rebuilt = rebuilder.rebuild(sale.event).await.unwrap();
    let figures = sale.store.conservation(sale.event).await.unwrap();
    assert_eq!((rebuilt.stock, figures.live().units, figures.open_markers.units), (5, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v4_a_marker_read_before_a_rebuild_releases_nothing_in_it() {
    let (sale, rebuilder, epoch) = opened(5).await;
    let orders = sale.buy(epoch, [1]).await;
    let ended = spike_stock::EndedOrder {
        user: UserId(1),
        order: orders[0],
        state: spike_domain::ClaimState::Cancelled,
    };
    let later = rebuilder.rebuild(sale.event).await.unwrap();
    assert_eq!(later.counted, 1, "the order is under way and holds its unit");
    let released = sale.ledger.release(sale.event, epoch, &[ended]).await;
    assert!(matches!(released, Err(StockError::Refused(_))), "{released:?}");
    assert_eq!(sale.ledger.meta(sale.event).await.unwrap().unwrap().stock, Some(4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v5_the_key_of_a_cancelled_order_still_names_it_after_a_rebuild() {
    let (sale, rebuilder, epoch) = opened(5).await;
    let orders = sale.buy(epoch, [1]).await;
    sale.store.insert_entries(sale.event, &sale.outbox().await).await.unwrap();
    sale.store.cancel_order(orders[0], UserId(1)).await.unwrap();
    let epoch = rebuilder.rebuild(sale.event).await.unwrap().epoch;
    let again = buyer(1, Some("1".into()));
    let decided = sale.ledger.reserve(sale.event, epoch, now_ms(), &[again]).await.unwrap();
    assert!(
        matches!(decided.decisions[0], Decision::Known(claim) if claim.order == orders[0]),
        "{:?}",
        decided.decisions
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v6_a_rebuild_that_was_overtaken_reads_no_rows() {
    let (sale, rebuilder, epoch) = opened(5).await;
    let slow = sale.store.bump_epoch(sale.event, epoch + 1, now_ms()).await.unwrap();
    rebuilder.rebuild(sale.event).await.unwrap();
    let read = sale.store.rebuild_snapshot(sale.event, slow, &[], &HashSet::new()).await.unwrap();
    assert!(matches!(read, Fenced::EpochMoved { .. }), "{read:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v7_a_rebuild_does_not_go_on_after_redis_has_restarted() {
    let (sale, _, epoch) = opened(5).await;
    let steps = sale.ledger.for_rebuild(sale.event).await.unwrap();
    let epoch = sale.store.bump_epoch(sale.event, epoch + 1, now_ms()).await.unwrap();
    steps.begin(sale.event, epoch).await.unwrap();
    sale.redis.restart().unwrap();
    eventually("Redis is back", async || sale.ledger.ping().await.ok()).await;
    for _ in 0..5 {
        let step = steps.load(sale.event, epoch, &[], &[]).await;
        assert!(matches!(step, Err(StockError::Redis(_))), "{step:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v12_a_rebuild_after_the_database_was_put_back_is_above_the_ledgers_epoch() {
    let (sale, rebuilder, epoch) = opened(5).await;
    sale.sql("UPDATE spike_events SET epoch = 0");
    let rebuilt = rebuilder.rebuild(sale.event).await;
    assert!(matches!(&rebuilt, Ok(rebuilt) if rebuilt.epoch > epoch), "{rebuilt:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_worker_dies_before_the_commit_comes_again() {
    let (sale, _, epoch) = opened(5).await;
    sale.buy(epoch, [1]).await;
    // Held until the worker is dead, however long the broker takes to say that it has the message.
    let lock = sale.hold(&format!("SELECT id FROM spike_events WHERE id = {} FOR UPDATE", sale.event)).await;
    let worker = sale.worker();
    sale.publish(&sale.outbox().await).await;
    in_hand(&sale).await;
    worker.kill().await;
    drop(lock);
    assert_eq!(
        sale.store.conservation(sale.event).await.unwrap().live().units,
        0,
        "killed before its commit"
    );
    let worker = sale.worker();
    sale.until_at_rest_with(1).await;
    worker.stop().await;
}

/// Waits until the queue has given its message to the worker.
async fn in_hand(sale: &Sale) {
    let (_, vhost) = sale.amqp_url.rsplit_once('/').unwrap();
    eventually("the worker has the message in hand", async || {
        let words = ["list_queues", "--quiet", "-p", vhost, "name", "messages_ready"];
        let queues = fixture::rabbit().ctl(&words).unwrap();
        queues.lines().any(|line| line == format!("{ORDERS}\t0")).then_some(())
    })
    .await;
}
