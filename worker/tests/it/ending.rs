//! How a sale begins and ends without anybody's hand, and where its units are afterwards.

use spike_domain::{EventId, EventState, LedgerState, UserId};
use spike_store::{Change, Inventory};

use crate::sale::{Sale, event_between, eventually, scheduled_event};

async fn inventory(sale: &Sale, event: EventId) -> (u32, u32, u32) {
    let product = sale.store.event(event).await.unwrap().unwrap().def.product_id;
    let Inventory { available, reserved, sold, .. } = sale.store.inventory(product).await.unwrap().unwrap();
    (available, reserved, sold)
}

async fn until_inventory(sale: &Sale, event: EventId, want: (u32, u32, u32)) {
    let what = format!("inventory {want:?}");
    eventually(&what, async || (inventory(sale, event).await == want).then_some(())).await;
    assert_eq!(sale.store.inventory_audit().await.unwrap(), []);
}

async fn close(sale: &Sale, event: EventId) {
    sale.store.set_event_state(event, EventState::Closed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_warmed_up_and_closed_by_itself() {
    let mut sale = Sale::of(1).await;
    sale.set("SPIKE_WORKER_AUTO_WARMUP_BEFORE_S", "60");
    sale.set("SPIKE_WORKER_AUTO_CLOSE_AFTER_S", "1");
    let soon = event_between(&sale.store, 4, 59_000, 120_000).await;
    let later = event_between(&sale.store, 4, 3_600_000, 7_200_000).await;
    let ending = event_between(&sale.store, 4, -1000, 500).await;
    let worker = sale.worker();
    eventually("the one that starts soon sells, were it time", async || {
        let meta = sale.ledger.meta(soon).await.ok()??;
        let open = meta.state == LedgerState::Open && meta.stock == Some(4);
        (open && sale.ledger.fence_open_now(soon).await.ok()?).then_some(())
    })
    .await;
    until_inventory(&sale, ending, (4, 0, 0)).await;
    let state = async |event| sale.store.event(event).await.unwrap().unwrap().state;
    assert_eq!(
        (state(soon).await, state(ending).await, state(later).await),
        (EventState::Open, EventState::Closed, EventState::Scheduled)
    );
    assert_eq!(sale.ledger.meta(later).await.unwrap(), None);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_whose_schedule_cannot_be_followed_holds_no_ledger_back() {
    let mut sale = Sale::of(1).await;
    sale.set("SPIKE_WORKER_AUTO_WARMUP_BEFORE_S", "60");
    let broken = event_between(&sale.store, 4, 59_000, 120_000).await;
    sale.sql(&format!("UPDATE spike_events SET currency = '?' WHERE id = {broken}"));
    sale.store.event(broken).await.expect_err("nobody can read it");
    let worker = sale.worker();
    sale.until_open().await;
    assert_eq!(sale.ledger.meta(broken).await.unwrap(), None);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_event_gives_back_what_is_left_and_later_what_is_cancelled() {
    let sale = Sale::of(10).await;
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    let orders = sale.buy(epoch, [1, 2, 3]).await;
    sale.publish(&sale.outbox().await).await;
    sale.until_at_rest_with(3).await;
    sale.store.pay_order(orders[0]).await.unwrap();
    until_inventory(&sale, sale.event, (0, 9, 1)).await;

    close(&sale, sale.event).await;
    until_inventory(&sale, sale.event, (7, 2, 1)).await;
    let change = sale.store.cancel_order(orders[1], UserId(2)).await.unwrap();
    assert!(matches!(change, Change::Done(_)));
    until_inventory(&sale, sale.event, (8, 1, 1)).await;
    sale.store.pay_order(orders[2]).await.unwrap();
    until_inventory(&sale, sale.event, (8, 0, 2)).await;
    // Closing moves neither S nor R: the ledger's figures still add up.
    sale.until_at_rest_with(2).await;
    let figures = sale.conservation().await.unwrap();
    assert_eq!((figures.S, figures.R), (10, 8));
    // Nor does a rebuild of the closed ledger: what has gone back stays where it is.
    sale.redis.command(&["SCRIPT", "FLUSH"]).unwrap();
    eventually("the ledger is rebuilt", async || {
        let row = sale.store.event(sale.event).await.unwrap()?;
        (row.epoch > epoch && sale.ledger.fence_open_now(sale.event).await.ok()?).then_some(())
    })
    .await;
    sale.until_at_rest_with(2).await;
    assert_eq!(inventory(&sale, sale.event).await, (8, 0, 2));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accepted_order_that_is_on_its_way_keeps_its_unit() {
    let sale = Sale::of(5).await;
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    sale.buy(epoch, [1]).await;
    close(&sale, sale.event).await;
    // Another event, closed later, is settled meanwhile: the job has had its turns.
    let witness = scheduled_event(&sale.store, 3).await;
    close(&sale, witness).await;
    until_inventory(&sale, witness, (3, 0, 0)).await;
    assert_eq!(inventory(&sale, sale.event).await, (0, 5, 0), "its row is not written yet");

    sale.publish(&sale.outbox().await).await;
    until_inventory(&sale, sale.event, (4, 1, 0)).await;
    sale.until_at_rest_with(1).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_left_in_the_outbox_of_an_old_event_are_found() {
    let sale = Sale::of(1).await;
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    worker.stop().await;
    sale.buy(epoch, [1]).await;
    // Written, sold out, closed long ago, and nobody has settled: nothing of the database names this event any more.
    sale.store.insert_entries(sale.event, &sale.outbox().await).await.unwrap();
    close(&sale, sale.event).await;
    sale.sql("UPDATE spike_events SET updated_at_ms = 1");
    assert_eq!(sale.store.events_to_watch().await.unwrap(), []);

    let worker = sale.worker();
    sale.until_at_rest_with(1).await;
    eventually("the ledger is closed as well", async || {
        (sale.ledger.meta(sale.event).await.ok()??.state == LedgerState::Closed).then_some(())
    })
    .await;
    worker.stop().await;
}
