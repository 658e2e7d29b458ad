//! The end of an event in the database, and counting its rows anew.

use spike_domain::{EventId, EventState, UserId};
use spike_store::{Conflict, Fenced, Store, StoreError};

use crate::embedded::raw;
use crate::sale::{Sale, order};

pub async fn only_an_event_at_rest_is_archived_and_then_for_good(store: &Store) {
    let sale = Sale::of(store, 3).await;
    let (paid, unpaid) = (order(1), order(2));
    sale.insert(&[paid.clone(), unpaid.clone()]).await;
    store.pay_order(paid.order).await.unwrap();
    let archive = async |epoch| store.archive_event(sale.event, epoch).await.unwrap();
    assert_eq!(archive(sale.epoch).await, Fenced::Done(false), "it sells");
    store.set_event_state(sale.event, EventState::Closed).await.unwrap();
    let archivable = async |age_ms, after| store.archivable(age_ms, after, 10).await.unwrap();
    let none = EventId(0);
    assert_eq!(archivable(0, none).await, [], "units are under way");
    assert_eq!(archive(sale.epoch).await, Fenced::Done(false));
    store.sell_paid_units(sale.event).await.unwrap();
    store.return_units(sale.event, sale.epoch).await.unwrap();
    assert_eq!(archive(sale.epoch).await, Fenced::Done(false), "an order may still be paid");
    store.cancel_order(unpaid.order, UserId(2)).await.unwrap();
    store.return_units(sale.event, sale.epoch).await.unwrap();
    assert_eq!(archive(sale.epoch).await, Fenced::Done(false), "its unit is not back in the ledger");
    store.markers_done(sale.event, sale.epoch, &[unpaid.order]).await.unwrap();
    assert_eq!(archive(sale.epoch + 1).await, Fenced::EpochMoved { now: sale.epoch });
    let [past] = archivable(0, none).await[..] else { panic!("it is past") };
    assert_eq!((past.event, past.epoch), (sale.event, sale.epoch));
    assert!(past.age_ms < 3_600_000, "by its own last change: {} ms", past.age_ms);
    assert_eq!(archivable(3_600_000, none).await, [], "not old enough");
    assert_eq!(archivable(0, sale.event).await, [], "the page behind it");

    let watched = async || store.events_to_watch().await.unwrap().len();
    let shown = async || store.events_for_gateways().await.unwrap().len();
    assert_eq!((watched().await, shown().await), (1, 1));
    for _ in 0..2 {
        assert_eq!(archive(sale.epoch).await, Fenced::Done(true));
    }
    assert_eq!((watched().await, shown().await), (0, 0));
    assert_eq!(archivable(0, none).await, []);
    assert!(store.event(sale.event).await.unwrap().unwrap().archived);
    let again = store.bump_epoch(sale.event, 0, 0).await;
    assert!(matches!(again, Err(StoreError::Conflict { what: Conflict::EventState })), "{again:?}");
    sale.figures().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_are_made_anew_from_the_rows() {
    let fresh = crate::database::sqlite().await;
    let store = &fresh.store;
    let sale = Sale::of(store, 5).await;
    sale.insert(&[order(1), order(2), order(3)]).await;
    let first = store.all_order_ids(sale.event).await.unwrap()[0];
    store.pay_order(first).await.unwrap();
    assert!(!store.recount_event(sale.event).await.unwrap(), "they are right");
    let sound = sale.figures().await;
    let folder = fresh.folder.as_ref().expect("a file");
    let wrong = "UPDATE spike_events SET reserved = 5, paid = 0";
    sqlx::raw_sql(wrong).execute(&mut raw(folder).await).await.unwrap();
    assert!(!store.audit_event(sale.event).await.unwrap().holds());
    assert!(store.recount_event(sale.event).await.unwrap());
    assert_eq!(sale.figures().await, sound);
}
