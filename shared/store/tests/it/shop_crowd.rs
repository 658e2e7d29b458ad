//! Sixty-four clients at once: ordinary orders, payments and cancellations of the same few products, until so many
//! operations are done, while expiry runs beside them; then every unit must be where the orders say it is, and all
//! money where an order or a refund accounts for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use spike_domain::clock::now_ms;
use spike_domain::{AttemptId, AttemptStatus, OrderId, OrderStatus, ProductId, UserId, Verdict};
use spike_store::{Begun, NewShopOrder, Placement, ShopChange, ShopOrderRow, Store};

use crate::sale::eventually;
use crate::shop::{Shop, expire as expire_once, fresh_attempt};

const CLIENTS: usize = 64;
const STOCK: u32 = 50_000;

/// Time to pay of every fourth order, in seconds: some run out while their payment is on its way.
const SHORT_S: u32 = 1;

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
    let (over, done) = tokio::sync::watch::channel(false);
    let clients = async {
        let ends = tasks.join_all().await;
        over.send(true).unwrap();
        ends
    };
    let (clients, expired) = tokio::join!(clients, expire(store, done));
    let mut ends = BTreeMap::from([("expired", expired)]);
    for (word, count) in clients.into_iter().flatten() {
        *ends.entry(word).or_insert(0) += count;
    }
    for word in ["placed", "paid", "cancelled", "declined", "left", "refund"] {
        assert!(ends.contains_key(word), "{word} never happened: {ends:?}");
    }
    let total: u32 = ["placed", "short", "paid", "late", "cancelled", "declined", "refund"]
        .iter()
        .filter_map(|word| ends.get(word))
        .sum();
    assert_eq!(u64::from(total), operations, "{ends:?}");
    check_books(&shop, &buyers, &ends).await;
}

/// Cancels what is due again and again; after the clients have done, until nothing with a short deadline is left.
/// Returns how many.
async fn expire(store: &Store, done: tokio::sync::watch::Receiver<bool>) -> u32 {
    let mut expired = 0;
    loop {
        let last = *done.borrow();
        if last {
            let end = store.now_ms().await.unwrap() + u64::from(SHORT_S) * 1000;
            eventually("the last deadline passes", async || {
                (store.now_ms().await.unwrap() > end).then_some(())
            })
            .await;
        }
        expired += u32::try_from(expire_once(store, 100_000).await.len()).unwrap();
        if last {
            return expired;
        }
        tokio::task::yield_now().await;
    }
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
            pay_timeout_s: if fastrand::u8(0..4) == 0 { SHORT_S } else { 3600 },
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
        match fastrand::u8(0..9) {
            0 => count("left"),
            1..=3 if crowd.one_more() => count(cancel(&crowd.store, order, buyer).await),
            4..=5 if crowd.one_more() => count(pay(&crowd.store, order, buyer).await),
            6..=7 if crowd.one_more() => {
                if crowd.one_more() {
                    let both =
                        tokio::join!(cancel(&crowd.store, order, buyer), pay(&crowd.store, order, buyer));
                    // Declined, and cancelled just after; anything else has one winner, which may be the deadline.
                    assert!(both.0 != "cancelled" || both.1 != "paid", "{both:?}");
                    assert!(
                        new.pay_timeout_s == SHORT_S || both.0 == "cancelled" || both.1 == "paid",
                        "{both:?}"
                    );
                    count(both.0);
                    count(both.1);
                } else {
                    count(pay(&crowd.store, order, buyer).await);
                }
            }
            8 if crowd.one_more() => {
                if crowd.one_more() {
                    overtaken(&crowd.store, order, buyer).await.into_iter().for_each(&mut count);
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
    match begin(store, order, buyer).await {
        Some(attempt) => end(store, attempt).await,
        None => "late",
    }
}

/// A payment whose order is cancelled before its verdict arrives.
async fn overtaken(store: &Store, order: OrderId, buyer: UserId) -> [&'static str; 2] {
    let begun = begin(store, order, buyer).await;
    let cancelled = cancel(store, order, buyer).await;
    let Some(attempt) = begun else { return [cancelled, "late"] };
    let ended = end(store, attempt).await;
    assert_ne!(ended, "paid", "it was cancelled before");
    [cancelled, ended]
}

/// The attempt, if the order may be paid.
async fn begin(store: &Store, order: OrderId, buyer: UserId) -> Option<AttemptId> {
    let attempt = fresh_attempt();
    match store.begin_payment(attempt, order, buyer, 100).await.unwrap() {
        Begun::Recorded(_) => Some(attempt),
        Begun::NotPayable(_) => None,
        other => panic!("{other:?}"),
    }
}

async fn end(store: &Store, attempt: AttemptId) -> &'static str {
    let verdict = if fastrand::u8(0..8) == 0 { Verdict::Declined } else { Verdict::Captured };
    match store.settle_payment(attempt, verdict).await.unwrap().status {
        AttemptStatus::Captured => "paid",
        AttemptStatus::Declined => "declined",
        AttemptStatus::RefundDue => "refund",
        AttemptStatus::Open | AttemptStatus::Refunded | AttemptStatus::RefundFailed => panic!("just settled"),
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
    let ended = (ends["cancelled"] + ends["expired"]) as usize;
    assert_eq!((paid.count(), cancelled.count()), (ends["paid"] as usize, ended), "{ends:?}");
    for (product, (available, reserved, sold)) in shop.products.iter().zip(figures) {
        let units = |status| with(status).map(|order| units_of(order, *product)).sum::<u32>();
        assert_eq!((reserved, sold), (units(OrderStatus::Pending), units(OrderStatus::Paid)), "{product}");
        assert_eq!(available + reserved + sold, STOCK, "{product}");
    }
    check_money(shop.store, &orders, ends).await;
}

/// An order is paid by one captured attempt, and any other money that was captured is to be refunded.
async fn check_money(store: &Store, orders: &[ShopOrderRow], ends: &BTreeMap<&'static str, u32>) {
    let ids: Vec<_> = orders.iter().map(|order| order.order).collect();
    let attempts = store.payments_of(&ids).await.unwrap();
    let mut captured: BTreeMap<OrderId, usize> = BTreeMap::new();
    for attempt in attempts.iter().filter(|attempt| attempt.status == AttemptStatus::Captured) {
        *captured.entry(attempt.order).or_default() += 1;
    }
    for order in orders {
        let times = captured.get(&order.order).copied().unwrap_or_default();
        assert_eq!(times, usize::from(order.status == OrderStatus::Paid), "{order:?}");
    }
    let with = |status| attempts.iter().filter(|attempt| attempt.status == status).count();
    assert_eq!(
        with(AttemptStatus::RefundDue),
        ends["refund"] as usize,
        "every refund that was told of, once"
    );
    assert_eq!(with(AttemptStatus::Declined), ends["declined"] as usize);
    assert_eq!(with(AttemptStatus::Open), 0);
}

fn units_of(order: &ShopOrderRow, product: ProductId) -> u32 {
    order.items.iter().filter(|item| item.product == product).map(|item| item.quantity).sum()
}
