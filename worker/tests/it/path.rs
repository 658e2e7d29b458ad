//! The way of an order on healthy servers, from the outbox to its row and back into stock.

use spike_broker::topology::PARKED;
use spike_broker::{Outgoing, Publisher, Timeouts};
use spike_domain::{ClaimState, EventState, LedgerState, OrderStatus, UserId};
use spike_stock::reserve::Decision;
use spike_stock::{Refused, StockError};
use spike_store::Change;

use crate::sale::{PATIENCE, Sale, buyer, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepted_orders_become_rows_and_leave_the_outbox() {
    let sale = Sale::of(50).await;
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    let mut orders = Vec::new();
    for first in [1, 11, 21] {
        orders.extend(sale.buy(epoch, first..first + 10).await);
    }
    let entries = sale.outbox().await;
    assert_eq!(entries.len(), 3);
    // Ten times each, and mixed: every message after the first is a duplicate.
    for _ in 0..10 {
        sale.publish(&entries).await;
    }
    sale.until_at_rest_with(30).await;
    let mut rows = sale.store.all_order_ids(sale.event).await.unwrap();
    rows.sort();
    orders.sort();
    assert_eq!(rows, orders);
    let claim = sale.ledger.lookup(sale.event, UserId(7)).await.unwrap().0.unwrap();
    assert_eq!(claim.state, Some(ClaimState::Pending), "settle shows the row's state beside the claim");
    worker.stop().await;
    assert_eq!(sale.conservation().await.unwrap().L, 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_left_by_a_killed_worker_is_settled_by_the_sweep() {
    let sale = Sale::of(5).await;
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    sale.buy(epoch, [1, 2]).await;
    // Rows are there, the message is acknowledged, and nobody settles: no message ever comes.
    sale.store.insert_entries(sale.event, &sale.outbox().await).await.unwrap();
    sale.until_at_rest_with(2).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_and_overdue_orders_give_their_stock_back() {
    let sale = Sale::of(3).await;
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    let orders = sale.buy(epoch, [1, 2, 3]).await;
    sale.publish(&sale.outbox().await).await;
    sale.until_at_rest_with(3).await;
    assert_eq!(sale.press(epoch, 4).await.unwrap(), Decision::Short);

    let change = sale.store.cancel_order(orders[0], UserId(1)).await.unwrap();
    assert!(matches!(change, Change::Done(_)));
    sale.until_at_rest_with(2).await;
    sale.sql("UPDATE spike_orders SET expires_at_ms = 1 WHERE user_id = 2");
    sale.until_at_rest_with(1).await;
    let statuses = sale.store.row_statuses(sale.event, &orders).await.unwrap().rows;
    let cancelled = statuses.iter().filter(|(_, _, status)| *status == OrderStatus::Cancelled).count();
    assert_eq!(cancelled, 2);
    assert_eq!(sale.press(epoch, 4).await.unwrap(), Decision::Accepted);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_wish_reaches_the_ledger() {
    let sale = Sale::of(3).await;
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    for (wish, state, refusal) in [
        (EventState::Paused, LedgerState::Paused, Refused::Paused),
        (EventState::Closed, LedgerState::Closed, Refused::Closed),
    ] {
        sale.store.set_event_state(sale.event, wish).await.unwrap();
        assert_eq!(sale.until_open().await, epoch, "a change of state needs no rebuild");
        assert_eq!(sale.ledger.meta(sale.event).await.unwrap().unwrap().state, state);
        let pressed = sale.press(epoch, 1).await;
        assert!(matches!(pressed, Err(StockError::Refused(refused)) if refused == refusal), "{pressed:?}");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_order_is_rejected_alone_and_a_message_nobody_reads_is_parked() {
    let sale = Sale::of(10).await;
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    // A key no column takes, among three orders of one call.
    let buyers = [buyer(1, None), buyer(2, Some("k".repeat(500))), buyer(3, Some("ab".into()))];
    sale.ledger.reserve(sale.event, epoch, 1, &buyers).await.unwrap();
    let unreadable = Outgoing { message_id: "odd".into(), body: b"{\"v\":1}".to_vec() };
    let timeouts = Timeouts { connect: PATIENCE, confirm: PATIENCE };
    let mut publisher = Publisher::connect(&sale.amqp_url, timeouts).await.unwrap();
    publisher.publish_window(&[unreadable]).await.unwrap();
    sale.publish(&sale.outbox().await).await;

    sale.until_at_rest_with(2).await;
    let statuses = sale.store.row_statuses(sale.event, &buyers.each_ref().map(|b| b.order)).await.unwrap();
    for (order, _, status) in statuses.rows {
        let want = if order == buyers[1].order { OrderStatus::Rejected } else { OrderStatus::Pending };
        assert_eq!(status, want, "{order}");
    }
    let letters = || sale.sql("SELECT message_id, order_id IS NULL FROM dead_letters ORDER BY id");
    let letters =
        eventually("both are kept", async || Some(lines_of(&letters())).filter(|l| l.len() == 2)).await;
    assert!(letters.iter().any(|line| line == "odd\t1"), "{letters:?}");
    assert!(letters.iter().any(|line| line.ends_with("\t0")), "{letters:?}");
    assert_eq!(sale.queue(PARKED), Some(0), "the bytes are in the table");
    worker.stop().await;
}

fn lines_of(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}
