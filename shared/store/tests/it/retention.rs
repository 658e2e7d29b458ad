//! Orders that have been over for long: deleted in batches, and nothing that is not settled.

use spike_domain::AttemptStatus::RefundDue;
use spike_domain::OrderStatus::{Cancelled, Paid, Pending, Rejected};
use spike_domain::{EventId, EventState, OrderId, OrderStatus, QueuedOrder, UserId, Verdict};
use spike_store::{Conflict, Deleted, Fenced, LetterFilter, NewShopOrder, Store, StoreError};

use crate::sale::{Sale, eventually, order};
use crate::shop::{Shop, begun, fresh_attempt};

const NO_MORE: Deleted = Deleted { orders: 0, more: false };

/// Of five orders one is paid, and the others are cancelled, one of them with money on its way back.
struct Past<'a> {
    sale: Sale<'a>,
    orders: Vec<QueuedOrder>,
    refund: spike_domain::AttemptId,
}

async fn past(store: &Store) -> Past<'_> {
    let sale = Sale::of(store, 5).await;
    let orders: Vec<_> = (1..=5).map(order).collect();
    sale.insert(&orders).await;
    let captured = begun(store, orders[0].order, UserId(1)).await;
    store.settle_payment(captured, Verdict::Captured).await.unwrap();
    store.payment_told(captured).await.unwrap();
    let refund = begun(store, orders[1].order, UserId(2)).await;
    for order in &orders[1..] {
        store.cancel_order(order.order, order.user).await.unwrap();
    }
    assert_eq!(store.settle_payment(refund, Verdict::Captured).await.unwrap().status, RefundDue);
    let cancelled: Vec<_> = orders[1..].iter().map(|order| order.order).collect();
    store.markers_done(sale.event, sale.epoch, &cancelled).await.unwrap();
    store.set_event_state(sale.event, EventState::Closed).await.unwrap();
    store.sell_paid_units(sale.event).await.unwrap();
    store.return_units(sale.event, sale.epoch).await.unwrap();
    Past { sale, orders, refund }
}

pub async fn orders_of_an_archived_event_are_deleted_once_they_are_settled(store: &Store) {
    let Past { sale, orders, refund } = past(store).await;
    let event = sale.event;
    let candidates = async |age_ms| store.events_to_delete_orders_of(age_ms, EventId(0), 10).await.unwrap();
    let delete = async |limit| store.delete_orders_of(event, 0, limit).await.unwrap();
    let rows = async || store.evidence(event).await.unwrap();
    assert_eq!((candidates(0).await, delete(10).await), (vec![], NO_MORE), "it has a ledger");
    assert_eq!(store.archive_event(event, sale.epoch).await.unwrap(), Fenced::Done(true));
    assert_eq!((candidates(0).await, candidates(3_600_000).await), (vec![event], vec![]));
    assert_eq!(store.events_to_delete_orders_of(0, event, 10).await.unwrap(), [], "the next page");
    assert_eq!(store.delete_orders_of(event, 3_600_000, 10).await.unwrap(), NO_MORE, "not old enough");
    assert_eq!(rows().await.orders.len(), 5);

    assert_eq!(delete(3).await, Deleted { orders: 3, more: true });
    assert_eq!(delete(3).await, Deleted { orders: 1, more: false });
    let left = rows().await;
    assert_eq!(
        left.orders.iter().map(|row| row.order).collect::<Vec<_>>(),
        [orders[1].order],
        "its buyer waits for money"
    );
    assert_eq!((left.attempts.len(), left.markers.len()), (1, 1));
    assert_eq!((candidates(0).await, delete(3).await), (vec![event], NO_MORE));
    store.settle_refund(refund, true).await.unwrap();
    assert_eq!(delete(3).await, Deleted { orders: 1, more: false });
    let left = rows().await;
    assert_eq!((left.orders.len(), left.attempts.len(), left.markers.len()), (0, 0, 0));
    assert_eq!((candidates(0).await, delete(3).await), (vec![], NO_MORE), "done for good");

    let row = store.event(event).await.unwrap().unwrap();
    assert_eq!((row.reserved, row.paid, row.returned), (1, 1, 4), "what was sold is still told");
    assert_eq!(store.inventory_audit().await.unwrap(), [], "and where the units went");
    let counted = store.recount_event(event).await;
    assert!(matches!(counted, Err(StoreError::Conflict { what: Conflict::EventState })), "{counted:?}");
    // A message that comes years late finds no stock: an order is never made twice.
    assert_eq!(sale.statuses(&orders).await, [Rejected; 5]);
}

pub async fn an_event_with_an_open_dead_letter_keeps_its_orders(store: &Store) {
    let Past { sale, refund, .. } = past(store).await;
    store.settle_refund(refund, true).await.unwrap();
    store.archive_event(sale.event, sale.epoch).await.unwrap();
    store.park_message("spike.orders", "m", "why", b"bytes", Some(sale.event)).await.unwrap();
    let delete = async || store.delete_orders_of(sale.event, 0, 10).await.unwrap();
    assert_eq!(delete().await, NO_MORE, "somebody may replay it");
    let letter = store.dead_letters(&LetterFilter::default(), None, 10).await.unwrap().remove(0).id;
    assert!(store.drop_letter(letter, "somebody", "a test's own").await.unwrap());
    assert_eq!(delete().await, Deleted { orders: 5, more: false });
}

pub async fn ordinary_orders_are_deleted_once_they_are_settled(store: &Store) {
    let shop = Shop::of(store, &[9]).await;
    let placed = async || shop.placed(&NewShopOrder { pay_timeout_s: 4, ..shop.order(&[1]) }).await.order;
    let [paid, cancelled, refunded] = [placed().await, placed().await, placed().await];
    let unpaid = shop.placed(&shop.order(&[1])).await.order;
    let captured = shop.begun(paid).await;
    store.settle_payment(captured, Verdict::Captured).await.unwrap();
    let late = shop.begun(refunded).await;
    for order in [cancelled, refunded] {
        store.cancel_shop_order(order, shop.buyers[0]).await.unwrap();
    }
    store.settle_payment(late, Verdict::Captured).await.unwrap();
    store.record_simulated(captured, Verdict::Captured, 0).await.unwrap();
    store.record_simulated(fresh_attempt(), Verdict::Captured, 0).await.unwrap();
    let status = async |order: OrderId| -> Option<OrderStatus> {
        store.shop_order(order, shop.buyers[0]).await.unwrap().map(|row| row.status)
    };
    assert_eq!(store.delete_shop_orders(3_600_000, 10).await.unwrap(), NO_MORE, "not old enough");
    assert_eq!((status(paid).await, status(cancelled).await), (Some(Paid), Some(Cancelled)));

    let mut deleted = 0;
    eventually("their time is over", async || {
        deleted += store.delete_shop_orders(0, 1).await.unwrap().orders;
        (deleted == 2).then_some(())
    })
    .await;
    assert_eq!((status(paid).await, status(cancelled).await), (None, None));
    assert_eq!((status(refunded).await, status(unpaid).await), (Some(Cancelled), Some(Pending)));
    assert_eq!(store.simulated_payment(captured).await.unwrap(), None);
    store.settle_refund(late, true).await.unwrap();
    assert_eq!(store.delete_shop_orders(0, 10).await.unwrap(), Deleted { orders: 1, more: false });
    assert_eq!((status(refunded).await, status(unpaid).await), (None, Some(Pending)));
    assert_eq!(store.payments_of(&[paid, refunded]).await.unwrap(), []);
    assert_eq!(shop.figures().await, [(7, 1, 1)], "the books of the product still add up");
}
