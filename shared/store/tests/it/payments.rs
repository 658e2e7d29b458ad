//! Attempts to pay orders of both kinds: one live attempt an order, one end for captured money.

use spike_domain::AttemptStatus::{Captured, Declined, Open, RefundDue};
use spike_domain::OrderStatus::{Cancelled, Paid, Pending};
use spike_domain::{AttemptId, AttemptStatus, OrderId, OrderStatus, QueuedOrder, UserId, Verdict};
use spike_store::{Begun, Change, NewShopOrder, ShopChange, Store, StoreError};

use crate::sale::{Sale, eventually, order};
use crate::shop::{Shop, begun, expire, fresh_attempt, times};

async fn settled(store: &Store, attempt: AttemptId, verdict: Verdict) -> AttemptStatus {
    store.settle_payment(attempt, verdict).await.unwrap().status
}

pub async fn captured_money_pays_a_shop_order_once(store: &Store) {
    let shop = Shop::of(store, &[5, 5]).await;
    let order = shop.placed(&shop.order(&[2, 1])).await.order;
    let attempt = shop.begun(order).await;
    let other = fresh_attempt();
    let user = shop.buyers[0];
    assert_eq!(store.begin_payment(other, order, user, 100).await.unwrap(), Begun::InProgress(attempt));
    let again = store.begin_payment(attempt, order, user, 100).await.unwrap();
    assert!(
        matches!(again, Begun::Recorded(row) if row.status == Open && row.amount == times(3)),
        "{again:?}"
    );
    for stranger in [shop.buyers[1], UserId(999_999)] {
        let hidden = store.begin_payment(other, order, stranger, 100).await;
        assert!(matches!(hidden, Err(StoreError::NotFound)), "{hidden:?}");
    }
    for _ in 0..3 {
        assert_eq!(settled(store, attempt, Verdict::Captured).await, Captured);
        assert_eq!(settled(store, attempt, Verdict::Declined).await, Captured, "a verdict is final");
    }
    assert_eq!(shop.status(order).await, Paid);
    assert_eq!(shop.figures().await, [(3, 0, 2), (4, 0, 1)], "sold once");
    assert_eq!(store.begin_payment(other, order, user, 100).await.unwrap(), Begun::NotPayable(Paid));
    assert!(matches!(store.settle_payment(other, Verdict::Captured).await, Err(StoreError::NotFound)));
}

pub async fn a_declined_order_can_be_paid_again(store: &Store) {
    let shop = Shop::of(store, &[5]).await;
    let order = shop.placed(&shop.order(&[1])).await.order;
    let first = shop.begun(order).await;
    assert_eq!(settled(store, first, Verdict::Declined).await, Declined);
    let second = shop.begun(order).await;
    assert_eq!(settled(store, second, Verdict::Captured).await, Captured);
    assert_eq!(settled(store, first, Verdict::Captured).await, RefundDue, "money taken after all");
    let attempts = store.payments_of(&[order]).await.unwrap();
    assert_eq!(attempts.iter().map(|row| row.status).collect::<Vec<_>>(), [RefundDue, Captured]);
    assert_eq!(shop.figures().await, [(4, 0, 1)]);
}

pub async fn money_for_an_order_that_has_ended_is_to_be_refunded_once(store: &Store) {
    let shop = Shop::of(store, &[5]).await;
    let order = shop.placed(&shop.order(&[1])).await.order;
    let attempt = shop.begun(order).await;
    assert_eq!(store.cancel_shop_order(order, shop.buyers[0]).await.unwrap(), ShopChange::Done);
    for verdict in [Verdict::Captured, Verdict::Captured, Verdict::Declined] {
        assert_eq!(settled(store, attempt, verdict).await, RefundDue);
    }
    let ended = store.begin_payment(fresh_attempt(), order, shop.buyers[0], 100).await.unwrap();
    assert_eq!(ended, Begun::NotPayable(Cancelled));

    let hasty = shop.placed(&NewShopOrder { pay_timeout_s: 1, ..shop.order(&[1]) }).await;
    let attempt = shop.begun(hasty.order).await;
    eventually("the deadline passes", async || {
        (store.now_ms().await.unwrap() > hasty.expires_at_ms).then_some(())
    })
    .await;
    assert_eq!(settled(store, attempt, Verdict::Captured).await, RefundDue, "not expired yet, and too late");
    assert_eq!(shop.status(hasty.order).await, Pending);
    let late = store.begin_payment(fresh_attempt(), hasty.order, shop.buyers[0], 100).await.unwrap();
    assert_eq!(late, Begun::NotPayable(Pending));
    assert_eq!(expire(store, 9).await, [hasty.order]);
    assert_eq!(shop.figures().await, [(5, 0, 0)]);
}

pub async fn a_spike_order_is_paid_the_same_way(store: &Store) {
    let sale = Sale::of(store, 5).await;
    let [paid, cancelled, declined] = [order(1), order(2), order(3)];
    sale.insert(&[paid.clone(), cancelled.clone(), declined.clone()]).await;
    let mut attempts = Vec::new();
    for order in [&paid, &cancelled, &declined] {
        attempts.push(begun(store, order.order, order.user).await);
    }
    assert!(matches!(store.cancel_order(cancelled.order, cancelled.user).await.unwrap(), Change::Done(_)));
    assert_eq!(settled(store, attempts[0], Verdict::Captured).await, Captured);
    assert_eq!(settled(store, attempts[1], Verdict::Captured).await, RefundDue);
    assert_eq!(settled(store, attempts[2], Verdict::Declined).await, Declined);
    let statuses = async |order: &QueuedOrder| sale.status_of(order).await.unwrap();
    assert_eq!(
        (statuses(&paid).await, statuses(&cancelled).await, statuses(&declined).await),
        (Paid, Cancelled, Pending)
    );
    assert_eq!(sale.live_and_markers().await, (2, 1));

    let untold = store.untold_payments(10).await.unwrap();
    assert_eq!(
        untold.iter().map(|row| (row.attempt, row.event)).collect::<Vec<_>>(),
        [(attempts[0], Some(sale.event))]
    );
    store.payment_told(attempts[0]).await.unwrap();
    assert_eq!(store.untold_payments(10).await.unwrap(), []);
    let paid_row = store.payment(attempts[0]).await.unwrap().unwrap();
    assert_eq!((paid_row.order, paid_row.user, paid_row.untold), (paid.order, paid.user, false));
}

pub async fn open_attempts_take_turns_to_be_asked_about(store: &Store) {
    let shop = Shop::of(store, &[9]).await;
    let mut attempts = Vec::new();
    for _ in 0..3 {
        let order = shop.placed(&shop.order(&[1])).await.order;
        attempts.push(shop.begun(order).await);
    }
    assert_eq!(
        store.open_payments(3_600_000, 9).await.unwrap(),
        [],
        "asked about an hour ago, at the latest"
    );
    let mut asked = Vec::new();
    for _ in 0..3 {
        let next = eventually("one is due", async || store.open_payments(0, 1).await.unwrap().pop()).await;
        let begun = store.now_ms().await.unwrap();
        eventually("the clock goes on", async || (store.now_ms().await.unwrap() > begun).then_some(())).await;
        store.payment_asked(next.attempt).await.unwrap();
        asked.push(next.attempt);
    }
    asked.sort();
    attempts.sort();
    assert_eq!(asked, attempts, "each has its turn");
    settled(store, attempts[0], Verdict::Declined).await;
    store.payment_asked(attempts[0]).await.unwrap();
    assert_eq!(store.payment(attempts[0]).await.unwrap().unwrap().status, Declined);
}

pub async fn the_simulated_provider_keeps_its_first_word(store: &Store) {
    let [now, later, unknown] = [fresh_attempt(), fresh_attempt(), fresh_attempt()];
    assert!(store.record_simulated(now, Verdict::Captured, 0).await.unwrap());
    assert!(!store.record_simulated(now, Verdict::Declined, 0).await.unwrap());
    assert!(store.record_simulated(later, Verdict::Declined, 3_600_000).await.unwrap());
    assert_eq!(store.simulated_payment(now).await.unwrap(), Some(Some(Verdict::Captured)));
    assert_eq!(store.simulated_payment(later).await.unwrap(), Some(None));
    assert_eq!(store.simulated_payment(unknown).await.unwrap(), None);
}

/// How an order may end while everybody pulls at it.
struct Ends {
    paid: usize,
    refunds: usize,
    changed: usize,
}

/// Pay by two attempts' verdicts, cancel and expiry of each order at once.
async fn race(store: &Store, orders: Vec<(OrderId, UserId, AttemptId)>, spike: bool) -> Ends {
    let mut tasks = tokio::task::JoinSet::new();
    for (order, user, attempt) in orders {
        for _ in 0..2 {
            let store = store.clone();
            tasks.spawn(async move {
                settled(&store, attempt, Verdict::Captured).await;
                0
            });
        }
        let (one, two) = (store.clone(), store.clone());
        tasks.spawn(async move {
            usize::from(match spike {
                true => matches!(one.cancel_order(order, user).await.unwrap(), Change::Done(_)),
                false => one.cancel_shop_order(order, user).await.unwrap() == ShopChange::Done,
            })
        });
        tasks.spawn(async move {
            match spike {
                true => two.expire_due(5).await.unwrap().len(),
                false => expire(&two, 5).await.len(),
            }
        });
    }
    let changed = tasks.join_all().await.into_iter().sum();
    Ends { paid: 0, refunds: 0, changed }
}

async fn judged(store: &Store, mut ends: Ends, orders: &[(OrderId, UserId, AttemptId)]) {
    for (_, _, attempt) in orders {
        match store.payment(*attempt).await.unwrap().unwrap().status {
            Captured => ends.paid += 1,
            RefundDue => ends.refunds += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ends.paid + ends.changed, orders.len(), "each order was paid or cancelled, once");
    assert_eq!(ends.refunds, ends.changed, "and money for a cancelled one is to be refunded");
}

pub async fn pay_cancel_and_expiry_of_shop_orders_have_one_winner(store: &Store) {
    let shop = Shop::of(store, &[100, 100]).await;
    let mut orders = Vec::new();
    for _ in 0..40 {
        let order = shop.placed(&shop.order(&[1, 2])).await.order;
        orders.push((order, shop.buyers[0], shop.begun(order).await));
    }
    let ends = race(store, orders.clone(), false).await;
    let mut paid = 0;
    for (order, ..) in &orders {
        paid += u32::from(shop.status(*order).await == OrderStatus::Paid);
    }
    judged(store, ends, &orders).await;
    assert_eq!(shop.figures().await, [(100 - paid, 0, paid), (100 - 2 * paid, 0, 2 * paid)]);
}

pub async fn pay_cancel_and_expiry_of_spike_orders_have_one_winner(store: &Store) {
    let sale = Sale::of(store, 100).await;
    let queued: Vec<_> = (1..=40).map(order).collect();
    sale.insert(&queued).await;
    let mut orders = Vec::new();
    for order in &queued {
        orders.push((order.order, order.user, begun(store, order.order, order.user).await));
    }
    let ends = race(store, orders.clone(), true).await;
    judged(store, ends, &orders).await;
    let (live, markers) = sale.live_and_markers().await;
    assert_eq!(live + markers, 40);
}

pub async fn of_many_attempts_at_once_one_is_recorded(store: &Store) {
    let shop = Shop::of(store, &[9]).await;
    let order = shop.placed(&shop.order(&[1])).await.order;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (store, user) = (store.clone(), shop.buyers[0]);
        tasks.spawn(async move { store.begin_payment(fresh_attempt(), order, user, 100).await.unwrap() });
    }
    let begun = tasks.join_all().await;
    let recorded: Vec<_> = begun.iter().filter(|begun| matches!(begun, Begun::Recorded(_))).collect();
    let waiting = begun.iter().filter(|begun| matches!(begun, Begun::InProgress(_))).count();
    assert_eq!((recorded.len(), waiting), (1, 15), "{begun:?}");
}

pub async fn an_order_is_tried_so_often_and_no_oftener(store: &Store) {
    let shop = Shop::of(store, &[5, 5]).await;
    let (order, other) =
        (shop.placed(&shop.order(&[1])).await.order, shop.placed(&shop.order(&[1])).await.order);
    let user = shop.buyers[0];
    let mut tried = Vec::new();
    for _ in 0..3 {
        let attempt = fresh_attempt();
        let begun = store.begin_payment(attempt, order, user, 3).await.unwrap();
        assert!(matches!(begun, Begun::Recorded(_)), "{begun:?}");
        assert_eq!(settled(store, attempt, Verdict::Declined).await, Declined);
        tried.push(attempt);
    }
    assert_eq!(store.begin_payment(fresh_attempt(), order, user, 3).await.unwrap(), Begun::TooOften);
    assert_eq!(store.payments_of(&[order]).await.unwrap().len(), 3, "nothing is recorded");
    let again = store.begin_payment(tried[2], order, user, 3).await.unwrap();
    assert!(matches!(again, Begun::Recorded(row) if row.attempt == tried[2]), "a repeat is no further one");
    let begun = store.begin_payment(fresh_attempt(), other, user, 3).await.unwrap();
    assert!(matches!(begun, Begun::Recorded(_)), "another order has its own: {begun:?}");
}

pub async fn a_refund_is_made_once_and_listed_for_administrators(store: &Store) {
    let shop = Shop::of(store, &[9]).await;
    let mut due = Vec::new();
    for _ in 0..3 {
        let order = shop.placed(&shop.order(&[1])).await.order;
        let attempt = shop.begun(order).await;
        store.cancel_shop_order(order, shop.buyers[0]).await.unwrap();
        assert_eq!(settled(store, attempt, Verdict::Captured).await, RefundDue);
        due.push(attempt);
    }
    let waiting = async |quiet_ms| {
        let rows = store.refunds_due(quiet_ms, 9).await.unwrap();
        rows.iter().map(|row| row.attempt).collect::<Vec<_>>()
    };
    assert_eq!(waiting(3_600_000).await, [], "not yet");
    eventually("the clock moves on", async || (waiting(1).await.len() == 3).then_some(())).await;
    store.refund_asked(due[0]).await.unwrap();
    let order = waiting(0).await;
    assert_eq!(order.last(), Some(&due[0]), "who was asked about goes to the end: {order:?}");
    assert_eq!(store.settle_refund(due[0], true).await.unwrap().status, AttemptStatus::Refunded);
    assert_eq!(store.settle_refund(due[0], false).await.unwrap().status, AttemptStatus::Refunded, "final");
    assert_eq!(store.settle_refund(due[1], false).await.unwrap().status, AttemptStatus::RefundFailed);
    assert_eq!(settled(store, due[0], Verdict::Captured).await, AttemptStatus::Refunded, "a late callback");
    assert_eq!(waiting(0).await, [due[2]]);

    let listed = async |status, before, limit| {
        let rows = store.payments(status, before, limit).await.unwrap();
        rows.iter().map(|row| row.attempt).collect::<Vec<_>>()
    };
    assert_eq!(listed(Some(AttemptStatus::RefundFailed), None, 9).await, [due[1]]);
    assert_eq!(listed(None, None, 2).await, [due[2], due[1]], "newest first");
    assert_eq!(listed(None, Some(due[1]), 2).await, [due[0]], "by cursor");
}
