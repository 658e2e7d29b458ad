//! What is read of an event for a proof is what is there.

use spike_domain::{AttemptStatus, EventId, OrderStatus, Verdict};
use spike_store::{Change, Store, StoreError};

use crate::sale::{Sale, order, order_of};
use crate::shop::begun;

pub async fn everything_of_an_event_is_evidence(store: &Store) {
    let other = Sale::of(store, 9).await;
    other.insert(&[order(77)]).await;
    let sale = Sale::of(store, 5).await;
    let [paid, cancelled, pending] = [order(1), order_of(2, 2), order(3)];
    sale.insert(&[paid.clone(), cancelled.clone(), pending.clone()]).await;
    let attempt = begun(store, paid.order, paid.user).await;
    let unheard = begun(store, pending.order, pending.user).await;
    assert!(store.record_simulated(attempt, Verdict::Captured, 0).await.unwrap());
    store.settle_payment(attempt, Verdict::Captured).await.unwrap();
    assert!(matches!(store.cancel_order(cancelled.order, cancelled.user).await.unwrap(), Change::Done(_)));

    let evidence = store.evidence(sale.event).await.unwrap();
    let of_event = (evidence.total, evidence.per_user_limit, evidence.reserved, evidence.paid);
    assert_eq!(of_event, (5, 10, 2, 1));
    assert_eq!(evidence.orders.len(), 3, "of this event alone");
    for (want, status) in
        [(&paid, OrderStatus::Paid), (&cancelled, OrderStatus::Cancelled), (&pending, OrderStatus::Pending)]
    {
        let row = evidence.orders.iter().find(|row| row.order == want.order).expect("its row");
        assert_eq!((row.user, row.quantity, row.status), (want.user, want.quantity, status));
        assert_eq!((row.key.as_ref(), row.accepted_at_ms), (want.key.as_ref(), want.accepted_at_ms));
        assert!(row.expires_at_ms > row.updated_at_ms && row.updated_at_ms <= evidence.read_at_ms);
    }
    let markers: Vec<_> =
        evidence.markers.iter().map(|marker| (marker.order, marker.quantity, marker.done_at_ms)).collect();
    assert_eq!(markers, [(cancelled.order, 2, None)]);
    let mut attempts: Vec<_> =
        evidence.attempts.iter().map(|row| (row.attempt, row.order, row.status, row.captured)).collect();
    attempts.sort_by_key(|(id, ..)| *id != attempt);
    let want = [
        (attempt, paid.order, AttemptStatus::Captured, Some(true)),
        (unheard, pending.order, AttemptStatus::Open, None),
    ];
    assert_eq!(attempts, want);
    let absent = store.evidence(EventId(sale.event.0 + 1000)).await;
    assert!(matches!(absent, Err(StoreError::NotFound)), "{absent:?}");
}
