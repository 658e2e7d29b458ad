//! Payments that nobody has heard of find their end, and paid orders show as paid where buyers poll them.

use std::time::Duration;

use spike_domain::{AttemptId, AttemptStatus, ClaimState, OrderId, OrderStatus, UserId, Verdict};
use spike_payments::{Charge, PaymentProvider, Simulate, SimulatedProvider, settle};
use spike_store::Begun;

use crate::sale::{Sale, eventually};

/// A recorded attempt to pay.
async fn begun(sale: &Sale, order: OrderId, user: i64) -> AttemptId {
    let attempt = AttemptId(OrderId::new(spike_domain::clock::now_ms()).0);
    let begun = sale.store.begin_payment(attempt, order, UserId(user)).await.unwrap();
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
