//! A sale to test with: a product, an event in an epoch, and orders in entries.

use std::time::{Duration, Instant};

use spike_domain::clock::now_ms;
use spike_domain::{
    Currency, EntryId, EventId, Money, OrderId, OrderStatus, OutboxEntry, ProductId, QueuedOrder, UserId,
    Window,
};
use spike_store::{EventFigures, Fenced, InsertOutcome, NewEvent, NewProduct, Store};

/// An open event of one product.
pub struct Sale<'a> {
    pub store: &'a Store,
    pub event: EventId,
    pub epoch: u64,
}

/// Five euros.
pub fn price() -> Money {
    Money { minor: 500, currency: Currency::parse("EUR").unwrap() }
}

/// A product with stock, of the given SKU.
pub fn new_product(sku: &str, stock: u32) -> NewProduct {
    NewProduct {
        sku: sku.into(),
        name: "Lamp".into(),
        description: "'; DROP TABLE users; --".into(),
        price: price(),
        stock,
    }
}

/// An event that has started and leaves `pay_timeout_s` to pay.
pub fn new_event(product_id: ProductId, total: u32, pay_timeout_s: u32) -> NewEvent {
    let now = now_ms();
    NewEvent {
        product_id,
        name: "Spring sale".into(),
        price: price(),
        total,
        per_user_limit: 10,
        pay_timeout_s,
        window: Window { starts_at_ms: now - 1000, ends_at_ms: now + 3_600_000 },
    }
}

impl<'a> Sale<'a> {
    /// A sale of `total` units with an hour to pay.
    pub async fn of(store: &'a Store, total: u32) -> Sale<'a> {
        Self::with_time_to_pay(store, total, 3600).await
    }

    /// A sale of `total` units.
    pub async fn with_time_to_pay(store: &'a Store, total: u32, pay_timeout_s: u32) -> Sale<'a> {
        let sku = OrderId::new(now_ms()).to_string();
        let product = store.create_product(new_product(&sku, total), None).await.unwrap();
        let event = store.create_event(new_event(product, total, pay_timeout_s), None).await.unwrap();
        let epoch = store.bump_epoch(event, 1, 0).await.unwrap();
        Self { store, event, epoch }
    }

    /// An entry of this epoch.
    pub fn entry(&self, sequence: u64, orders: &[QueuedOrder]) -> OutboxEntry {
        OutboxEntry::new(EntryId { epoch: self.epoch, sequence }, orders.to_vec())
    }

    /// Inserts one entry of this epoch.
    pub async fn insert(&self, orders: &[QueuedOrder]) -> InsertOutcome {
        self.store.insert_entries(self.event, &[self.entry(1, orders)]).await.unwrap()
    }

    /// Inserts an entry of one order.
    pub async fn insert_one(&self, order: &QueuedOrder) -> InsertOutcome {
        self.insert(std::slice::from_ref(order)).await
    }

    /// Inserts one entry and tells the statuses, in the order of `orders`.
    pub async fn statuses(&self, orders: &[QueuedOrder]) -> Vec<OrderStatus> {
        let outcome = self.insert(orders).await;
        assert_eq!((outcome.epoch, outcome.foreign), (self.epoch, vec![]));
        let ids: Vec<OrderId> = orders.iter().map(|order| order.order).collect();
        assert_eq!(outcome.outcomes.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids);
        outcome.outcomes.into_iter().map(|(_, status)| status).collect()
    }

    /// The figures, after the audit has found nothing wrong.
    pub async fn figures(&self) -> EventFigures {
        let audit = self.store.audit_event(self.event).await.unwrap();
        assert!(audit.holds(), "{audit:?}");
        assert_eq!(self.store.conservation(self.event).await.unwrap(), audit.figures);
        audit.figures
    }

    /// Live units and open marker units, after the audit has found nothing wrong.
    pub async fn live_and_markers(&self) -> (u64, u64) {
        let figures = self.figures().await;
        (figures.live().units, figures.open_markers.units)
    }

    /// The row's status as its buyer sees it.
    pub async fn status_of(&self, order: &QueuedOrder) -> Option<OrderStatus> {
        let row = self.store.order_for_user(order.order, order.user).await.unwrap();
        row.map(|row| row.status)
    }
}

/// One unit for `user`, with a key.
pub fn order(user: i64) -> QueuedOrder {
    order_of(user, 1)
}

/// Some units for `user`, with a key.
pub fn order_of(user: i64, quantity: u32) -> QueuedOrder {
    let now = now_ms();
    let key = Some(format!("{user:040x}"));
    QueuedOrder { order: OrderId::new(now), user: UserId(user), quantity, key, accepted_at_ms: now }
}

/// What the fence let through.
pub fn done<T: std::fmt::Debug>(fenced: Fenced<T>) -> T {
    match fenced {
        Fenced::Done(value) => value,
        Fenced::EpochMoved { now } => panic!("the epoch moved to {now}"),
    }
}

/// Runs `probe` until it gives a value, for at most twenty seconds.
pub async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if let Some(value) = probe().await {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within twenty seconds: {what}");
}
