//! Payments that nobody has heard of find their end, and paid orders show as paid where buyers poll them.

use std::time::Duration;

use spike_domain::{AttemptId, AttemptStatus, ClaimState, OrderId, OrderStatus, ProductId, UserId, Verdict};
use spike_payments::{Charge, PaymentProvider, Simulate, SimulatedProvider, settle};
use spike_store::{Begun, NewShopOrder, Placement};

use crate::sale::{Sale, eventually};

/// A recorded attempt to pay.
async fn begun(sale: &Sale, order: OrderId, user: i64) -> AttemptId {
    let attempt = AttemptId(OrderId::new(spike_domain::clock::now_ms()).0);
    let begun = sale.store.begin_payment(attempt, order, UserId(user), 100).await.unwrap();
    assert!(matches!(begun, Begun::Recorded(_)), "{begun:?}");
    attempt
}

/// What a buyer who polls is told.
async fn shown(sale: &Sale, user: i64) -> Option<ClaimState> {
    sale.ledger.lookup(sale.event, UserId(user)).await.unwrap().0?.state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_resolver_ends_open_payments_and_the_ledger_learns_of_paid_orders() {
    let settings = [("SPIKE_PAYMENTS_RESOLVE_AFTER_MS", "100"), ("SPIKE_PAYMENTS_GIVE_UP_AFTER_MS", "3001")];
    let sale = Sale::of_with(5, &settings).await;
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    let orders = sale.buy(epoch, [1, 2, 3, 4]).await;
    sale.publish(&sale.outbox().await).await;
    sale.until_at_rest_with(4).await;
    let mut attempts = Vec::new();
    for (order, user) in orders.iter().zip(1..) {
        attempts.push(begun(&sale, *order, user).await);
    }
    // Settled at once; charged and never heard of again; decided later; never charged.
    settle(&sale.store, &sale.ledger, attempts[0], Verdict::Captured).await.unwrap();
    assert_eq!(shown(&sale, 1).await, Some(ClaimState::Paid), "shown at once");
    assert_eq!(sale.store.untold_payments(9).await.unwrap(), []);
    sale.store.record_simulated(attempts[1], Verdict::Captured, 0).await.unwrap();
    sale.store.record_simulated(attempts[2], Verdict::Declined, 500).await.unwrap();
    for (at, want) in
        [(1, AttemptStatus::Captured), (2, AttemptStatus::Declined), (3, AttemptStatus::Declined)]
    {
        eventually("the payment is resolved", async || {
            let status = sale.store.payment(attempts[at]).await.unwrap()?.status;
            (status != AttemptStatus::Open).then(|| assert_eq!(status, want, "{at}"))
        })
        .await;
    }
    eventually("the second is shown as paid", async || {
        (shown(&sale, 2).await == Some(ClaimState::Paid)).then_some(())
    })
    .await;
    assert_eq!(shown(&sale, 3).await, Some(ClaimState::Pending), "still to be paid");

    // Settled while the ledger could not be told.
    let attempt = begun(&sale, orders[2], 3).await;
    sale.store.settle_payment(attempt, Verdict::Captured).await.unwrap();
    eventually("the worker tells the ledger", async || {
        (shown(&sale, 3).await == Some(ClaimState::Paid)).then_some(())
    })
    .await;
    eventually("once", async || sale.store.untold_payments(9).await.unwrap().is_empty().then_some(())).await;
    // Given up: whoever charges it now, with the buyer's key, takes no money.
    let provider = SimulatedProvider::new(sale.store.clone(), Duration::ZERO, None);
    let amount = sale.store.payment(attempts[3]).await.unwrap().unwrap().amount;
    let charge = Charge { attempt: attempts[3], amount, simulate: Simulate::Success };
    assert_eq!(provider.charge(charge).await.unwrap(), Verdict::Declined);
    // And were it captured all the same.
    let late = settle(&sale.store, &sale.ledger, attempts[3], Verdict::Captured).await.unwrap();
    assert_eq!(late.status, AttemptStatus::RefundDue);
    let statuses = sale.store.row_statuses(sale.event, &orders).await.unwrap().rows;
    let paid = statuses.iter().filter(|(_, _, status)| *status == OrderStatus::Paid).count();
    assert_eq!(paid, 3);
    worker.stop().await;
    sale.until_at_rest_with(4).await;
}

/// An ordinary order that is to be paid, and an attempt to.
async fn ordinary(sale: &Sale, user: UserId, product: ProductId) -> (OrderId, AttemptId) {
    let order = OrderId::new(spike_domain::clock::now_ms());
    let items = [(product, 1)].into();
    let new = NewShopOrder { order, user, items, expected: None, pay_timeout_s: 3600 };
    let placed = sale.store.place_shop_order(&new).await.unwrap();
    assert!(matches!(placed, Placement::Placed(_)), "{placed:?}");
    (order, begun(sale, order, user.0).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_stuck_at_the_provider_holds_up_no_other() {
    let settings = [
        ("SPIKE_PAYMENTS_RESOLVE_AFTER_MS", "10"),
        ("SPIKE_PAYMENTS_GIVE_UP_AFTER_MS", "50001"),
        ("SPIKE_PAYMENTS_TIMEOUT_MS", "50000"),
        ("SPIKE_HTTP_REQUEST_TIMEOUT_MS", "55000"),
        ("SPIKE_DATABASE_STATEMENT_TIMEOUT_MS", "60000"),
    ];
    let sale = Sale::of_with(1, &settings).await;
    let user = sale.store.bulk_insert_users("buyer", 1, "no hash").await.unwrap()[0];
    let product = sale.store.event(sale.event).await.unwrap().unwrap().def.product_id;
    sale.sql(&format!(
        "UPDATE inventory SET available = 99 WHERE product_id = {product}; \
         INSERT INTO inventory_movements (product_id, kind, delta_available, delta_reserved, delta_sold, reason, at_ms) \
         SELECT {product}, 2, 99, 0, 0, '', 1"
    ));
    // Voiding the first meets a row of its id that is not committed: the provider does not answer.
    let (_, stuck) = ordinary(&sale, user, product).await;
    sale.sql("UPDATE payment_attempts SET created_at_ms = 1");
    let held = sale.hold(&format!(
        "INSERT INTO simulated_payments (attempt_id, captured, settles_at_ms, created_at_ms) VALUES (x'{}', 1, 0, 0)",
        stuck.0.simple()
    ))
    .await;
    let worker = sale.worker();
    // The others come one after the other, so that each finds the first one on its way.
    for _ in 0..3 {
        let (_, attempt) = ordinary(&sale, user, product).await;
        sale.store.record_simulated(attempt, Verdict::Captured, 0).await.unwrap();
        eventually("it is resolved beside the stuck one", async || {
            (sale.store.payment(attempt).await.unwrap()?.status == AttemptStatus::Captured).then_some(())
        })
        .await;
    }
    assert_eq!(sale.store.payment(stuck).await.unwrap().unwrap().status, AttemptStatus::Open, "still stuck");
    drop(held);
    eventually("the stuck one goes on", async || {
        (sale.store.payment(stuck).await.unwrap()?.status == AttemptStatus::Declined).then_some(())
    })
    .await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_no_order_needs_is_given_back_once() {
    let sale = Sale::of_with(1, &[("SPIKE_PAYMENTS_RESOLVE_AFTER_MS", "10")]).await;
    let user = sale.store.bulk_insert_users("buyer", 1, "no hash").await.unwrap()[0];
    let product = sale.store.event(sale.event).await.unwrap().unwrap().def.product_id;
    sale.sql(&format!(
        "UPDATE inventory SET available = 9 WHERE product_id = {product}; \
         INSERT INTO inventory_movements (product_id, kind, delta_available, delta_reserved, delta_sold, reason, at_ms) \
         SELECT {product}, 2, 9, 0, 0, '', 1"
    ));
    let mut attempts = Vec::new();
    for _ in 0..2 {
        let (order, attempt) = ordinary(&sale, user, product).await;
        sale.store.cancel_shop_order(order, user).await.unwrap();
        attempts.push(attempt);
    }
    // The provider has the money of the first. Of the second it knows nothing, so that nothing can be given back.
    sale.store.record_simulated(attempts[0], Verdict::Captured, 0).await.unwrap();
    for attempt in &attempts {
        let settled = settle(&sale.store, &sale.ledger, *attempt, Verdict::Captured).await.unwrap();
        assert_eq!(settled.status, AttemptStatus::RefundDue);
    }
    let workers = [sale.worker(), sale.worker()];
    for (attempt, want) in attempts.iter().zip([AttemptStatus::Refunded, AttemptStatus::RefundFailed]) {
        eventually("the refund ends", async || {
            let status = sale.store.payment(*attempt).await.unwrap()?.status;
            (status != AttemptStatus::RefundDue).then(|| assert_eq!(status, want))
        })
        .await;
    }
    let refunds = sale.sql("SELECT COUNT(*) FROM simulated_payments WHERE refunded_at_ms IS NOT NULL");
    assert_eq!(refunds.trim(), "1");
    // A worker that died after the provider's word and before its note: the same word again, and the first refund stays.
    let at = sale.sql("SELECT refunded_at_ms FROM simulated_payments WHERE refunded_at_ms IS NOT NULL");
    sale.sql("UPDATE payment_attempts SET status = 4, updated_at_ms = 1 WHERE status = 5");
    eventually("it is noted again", async || {
        (sale.store.payment(attempts[0]).await.unwrap()?.status == AttemptStatus::Refunded).then_some(())
    })
    .await;
    assert_eq!(
        sale.sql("SELECT refunded_at_ms FROM simulated_payments WHERE refunded_at_ms IS NOT NULL"),
        at
    );
    for worker in workers {
        worker.stop().await;
    }
}
