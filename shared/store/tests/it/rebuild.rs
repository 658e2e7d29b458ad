//! Epochs and snapshots.

use std::collections::HashSet;

use spike_domain::OrderStatus::{Cancelled, Lost, Pending, Rejected};
use spike_domain::{EventState, QueuedOrder};
use spike_store::{Fenced, KnownClaim, Store};

use crate::sale::{Sale, done, order, order_of};

fn known(order: &QueuedOrder) -> KnownClaim {
    KnownClaim { order: order.order, user: order.user, quantity: order.quantity, key: order.key.clone() }
}

pub async fn an_epoch_is_above_every_other(store: &Store) {
    let sale = Sale::of(store, 1).await;
    let cases = [(0, 0, sale.epoch + 1), (100, 50, 100), (50, 200, 200), (200, 199, 201), (202, 202, 202)];
    for (at_least, now_ms, want) in cases {
        assert_eq!(
            store.bump_epoch(sale.event, at_least, now_ms).await.unwrap(),
            want,
            "{at_least} {now_ms}"
        );
        assert_eq!(store.event(sale.event).await.unwrap().unwrap().epoch, want);
    }
}

pub async fn a_snapshot_closes_markers_and_writes_lost_rows(store: &Store) {
    let mut sale = Sale::of(store, 10).await;
    let other = Sale::of(store, 10).await;
    let (live, cancelled, queued, lost) = (order_of(1, 2), order(2), order(3), order_of(4, 2));
    let keyless = QueuedOrder { key: None, ..order(5) };
    sale.insert(&[live.clone(), cancelled.clone()]).await;
    store.cancel_order(cancelled.order, cancelled.user).await.unwrap();
    let elsewhere = order(2);
    other.insert_one(&elsewhere).await;
    store.cancel_order(elsewhere.order, elsewhere.user).await.unwrap();
    store.set_event_state(sale.event, EventState::Open).await.unwrap();
    sale.epoch = store.bump_epoch(sale.event, 0, 0).await.unwrap();

    let claims = [&live, &cancelled, &queued, &lost, &keyless, &lost].map(known);
    let in_outbox = HashSet::from([queued.order]);
    let snapshot = done(store.rebuild_snapshot(sale.event, sale.epoch, &claims, &in_outbox).await.unwrap());
    assert_eq!((snapshot.def.id, snapshot.def.total, snapshot.state), (sale.event, 10, EventState::Open));
    let mut rows: Vec<_> =
        snapshot.rows.iter().map(|r| (r.user.0, r.order, r.quantity, r.status, r.key.as_deref())).collect();
    rows.sort_by_key(|row| row.0);
    let row = |order: &'_ QueuedOrder, status| {
        (order.user.0, order.order, order.quantity, status, order.key.clone())
    };
    let want = [row(&live, Pending), row(&cancelled, Cancelled), row(&lost, Lost), row(&keyless, Lost)];
    let want: Vec<_> = want.iter().map(|(u, o, q, s, k)| (*u, *o, *q, *s, k.as_deref())).collect();
    assert_eq!(rows, want);

    assert_eq!(sale.live_and_markers().await, (2, 0), "its markers are closed, and lost rows hold nothing");
    assert_eq!(other.live_and_markers().await, (0, 1), "another event's markers are not");
    let again = done(store.rebuild_snapshot(sale.event, sale.epoch, &claims, &in_outbox).await.unwrap());
    assert_eq!(again.rows.len(), 4, "once");
    assert_eq!(sale.statuses(&[lost, queued]).await, [Lost, Pending]);
}

pub async fn a_snapshot_of_an_older_epoch_changes_nothing(store: &Store) {
    let sale = Sale::of(store, 10).await;
    let mine = order(1);
    sale.insert_one(&mine).await;
    store.cancel_order(mine.order, mine.user).await.unwrap();
    let now = store.bump_epoch(sale.event, 0, 0).await.unwrap();
    let stale =
        store.rebuild_snapshot(sale.event, sale.epoch, &[known(&order(2))], &HashSet::new()).await.unwrap();
    assert_eq!(stale, Fenced::EpochMoved { now });
    let figures = sale.figures().await;
    assert_eq!((figures.open_markers.units, figures.order_count()), (1, 1));
}

pub async fn a_snapshot_reads_every_row(store: &Store) {
    // Half of them live and half dead.
    let sale = Sale::of(store, 10_500).await;
    for start in (1..=10_500).step_by(1500) {
        let live: Vec<QueuedOrder> = (start..start + 1500).map(order).collect();
        assert!(sale.statuses(&live).await.iter().all(|status| *status == Pending));
        let dead: Vec<QueuedOrder> = (start..start + 1500).map(order).collect();
        assert!(sale.statuses(&dead).await.iter().all(|status| *status == Rejected));
    }
    let snapshot = done(store.rebuild_snapshot(sale.event, sale.epoch, &[], &HashSet::new()).await.unwrap());
    let distinct: HashSet<_> = snapshot.rows.iter().map(|row| row.order).collect();
    assert_eq!((snapshot.rows.len(), distinct.len()), (21_000, 21_000));
    assert_eq!(snapshot.rows.iter().filter(|row| row.status.live()).count(), 10_500);
    assert_eq!(store.all_order_ids(sale.event).await.unwrap().into_iter().collect::<HashSet<_>>(), distinct);
}
