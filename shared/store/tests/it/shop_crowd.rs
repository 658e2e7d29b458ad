//! Sixty-four clients at once: ordinary orders, payments and cancellations of the same few products, until so many
//! operations are done; then every unit must be where the orders say it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use spike_domain::clock::now_ms;
use spike_domain::{AttemptStatus, OrderId, OrderStatus, ProductId, UserId, Verdict};
use spike_store::{Begun, NewShopOrder, Placement, ShopChange, ShopOrderRow, Store};

use crate::shop::{Shop, fresh_attempt};

const CLIENTS: usize = 64;
const STOCK: u32 = 2_000;

/// What is shared by the clients.
struct Crowd {
    store: Store,
    products: Vec<ProductId>,
    done: AtomicU64,
    operations: u64,
}

impl Crowd {
    /// Counts an operation; false when there have been enough.
    fn one_more(&self) -> bool {
        self.done.fetch_add(1, Ordering::Relaxed) < self.operations
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_clients_on_a_server_leave_books_that_add_up() {
    // `make crowd` asks for 20,000, which take minutes on a small machine.
    let operations =
        std::env::var("SPIKE_TEST_OPERATIONS").ok().map(|count| count.parse().expect("a number"));
    let fresh = crate::database::mariadb().await;
    play(&fresh.store, operations.unwrap_or(6_000)).await;
    fresh.store.close().await;
}

pub async fn a_crowd_of_clients_leaves_books_that_add_up(store: &Store) {
    play(store, 1_500).await;
}

async fn play(store: &Store, operations: u64) {
    let shop = Shop::of(store, &[STOCK; 5]).await;
    let buyers = store.bulk_insert_users("crowd", CLIENTS, "no hash").await.unwrap();
    let products = shop.products.clone();
    let crowd = Arc::new(Crowd { store: store.clone(), products, done: AtomicU64::new(0), operations });
    let mut tasks = tokio::task::JoinSet::new();
    for buyer in &buyers {
        tasks.spawn(client(crowd.clone(), *buyer));
    }
    let mut ends = BTreeMap::new();
    for (word, count) in tasks.join_all().await.into_iter().flatten() {
        *ends.entry(word).or_insert(0) += count;
    }
    for word in ["placed", "paid", "cancelled", "declined", "left"] {
        assert!(ends.contains_key(word), "{word} never happened: {ends:?}");
    }
    let total: u32 = ["placed", "short", "paid", "late", "cancelled", "declined"]
        .iter()
        .filter_map(|word| ends.get(word))
        .sum();
    assert_eq!(u64::from(total), operations, "{ends:?}");
    check_books(&shop, &buyers, &ends).await;
}

/// Orders and then pays, cancels, both at once, or leaves it, again and again. Returns how often what happened.
async fn client(crowd: Arc<Crowd>, buyer: UserId) -> BTreeMap<&'static str, u32> {
    let mut ends = BTreeMap::new();
    let mut count = |word| *ends.entry(word).or_insert(0) += 1;
    while crowd.one_more() {
        let new = NewShopOrder {
            order: OrderId::new(now_ms()),
            user: buyer,
            items: crowd
                .products
                .iter()
                .filter(|_| fastrand::bool())
                .map(|p| (*p, fastrand::u32(1..=3)))
                .collect(),
            expected: None,
            pay_timeout_s: 3600,
        };
        if new.items.is_empty() {
            crowd.done.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let order = match crowd.store.place_shop_order(&new).await.unwrap() {
            Placement::Placed(row) => row.order,
            Placement::Short(_) => {
                count("short");
                continue;
            }
            other => panic!("{other:?}"),
        };
        count("placed");
        match fastrand::u8(0..8) {
            0 => count("left"),
            1..=3 if crowd.one_more() => count(cancel(&crowd.store, order, buyer).await),
            4..=5 if crowd.one_more() => count(pay(&crowd.store, order, buyer).await),
            6..=7 if crowd.one_more() => {
                if crowd.one_more() {
                    let both =
                        tokio::join!(cancel(&crowd.store, order, buyer), pay(&crowd.store, order, buyer));
                    // Declined, and cancelled just after; anything else has one winner.
                    assert_eq!(both.0 == "cancelled", both.1 != "paid", "{both:?}");
                    count(both.0);
                    count(both.1);
                } else {
                    count(pay(&crowd.store, order, buyer).await);
                }
            }
            _ => count("left"),
        }
    }
    ends
}

async fn cancel(store: &Store, order: OrderId, buyer: UserId) -> &'static str {
    match store.cancel_shop_order(order, buyer).await.unwrap() {
        ShopChange::Done => "cancelled",
        ShopChange::Refused(_) => "late",
    }
}

async fn pay(store: &Store, order: OrderId, buyer: UserId) -> &'static str {
    let attempt = fresh_attempt();
    match store.begin_payment(attempt, order, buyer).await.unwrap() {
        Begun::Recorded(_) => {}
        Begun::NotPayable(_) => return "late",
        other @ Begun::InProgress(_) => panic!("{other:?}"),
    }
    let verdict = if fastrand::u8(0..8) == 0 { Verdict::Declined } else { Verdict::Captured };
    match store.settle_payment(attempt, verdict).await.unwrap().status {
        AttemptStatus::Captured => "paid",
        AttemptStatus::Declined => "declined",
        AttemptStatus::RefundDue => "late",
        AttemptStatus::Open => panic!("settled"),
    }
}

/// Stock, movements, orders and payments say the same of every unit.
async fn check_books(shop: &Shop<'_>, buyers: &[UserId], ends: &BTreeMap<&'static str, u32>) {
    let figures = shop.figures().await;
    let mut orders = Vec::new();
    for buyer in buyers {
        orders.extend(shop.store.shop_orders_of_user(*buyer, None, u32::MAX).await.unwrap());
    }
    let with = |status| orders.iter().filter(move |order| order.status == status);
    let (paid, cancelled) = (with(OrderStatus::Paid), with(OrderStatus::Cancelled));
    assert_eq!(orders.len(), ends["placed"] as usize);
    assert_eq!((paid.count(), cancelled.count()), (ends["paid"] as usize, ends["cancelled"] as usize));
    for (product, (available, reserved, sold)) in shop.products.iter().zip(figures) {
        let units = |status| with(status).map(|order| units_of(order, *product)).sum::<u32>();
        assert_eq!((reserved, sold), (units(OrderStatus::Pending), units(OrderStatus::Paid)), "{product}");
        assert_eq!(available + reserved + sold, STOCK, "{product}");
    }
    let ids: Vec<_> = orders.iter().map(|order| order.order).collect();
    for attempt in shop.store.payments_of(&ids).await.unwrap() {
        let order = orders.iter().find(|order| order.order == attempt.order).unwrap();
        let paid = attempt.status == AttemptStatus::Captured;
        assert_eq!(paid, order.status == OrderStatus::Paid && paid, "{attempt:?} {order:?}");
        assert_ne!(attempt.status, AttemptStatus::Open);
    }
}

fn units_of(order: &ShopOrderRow, product: ProductId) -> u32 {
    order.items.iter().filter(|item| item.product == product).map(|item| item.quantity).sum()
}
