//! The first transaction: entries of the event's own epoch.

use spike_domain::OrderStatus::{Cancelled, Paid, Pending, Rejected};
use spike_domain::{EventId, OrderId, QueuedOrder, UserId};
use spike_store::{Store, StoreError};

use crate::sale::{Sale, order, order_of, price};

pub async fn plain_orders_become_pending_rows(store: &Store) {
    let sale = Sale::with_time_to_pay(store, 10, 900).await;
    let (with_key, mut without_key) = (order_of(1, 2), order(i64::MAX));
    without_key.key = None;
    let before = store.now_ms().await.unwrap();
    assert_eq!(sale.statuses(&[with_key.clone(), without_key.clone()]).await, [Pending, Pending]);

    let row = store.order_for_user(with_key.order, UserId(1)).await.unwrap().unwrap();
    assert_eq!((row.order, row.event, row.user, row.quantity), (with_key.order, sale.event, UserId(1), 2));
    assert_eq!((row.price, row.amount, row.epoch), (price(), price().times(2).unwrap(), sale.epoch));
    assert_eq!(row.accepted_at_ms, with_key.accepted_at_ms);
    assert!(row.created_at_ms >= before && row.created_at_ms < before + 60_000, "{row:?}");
    assert_eq!(row.expires_at_ms, row.created_at_ms + 900_000);
    assert!(store.order_for_user(with_key.order, UserId(2)).await.unwrap().is_none(), "another user's order");
    assert_eq!(sale.live_and_markers().await, (3, 0));
    assert_eq!(store.event(sale.event).await.unwrap().unwrap().reserved, 3);
}

pub async fn a_replay_changes_nothing(store: &Store) {
    let sale = Sale::of(store, 10).await;
    let orders = [order(1), order(2), order(3)];
    sale.insert(&orders).await;
    store.cancel_order(orders[0].order, UserId(1)).await.unwrap();
    store.pay_order(orders[1].order).await.unwrap();
    let fresh = order(4);
    let [one, two, three] = orders.clone();
    let again = [one.clone(), two, three, fresh];
    assert_eq!(sale.statuses(&again).await, [Cancelled, Paid, Pending, Pending], "true statuses of the rows");
    // The replay of a dead order is no re-buy, also beside its user's re-buy.
    assert_eq!(sale.statuses(&[order(1), one]).await, [Pending, Cancelled]);
    assert_eq!(sale.live_and_markers().await, (4, 1));
}

pub async fn a_live_claim_rejects_another_order(store: &Store) {
    let sale = Sale::of(store, 10).await;
    sale.insert(&[order(1)]).await;
    let second = order_of(1, 3);
    assert_eq!(sale.statuses(&[order(2), second.clone()]).await, [Pending, Rejected]);
    let markers = store.open_markers(10).await.unwrap();
    assert_eq!(markers.len(), 1);
    assert_eq!((markers[0].order, markers[0].user, markers[0].quantity), (second.order, UserId(1), 3));
    assert_eq!((markers[0].event, markers[0].epoch, markers[0].status), (sale.event, sale.epoch, Rejected));
    assert_eq!(sale.statuses(&[second]).await, [Rejected], "its replay leaves no second marker");
    assert_eq!(sale.live_and_markers().await, (2, 3));
}

pub async fn orders_beyond_the_total_are_rejected(store: &Store) {
    let sale = Sale::of(store, 3).await;
    let orders: Vec<QueuedOrder> = (1..=5).map(order).collect();
    assert_eq!(sale.statuses(&orders).await, [Pending, Pending, Pending, Rejected, Rejected]);
    assert_eq!(sale.statuses(&[order(9)]).await, [Rejected]);
    assert_eq!(sale.live_and_markers().await, (3, 3));
}

pub async fn quantities_count_as_units(store: &Store) {
    let sale = Sale::of(store, 10).await;
    let orders = [order_of(1, 6), order_of(2, 5), order_of(3, 4)];
    assert_eq!(sale.statuses(&orders).await, [Pending, Rejected, Pending]);
    let figures = sale.figures().await;
    assert_eq!((figures.live().orders, figures.live().units, figures.open_markers.units), (2, 10, 5));
    assert_eq!((figures.total, figures.order_count(), figures.of(Rejected).units), (10, 3, 5));
}

pub async fn the_same_user_twice_in_a_batch(store: &Store) {
    let sale = Sale::of(store, 10).await;
    let (first, second) = (order(1), order(1));
    let entries = [
        sale.entry(1, std::slice::from_ref(&first)),
        sale.entry(2, &[second.clone(), first.clone(), order(2)]),
    ];
    let outcome = store.insert_entries(sale.event, &entries).await.unwrap();
    let statuses: Vec<_> = outcome.outcomes.iter().map(|(id, status)| (*id, *status)).collect();
    assert_eq!(statuses[..2], [(first.order, Pending), (second.order, Rejected)]);
    assert_eq!(statuses.len(), 3, "each order once");
    assert_eq!(sale.live_and_markers().await, (2, 1));
}

pub async fn a_batch_longer_than_a_statement(store: &Store) {
    let sale = Sale::of(store, 2000).await;
    let orders: Vec<QueuedOrder> = (1..=1201).map(order).collect();
    assert!(sale.statuses(&orders).await.iter().all(|status| *status == Pending));
    assert_eq!(sale.live_and_markers().await, (1201, 0));
    let mut ids = store.all_order_ids(sale.event).await.unwrap();
    ids.sort();
    let mut want: Vec<OrderId> = orders.iter().map(|order| order.order).collect();
    want.sort();
    assert_eq!(ids, want);
}

pub async fn a_large_batch_with_one_conflict(store: &Store) {
    let sale = Sale::of(store, 2000).await;
    sale.insert(&[order(1100)]).await;
    // The conflict is met in the third statement: what the first two wrote must be taken back and decided
    // again.
    let orders: Vec<QueuedOrder> = (1..=1201).map(order).collect();
    let statuses = sale.statuses(&orders).await;
    let rejected: Vec<usize> = (0..1201).filter(|at| statuses[*at] != Pending).collect();
    assert_eq!((rejected, statuses[1099]), (vec![1099], Rejected));
    assert_eq!(sale.live_and_markers().await, (1201, 1));
}

pub async fn hostile_keys_are_refused_not_run(store: &Store) {
    let sale = Sale::of(store, 10).await;
    let with_key = |user, key: &str| QueuedOrder { key: Some(key.into()), ..order(user) };
    let injection = with_key(1, "'),(x'00'); DROP TABLE restock_outbox; -- ");
    assert_eq!(sale.statuses(&[injection]).await, [Pending]);
    for key in ["ключ", &"a".repeat(65)] {
        let entry = sale.entry(1, &[order(2), with_key(3, key)]);
        let error = store.insert_entries(sale.event, &[entry]).await.unwrap_err();
        assert!(!error.transient(), "bisection must find it: {error}");
    }
    assert_eq!(sale.live_and_markers().await, (1, 0), "nothing of the failed batches stays");
}

pub async fn an_unknown_event_is_not_found(store: &Store) {
    let sale = Sale::of(store, 1).await;
    let entry = sale.entry(1, &[order(1)]);
    let unknown = EventId(i64::MAX);
    assert!(matches!(store.insert_entries(unknown, &[entry]).await, Err(StoreError::NotFound)));
    assert!(matches!(store.bump_epoch(unknown, 1, 1).await, Err(StoreError::NotFound)));
    assert!(matches!(store.conservation(unknown).await, Err(StoreError::NotFound)));
}
