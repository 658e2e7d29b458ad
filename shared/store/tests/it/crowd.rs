//! Many at once: the lock of the event's row is what keeps the figures right.

use std::time::Duration;

use spike_domain::QueuedOrder;
use spike_store::{Change, Store};

use crate::sale::{Sale, order, order_of};

pub async fn four_writers_never_exceed_the_total(store: &Store) {
    let sale = Sale::of(store, 700).await;
    // Each user appears with every writer, so that live claims collide as well as the total.
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..4i64 {
        let (store, event) = (store.clone(), sale.event);
        let batches: Vec<Vec<QueuedOrder>> = (0..10)
            .map(|batch| (0..50).map(|at| order_of(batch * 50 + (at * (writer + 3)) % 50, 2)).collect())
            .collect();
        let entries: Vec<_> = batches.iter().map(|orders| sale.entry(1, orders)).collect();
        tasks.spawn(async move {
            let mut written = 0;
            for entry in entries {
                written += store.insert_entries(event, &[entry]).await.unwrap().outcomes.len();
            }
            written
        });
    }
    let written: usize = tasks.join_all().await.into_iter().sum();
    let figures = sale.figures().await;
    assert_eq!((written, figures.order_count()), (2000, 2000), "every order has a row");
    assert_eq!(figures.live().units, 700, "sold to the last unit");
    assert_eq!(
        figures.live().units + figures.open_markers.units,
        4000,
        "and what was not sold is given back"
    );
}

pub async fn pay_and_cancel_and_expiry_have_one_winner(store: &Store) {
    let sale = Sale::with_time_to_pay(store, 100, 1).await;
    let orders: Vec<QueuedOrder> = (1..=60).map(order).collect();
    sale.insert(&orders).await;
    let mut tasks = tokio::task::JoinSet::new();
    for order in orders {
        let (one, two, three) = (store.clone(), store.clone(), store.clone());
        tasks.spawn(async move {
            usize::from(matches!(one.pay_order(order.order).await.unwrap(), Change::Done(_)))
        });
        tasks.spawn(async move {
            usize::from(matches!(two.cancel_order(order.order, order.user).await.unwrap(), Change::Done(_)))
        });
        tasks.spawn(async move { three.expire_due(5).await.unwrap().len() });
    }
    let winners: usize = tasks.join_all().await.into_iter().sum();
    assert_eq!(winners, 60, "each order changed once");
    let (live, markers) = sale.live_and_markers().await;
    assert_eq!(live + markers, 60);
}

pub async fn writers_of_two_events_do_not_wait_for_each_other(store: &Store) {
    let (one, two) = (Sale::of(store, 1000).await, Sale::of(store, 1000).await);
    let both = async {
        tokio::join!(
            async {
                for user in 0..50 {
                    one.insert(&[order(user)]).await;
                }
            },
            async {
                for user in 0..50 {
                    two.insert(&[order(user)]).await;
                }
            }
        )
    };
    tokio::time::timeout(Duration::from_secs(30), both).await.expect("no lock is held on the other event");
    assert_eq!((one.live_and_markers().await, two.live_and_markers().await), ((50, 0), (50, 0)));
}

pub async fn calls_dropped_half_way_leave_no_transaction_behind(store: &Store) {
    let sale = Sale::of(store, 100).await;
    for user in 0..20u32 {
        let entry = sale.entry(1, &[order(i64::from(user))]);
        let short = Duration::from_micros(u64::from(user) * 150);
        let _ = tokio::time::timeout(short, store.insert_entries(sale.event, &[entry])).await;
        // On one connection, a transaction left open would still hold the event's lock or show unfinished
        // rows. A COMMIT already sent may still succeed: the figures are read once the lock is free again.
        store.rows_missing(sale.event, &[]).await.expect("the lock is free");
        sale.live_and_markers().await;
    }
}
