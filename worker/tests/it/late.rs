//! Messages that outlive the epoch in which they were accepted.

use std::time::{Duration, Instant};

use spike_domain::{EntryId, EventState, OrderId, OrderStatus, OutboxEntry, QueuedOrder, UserId};

use crate::sale::{Sale, entry_of, eventually, scheduled_event};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_a_wiped_ledger_is_adopted_where_there_is_room() {
    let sale = Sale::of(2).await;
    let worker = sale.worker();
    let first_epoch = sale.until_open().await;
    let orders = sale.buy(first_epoch, [1, 2]).await;
    let entries = sale.outbox().await;

    sale.redis.wipe().unwrap();
    let second_epoch = eventually("the ledger is rebuilt", async || {
        let meta = sale.ledger.meta(sale.event).await.ok()??;
        (meta.epoch > first_epoch && meta.state.standing()).then_some(meta.epoch)
    })
    .await;
    sale.until_open().await;
    // The wipe forgot both orders; one unit goes to somebody else before their message comes.
    sale.buy(second_epoch, [3]).await;
    sale.publish(&entries).await;
    sale.publish(&sale.outbox().await).await;

    let outcome = eventually("both have rows", async || {
        let rows = sale.store.row_statuses(sale.event, &orders).await.unwrap().rows;
        (rows.len() == 2).then_some(rows)
    })
    .await;
    let of = |user: i64| outcome.iter().find(|(_, of, _)| *of == UserId(user)).unwrap().2;
    assert_eq!((of(1), of(2)), (OrderStatus::Pending, OrderStatus::Rejected));
    // What adopt counted came into the outbox as well, for the case that the worker had died.
    sale.publish(&sale.outbox().await).await;
    sale.until_at_rest_with(2).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_counted_by_the_rebuild_are_written_by_their_old_message() {
    let sale = Sale::of(5).await;
    let worker = sale.worker();
    let first_epoch = sale.until_open().await;
    sale.buy(first_epoch, [1, 2]).await;
    let entries = sale.outbox().await;
    sale.store.bump_epoch(sale.event, first_epoch + 1, 0).await.unwrap();
    let second_epoch = eventually("the watch sees the epoch", async || {
        let meta = sale.ledger.meta(sale.event).await.ok()??;
        (meta.epoch > first_epoch && meta.state.standing()).then_some(meta.epoch)
    })
    .await;
    assert_eq!(sale.conservation().await.unwrap().F, 2, "the entries survived with the ledger");
    assert_eq!(sale.outbox().await, entries);
    sale.publish(&entries).await;
    sale.publish(&[entry_of(second_epoch, &entries[0])]).await;
    sale.until_at_rest_with(2).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_cannot_adopt_holds_up_no_other_and_is_written_when_it_can() {
    let sale = Sale::of(9).await;
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    // It has no ledger that could judge an order of an epoch long gone.
    let stuck = scheduled_event(&sale.store, 5).await;
    let order =
        QueuedOrder { order: OrderId::new(1), user: UserId(1), quantity: 1, key: None, accepted_at_ms: 1 };
    let entry = OutboxEntry::new(EntryId { epoch: 1, sequence: 0 }, vec![order.clone()]);
    sale.publish_of(stuck, &[entry]).await;

    let begun = Instant::now();
    for user in 1..=8 {
        sale.buy(epoch, [user]).await;
        sale.publish(&sale.outbox().await).await;
        sale.until_at_rest_with(user).await;
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(20), "a wait of five seconds each would be forty: {took:?}");
    let rows = async || sale.store.row_statuses(stuck, &[order.order]).await.unwrap().rows;
    assert_eq!(rows().await, []);

    sale.store.set_event_state(stuck, EventState::Open).await.unwrap();
    eventually("its order is adopted", async || {
        let rows = rows().await;
        (rows == [(order.order, order.user, OrderStatus::Pending)]).then_some(())
    })
    .await;
    worker.stop().await;
}
