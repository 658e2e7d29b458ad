//! A shop to test with: products with stock, a buyer, orders, and books that must add up.

use std::collections::BTreeMap;

use spike_domain::clock::now_ms;
use spike_domain::{AttemptId, AttemptStatus, Money, OrderId, OrderStatus, ProductId, UserId, Verdict};
use spike_store::{Begun, KeyedRequest, NewShopOrder, Overdue, Placement, ShopOrderRow, Store};

use crate::sale::{new_product, price};

/// Products, and the buyers of their units.
pub struct Shop<'a> {
    pub store: &'a Store,
    pub products: Vec<ProductId>,
    pub buyers: Vec<UserId>,
}

impl<'a> Shop<'a> {
    /// A shop of products with these stocks and two buyers.
    pub async fn of(store: &'a Store, stocks: &[u32]) -> Shop<'a> {
        let mut products = Vec::new();
        for stock in stocks {
            let sku = OrderId::new(now_ms()).to_string();
            products.push(store.create_product(new_product(&sku, *stock), None).await.unwrap());
        }
        let prefix = OrderId::new(now_ms()).to_string();
        let buyers = store.bulk_insert_users(&prefix, 2, "no hash").await.unwrap();
        Self { store, products, buyers }
    }

    /// An order of the first buyer: so many units of each product, none of those with 0; an hour to pay.
    pub fn order(&self, units: &[u32]) -> NewShopOrder {
        let items: BTreeMap<_, _> = self
            .products
            .iter()
            .copied()
            .zip(units.iter().copied())
            .filter(|(_, units)| *units > 0)
            .collect();
        NewShopOrder {
            order: OrderId::new(now_ms()),
            user: self.buyers[0],
            items,
            expected: None,
            pay_timeout_s: 3600,
        }
    }

    /// Places an order that must succeed.
    pub async fn placed(&self, new: &NewShopOrder) -> ShopOrderRow {
        match self.store.place_shop_order(new).await.unwrap() {
            Placement::Placed(row) => row,
            other => panic!("{other:?}"),
        }
    }

    /// Available, reserved and sold of each product, after the movements have been found to add up.
    pub async fn figures(&self) -> Vec<(u32, u32, u32)> {
        assert_eq!(self.store.inventory_audit().await.unwrap(), [], "the ledger adds up");
        let mut figures = Vec::new();
        for product in &self.products {
            let units = self.store.inventory(*product).await.unwrap().unwrap();
            figures.push((units.available, units.reserved, units.sold));
        }
        figures
    }

    /// The status of an order of the first buyer.
    pub async fn status(&self, order: OrderId) -> OrderStatus {
        self.store.shop_order(order, self.buyers[0]).await.unwrap().unwrap().status
    }

    /// Records an attempt to pay that must be possible.
    pub async fn begun(&self, order: OrderId) -> AttemptId {
        begun(self.store, order, self.buyers[0]).await
    }
}

/// Records an attempt to pay that must be possible.
pub async fn begun(store: &Store, order: OrderId, user: UserId) -> AttemptId {
    let attempt = fresh_attempt();
    match store.begin_payment(attempt, order, user, 100).await.unwrap() {
        Begun::Recorded(row) => assert_eq!(row.attempt, attempt),
        other => panic!("{other:?}"),
    }
    attempt
}

/// Cancels the oldest orders past their deadline, none of which may fail.
pub async fn expire(store: &Store, limit: u32) -> Vec<OrderId> {
    let expiry = store.expire_shop_orders(Overdue::default(), limit).await.unwrap();
    assert_eq!(expiry.failed, []);
    expiry.cancelled
}

/// An id nobody has used.
pub fn fresh_attempt() -> AttemptId {
    AttemptId(OrderId::new(now_ms()).0)
}

/// So many times the price of every product.
pub fn times(units: u32) -> Money {
    price().times(units).unwrap()
}

/// Everything that is done to ordinary orders, payments and keys, once.
pub async fn every_statement(store: &Store) {
    let shop = Shop::of(store, &[9, 9]).await;
    let (paid, other) =
        (shop.placed(&shop.order(&[1, 1])).await.order, shop.placed(&shop.order(&[1, 0])).await.order);
    let attempt = shop.begun(paid).await;
    store.open_payments(0, 9).await.unwrap();
    store.payment_asked(attempt).await.unwrap();
    store.settle_payment(attempt, Verdict::Captured).await.unwrap();
    store.untold_payments(9).await.unwrap();
    store.payment_not_told(attempt).await.unwrap();
    store.payment_told(attempt).await.unwrap();
    store.refunds_due(0, 9).await.unwrap();
    store.refund_asked(attempt).await.unwrap();
    store.settle_refund(attempt, true).await.unwrap();
    store.payments(None, None, 9).await.unwrap();
    store.payments(Some(AttemptStatus::RefundDue), Some(attempt), 9).await.unwrap();
    store.payments_of(&[paid, other]).await.unwrap();
    store.cancel_shop_order(other, shop.buyers[0]).await.unwrap();
    store.shop_orders_of_user(shop.buyers[0], None, 9).await.unwrap();
    shop.placed(&NewShopOrder { pay_timeout_s: 1, ..shop.order(&[1, 0]) }).await;
    let reached = crate::sale::eventually("an order expires", async || {
        let expiry = store.expire_shop_orders(Overdue::default(), 1).await.unwrap();
        (!expiry.cancelled.is_empty()).then_some(expiry.reached)
    })
    .await;
    store.expire_shop_orders(reached, 9).await.unwrap();
    store.record_simulated(attempt, Verdict::Captured, 0).await.unwrap();
    store.simulated_payment(attempt).await.unwrap();
    store.refund_simulated(attempt).await.unwrap();
    let request = KeyedRequest {
        user: shop.buyers[0],
        route: "route",
        key: "key",
        payload: &[0; 32],
        effect: [0; 16],
        lease_ms: 0,
        keep_ms: 1000,
    };
    for _ in 0..2 {
        store.claim_key(&request).await.unwrap();
    }
    store.release_key(&request, 0).await.unwrap();
    store.finish_key(&request, [0; 16], b"answer").await.unwrap();
    store.purge_keys(1000, 9).await.unwrap();
}
