//! Orders of another epoch, poison orders, and the questions of the sweeps.

use spike_domain::OrderStatus::{Pending, Rejected};
use spike_domain::{EntryId, OutboxEntry, QueuedOrder, UserId};
use spike_store::{Adopted, Fenced, Poison, Store};

use crate::sale::{Sale, done, order, order_of};

pub async fn an_entry_of_another_epoch_writes_nothing(store: &Store) {
    let mut sale = Sale::of(store, 10).await;
    let (written, late) = (order(1), order(2));
    sale.insert_one(&written).await;
    let old_full = sale.entry(1, std::slice::from_ref(&written));
    let old_half = sale.entry(2, &[written.clone(), late.clone()]);
    sale.epoch = store.bump_epoch(sale.event, 0, 0).await.unwrap();
    let entries = [old_full, old_half.clone(), sale.entry(3, &[order(3)])];
    let outcome = store.insert_entries(sale.event, &entries).await.unwrap();
    assert_eq!(outcome.epoch, sale.epoch);
    assert_eq!(outcome.foreign, [old_half.id], "only the entry with an order that has no row");
    assert_eq!(outcome.outcomes[1], (written.order, Pending));
    assert_eq!(sale.status_of(&late).await, None);
    assert_eq!(sale.live_and_markers().await, (2, 0));
}

pub async fn an_adopted_order_in_two_entries_is_one_row(store: &Store) {
    let sale = Sale::of(store, 10).await;
    let adopted = order(1);
    let id = EntryId { epoch: sale.epoch - 1, sequence: 4 };
    let entries =
        [OutboxEntry::new(id, vec![adopted.clone()]), sale.entry(1, std::slice::from_ref(&adopted))];
    let outcome = store.insert_entries(sale.event, &entries).await.unwrap();
    assert_eq!((outcome.outcomes, outcome.foreign), (vec![(adopted.order, Pending)], vec![]));
    assert_eq!(sale.live_and_markers().await, (1, 0));
}

pub async fn adopted_orders_are_written_by_their_verdict(store: &Store) {
    let sale = Sale::of(store, 3).await;
    let live = order(1);
    sale.insert_one(&live).await;
    let cases = [
        (order(2), Adopted::Counted, Pending),
        (order(3), Adopted::Rejected, Rejected),
        (order(1), Adopted::Counted, Rejected), // its user holds a live order
        (order_of(4, 2), Adopted::Counted, Rejected), // one unit is left
        (live, Adopted::Rejected, Pending),     // has a row: untouched
    ];
    let orders: Vec<(QueuedOrder, Adopted)> =
        cases.iter().map(|(order, verdict, _)| (order.clone(), *verdict)).collect();
    for _ in 0..2 {
        let outcome = done(store.insert_adopted(sale.event, sale.epoch, &orders).await.unwrap());
        assert_eq!(outcome.len(), cases.len());
        for (order, _, want) in &cases {
            assert!(outcome.contains(&(order.order, *want)), "{order:?}: {outcome:?}");
            assert_eq!(sale.status_of(order).await, Some(*want));
        }
        assert_eq!(sale.live_and_markers().await, (2, 3), "no marker for what Redis never counted");
    }
}

pub async fn an_adoption_of_an_older_epoch_writes_nothing(store: &Store) {
    let sale = Sale::of(store, 3).await;
    let now = store.bump_epoch(sale.event, 0, 0).await.unwrap();
    let late = order(1);
    let outcome =
        store.insert_adopted(sale.event, sale.epoch, &[(late.clone(), Adopted::Counted)]).await.unwrap();
    assert_eq!(outcome, Fenced::EpochMoved { now });
    assert_eq!(sale.status_of(&late).await, None);
}

pub async fn a_poison_order_is_kept_and_restocked(store: &Store) {
    let sale = Sale::of(store, 10).await;
    let bad = QueuedOrder { key: Some("ключ".repeat(40)), ..order_of(1, 2) };
    let reason = "é".repeat(600);
    let payload = [0u8, 255, b'\''];
    let poison =
        Poison { order: &bad, source: "spike.orders", message_id: "m-1", reason: &reason, payload: &payload };
    let moved = store.insert_poison(sale.event, sale.epoch + 1, poison).await.unwrap();
    assert_eq!(moved, Fenced::EpochMoved { now: sale.epoch });
    assert_eq!(sale.status_of(&bad).await, None);
    for _ in 0..2 {
        assert_eq!(done(store.insert_poison(sale.event, sale.epoch, poison).await.unwrap()), Rejected);
        assert_eq!(sale.live_and_markers().await, (0, 2), "one marker, however often");
    }
    assert_eq!(sale.status_of(&bad).await, Some(Rejected));

    let good = order(2);
    sale.insert_one(&good).await;
    let poison = Poison { order: &good, ..poison };
    assert_eq!(
        done(store.insert_poison(sale.event, sale.epoch, poison).await.unwrap()),
        Pending,
        "a row is left alone"
    );
    store.park_message("spike.orders", "m-2", "not JSON", b"\xff\xfe", None).await.unwrap();
    store.park_message("spike.orders", "m-2", "not JSON", b"", None).await.unwrap();
}

pub async fn presence_is_told_with_the_epoch(store: &Store) {
    let sale = Sale::of(store, 10).await;
    let (here, gone) = (order(1), order(2));
    sale.insert_one(&here).await;
    let missing = store.rows_missing(sale.event, &[here.order, gone.order]).await.unwrap();
    assert_eq!((missing.epoch, missing.rows), (sale.epoch, vec![gone.order]));
    let statuses = store.row_statuses(sale.event, &[gone.order, here.order]).await.unwrap();
    assert_eq!((statuses.epoch, statuses.rows), (sale.epoch, vec![(here.order, UserId(1), Pending)]));
    assert_eq!(store.rows_missing(sale.event, &[]).await.unwrap().rows, []);
}
