//! Pay, cancel, expire, and the markers they leave.

use spike_domain::OrderStatus::{Cancelled, Paid, Pending};
use spike_domain::{QueuedOrder, UserId};
use spike_store::{Change, ChangedOrder, Fenced, Store, StoreError};

use crate::sale::{Sale, done, eventually, order, order_of};

fn changed(sale: &Sale<'_>, order: &QueuedOrder) -> ChangedOrder {
    ChangedOrder { order: order.order, event: sale.event, user: order.user, quantity: order.quantity }
}

pub async fn unpaid_orders_expire(store: &Store) {
    let sale = Sale::with_time_to_pay(store, 10, 1).await;
    let other = Sale::with_time_to_pay(store, 10, 1).await;
    let patient = Sale::of(store, 10).await;
    let (unpaid, paid, elsewhere) = (order_of(1, 2), order(2), order(1));
    sale.insert(&[unpaid.clone(), paid.clone()]).await;
    other.insert_one(&elsewhere).await;
    patient.insert(&[order(1)]).await;
    assert!(matches!(store.pay_order(paid.order).await.unwrap(), Change::Done(_)));

    let mut expired = Vec::new();
    eventually("two orders expire", async || {
        expired.extend(store.expire_due(100).await.unwrap());
        (expired.len() >= 2).then_some(())
    })
    .await;
    expired.sort_by_key(|order| order.event);
    assert_eq!(expired, [changed(&sale, &unpaid), changed(&other, &elsewhere)]);
    assert_eq!(store.expire_due(100).await.unwrap(), [], "once");
    assert_eq!((sale.status_of(&unpaid).await, sale.status_of(&paid).await), (Some(Cancelled), Some(Paid)));
    assert_eq!(sale.live_and_markers().await, (1, 2));
    assert_eq!(other.live_and_markers().await, (0, 1));
    assert_eq!(patient.live_and_markers().await, (1, 0));
}

pub async fn cancel_then_buy_again(store: &Store) {
    let sale = Sale::of(store, 3).await;
    let first = order_of(1, 3);
    sale.insert_one(&first).await;
    let outcome = store.cancel_order(first.order, UserId(1)).await.unwrap();
    assert_eq!(outcome, Change::Done(changed(&sale, &first)));
    assert_eq!(store.cancel_order(first.order, UserId(1)).await.unwrap(), Change::Refused(Cancelled));
    assert_eq!(sale.live_and_markers().await, (0, 3), "one marker, however often");
    assert_eq!(
        sale.statuses(&[order_of(1, 3)]).await,
        [Pending],
        "the re-buy has the same user and all the stock"
    );
    assert_eq!(sale.live_and_markers().await, (3, 3));
}

pub async fn only_the_owner_cancels(store: &Store) {
    let sale = Sale::of(store, 3).await;
    let mine = order(1);
    sale.insert_one(&mine).await;
    assert!(matches!(store.cancel_order(mine.order, UserId(2)).await, Err(StoreError::NotFound)));
    assert!(matches!(store.cancel_order(order(1).order, UserId(1)).await, Err(StoreError::NotFound)));
    assert!(matches!(store.pay_order(order(1).order).await, Err(StoreError::NotFound)));
    assert_eq!(sale.live_and_markers().await, (1, 0));
}

pub async fn a_paid_order_stays(store: &Store) {
    let sale = Sale::of(store, 3).await;
    let mine = order(1);
    sale.insert_one(&mine).await;
    assert_eq!(store.pay_order(mine.order).await.unwrap(), Change::Done(changed(&sale, &mine)));
    assert_eq!(store.pay_order(mine.order).await.unwrap(), Change::Refused(Paid));
    assert_eq!(store.cancel_order(mine.order, UserId(1)).await.unwrap(), Change::Refused(Paid));
    assert_eq!(sale.live_and_markers().await, (1, 0), "a paid order is live");
}

pub async fn an_order_past_its_deadline_is_not_paid(store: &Store) {
    let sale = Sale::with_time_to_pay(store, 3, 1).await;
    let late = order(1);
    sale.insert_one(&late).await;
    let deadline = store.order_for_user(late.order, late.user).await.unwrap().unwrap().expires_at_ms;
    eventually("the deadline passes", async || (store.now_ms().await.unwrap() > deadline).then_some(()))
        .await;
    assert_eq!(store.pay_order(late.order).await.unwrap(), Change::Refused(Pending));
    assert_eq!(store.expire_due(1).await.unwrap(), [changed(&sale, &late)]);
    assert_eq!(store.pay_order(late.order).await.unwrap(), Change::Refused(Cancelled));
}

pub async fn markers_close_once_and_in_their_epoch(store: &Store) {
    let sale = Sale::of(store, 3).await;
    let (mine, theirs) = (order(1), order(2));
    sale.insert(&[mine.clone(), theirs.clone()]).await;
    store.cancel_order(mine.order, UserId(1)).await.unwrap();
    let stale = store.markers_done(sale.event, sale.epoch - 1, &[mine.order]).await.unwrap();
    assert_eq!(stale, Fenced::EpochMoved { now: sale.epoch });
    assert_eq!(store.open_markers(10).await.unwrap().len(), 1);
    let ids = [mine.order, theirs.order];
    assert_eq!(done(store.markers_done(sale.event, sale.epoch, &ids).await.unwrap()), 1);
    assert_eq!(done(store.markers_done(sale.event, sale.epoch, &ids).await.unwrap()), 0);
    assert_eq!(store.open_markers(10).await.unwrap(), []);
    assert_eq!(sale.live_and_markers().await, (1, 0));
}

pub async fn a_full_event_starves_no_other_of_its_markers(store: &Store) {
    let (busy, quiet) = (Sale::of(store, 9).await, Sale::of(store, 9).await);
    for sale in [&busy, &quiet] {
        for user in 1..=3 {
            let order = order(user);
            sale.insert_one(&order).await;
            store.cancel_order(order.order, order.user).await.unwrap();
        }
    }
    let events: Vec<_> =
        store.open_markers(2).await.unwrap().into_iter().map(|marker| marker.event).collect();
    assert_eq!(events, [busy.event, busy.event, quiet.event, quiet.event]);
}

pub async fn a_users_orders_by_cursor(store: &Store) {
    let mut mine = Vec::new();
    for _ in 0..5 {
        let sale = Sale::of(store, 9).await;
        let order = order(1);
        sale.insert(&[order.clone(), self::order(2)]).await;
        mine.push(order.order);
    }
    mine.sort();
    mine.reverse();
    let page = async |before| {
        let rows = store.orders_of_user(UserId(1), before, 2).await.unwrap();
        rows.into_iter().map(|row| row.order).collect::<Vec<_>>()
    };
    let first = page(None).await;
    let second = page(first.last().copied()).await;
    let third = page(second.last().copied()).await;
    assert_eq!([first, second, third.clone()].concat(), mine);
    assert_eq!(page(third.last().copied()).await, []);
}
