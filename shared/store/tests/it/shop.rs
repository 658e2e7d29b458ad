//! A shop to test with: products with stock, a buyer, orders, and books that must add up.

use std::collections::BTreeMap;

use spike_domain::clock::now_ms;
use spike_domain::{AttemptId, Money, OrderId, OrderStatus, ProductId, UserId};
use spike_store::{Begun, NewShopOrder, Placement, ShopOrderRow, Store};

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
    match store.begin_payment(attempt, order, user).await.unwrap() {
        Begun::Recorded(row) => assert_eq!(row.attempt, attempt),
        other => panic!("{other:?}"),
    }
    attempt
}

/// An id nobody has used.
pub fn fresh_attempt() -> AttemptId {
    AttemptId(OrderId::new(now_ms()).0)
}

/// So many times the price of every product.
pub fn times(units: u32) -> Money {
    price().times(units).unwrap()
}
