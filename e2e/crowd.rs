//! Sixty-four clients at once over HTTP: ordinary orders of five products, payments of every kind and cancellations, until so
//! many requests are answered, while deadlines pass beside them. Then every unit and all money must be where the clients
//! were told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spike_domain::{AttemptStatus, OrderId, OrderStatus, ProductId, UserId};
use spike_store::{PaymentAttempt, ShopOrderRow};

use crate::http::{self, Answer};
use crate::poll::{PATIENCE, lasting, until};
use crate::system::{System, order_of};

const CLIENTS: usize = 64;
const PRODUCTS: usize = 5;
/// What the simulated provider is told to do.
const OUTCOMES: [&str; 6] =
    ["success", "success", "success", "decline", "duplicate-callback", "late-success"];

/// What is shared by the clients.
struct Crowd<'a> {
    system: &'a System,
    products: Vec<ProductId>,
    /// Units of each product at the start: not enough for everybody.
    stock: u32,
    answered: AtomicU64,
    operations: u64,
}

/// What one client was told.
#[derive(Default)]
struct Told {
    placed: Vec<OrderId>,
    paid: Vec<OrderId>,
    cancelled: Vec<OrderId>,
    reasons: BTreeMap<String, u32>,
}

/// What the database holds when all has come to rest.
struct Books {
    orders: Vec<ShopOrderRow>,
    payments: Vec<PaymentAttempt>,
}

#[test]
fn sixty_four_clients_over_http_leave_books_that_add_up() {
    // `make crowd` asks for 20,000, which take minutes on a small machine.
    let operations =
        std::env::var("SPIKE_TEST_OPERATIONS").map_or(2000, |count| count.parse().expect("a number"));
    let system = System::start(&[
        ("SPIKE_ORDERS_PAY_TIMEOUT_S", "4"),
        ("SPIKE_PAYMENTS_TIMEOUT_MS", "300"),
        ("SPIKE_PAYMENTS_SIMULATED_DELAY_MS", "600"),
        ("SPIKE_PAYMENTS_RESOLVE_AFTER_MS", "500"),
        ("SPIKE_WORKER_SWEEP_INTERVAL_MS", "200"),
    ]);
    let stock = u32::try_from(operations / 5).expect("a number of units");
    let products = (0..PRODUCTS).map(|_| product(&system, stock)).collect();
    let crowd = Crowd { system: &system, products, stock, answered: AtomicU64::new(0), operations };
    let users = system.users(CLIENTS);
    let told: Vec<Told> = std::thread::scope(|scope| {
        let clients: Vec<_> = users.iter().map(|(_, token)| scope.spawn(|| client(&crowd, token))).collect();
        clients.into_iter().map(|client| client.join().expect("a client that got its answers")).collect()
    });
    let users: Vec<UserId> = users.into_iter().map(|(user, _)| user).collect();
    let books = until("every order and every payment has ended", || at_rest(&system, &users));
    check_orders(&books, &told);
    check_money(&books);
    check_units(&crowd, &books);
}

fn product(system: &System, stock: u32) -> ProductId {
    let sku = OrderId::new(spike_domain::clock::now_ms()).to_string();
    let price = json!({ "minor": 100, "currency": "EUR" });
    let body = json!({ "sku": sku, "name": "Thing", "price": price, "stock": stock }).to_string();
    let bearer = format!("Bearer {}", system.admin_token());
    let answer =
        http::call(system.http, "POST", "/api/v1/products", &[("Authorization", &bearer)], Some(&body));
    ProductId(answer.json()["data"]["id"].as_i64().expect("an id"))
}

/// Orders, and then pays, cancels, both, or leaves it, again and again.
fn client(crowd: &Crowd<'_>, token: &str) -> Told {
    let mut told = Told::default();
    while crowd.answered.load(Ordering::Relaxed) < crowd.operations {
        let items: Vec<Value> = crowd
            .products
            .iter()
            .filter(|_| fastrand::bool())
            .map(|product| json!({ "product_id": product, "quantity": fastrand::u32(1..=3) }))
            .collect();
        if items.is_empty() {
            continue;
        }
        let made = crowd.press(token, "/orders", &json!({ "items": items }), &mut told);
        if made.status != 201 {
            assert_eq!(made.refused(409), "insufficient-inventory");
            continue;
        }
        let order = order_of(&made);
        told.placed.push(order);
        let choice = fastrand::u8(0..10);
        if choice < 7 {
            let outcome = json!({ "simulate": OUTCOMES[fastrand::usize(0..OUTCOMES.len())] });
            let answer = crowd.press(token, &format!("/orders/{order}/pay"), &outcome, &mut told);
            if answer.status == 200 {
                told.paid.push(order);
            }
        }
        if choice > 5 {
            let answer = crowd.press(token, &format!("/orders/{order}/cancel"), &json!({}), &mut told);
            if answer.status == 200 {
                told.cancelled.push(order);
            }
        }
    }
    told
}

impl Crowd<'_> {
    /// One operation: the same request with its key until it is decided.
    fn press(&self, token: &str, path: &str, body: &Value, told: &mut Told) -> Answer {
        let (bearer, body) = (format!("Bearer {token}"), body.to_string());
        let key = OrderId::new(spike_domain::clock::now_ms()).to_string();
        let headers = [("Authorization", &*bearer), ("Idempotency-Key", &*key)];
        let (path, begun) = (format!("/api/v1{path}"), Instant::now());
        let answer = loop {
            let answer = http::call(self.system.http, "POST", &path, &headers, Some(&body));
            let again = match answer.status {
                200 | 201 => false,
                _ => matches!(
                    &*answer.reason(),
                    "unavailable" | "overloaded" | "request-in-flight" | "outcome-unknown"
                ),
            };
            if !again {
                break answer;
            }
            assert!(begun.elapsed() < PATIENCE, "{path} is not decided: {} {}", answer.head, answer.json());
            // As the answer asks: who comes again at once is a storm, not a client.
            lasting(Duration::from_millis(500 + fastrand::u64(0..1000)));
        };
        self.answered.fetch_add(1, Ordering::Relaxed);
        if !(200..300).contains(&answer.status) {
            assert!(matches!(answer.status, 402 | 409), "{} {}", answer.head, answer.json());
            *told.reasons.entry(answer.reason()).or_default() += 1;
        }
        answer
    }
}

/// Everything the clients did, once nothing waits for a deadline, a verdict or a refund.
fn at_rest(system: &System, users: &[UserId]) -> Option<Books> {
    system.runtime.block_on(async {
        let mut orders = Vec::new();
        for user in users {
            orders.extend(system.store.shop_orders_of_user(*user, None, u32::MAX).await.ok()?);
        }
        let ids: Vec<OrderId> = orders.iter().map(|order| order.order).collect();
        let payments = system.store.payments_of(&ids).await.ok()?;
        let waits = |status| matches!(status, AttemptStatus::Open | AttemptStatus::RefundDue);
        let rest = orders.iter().all(|order| order.status != OrderStatus::Pending)
            && !payments.iter().any(|payment| waits(payment.status));
        rest.then_some(Books { orders, payments })
    })
}

/// Each order was told of once, and is what its buyer was told last.
fn check_orders(books: &Books, told: &[Told]) {
    let status: BTreeMap<OrderId, OrderStatus> =
        books.orders.iter().map(|order| (order.order, order.status)).collect();
    let placed: usize = told.iter().map(|told| told.placed.len()).sum();
    assert_eq!(status.len(), placed, "as many orders as were answered 201");
    for told in told {
        assert!(told.placed.iter().all(|order| status.contains_key(order)));
        assert!(told.paid.iter().all(|order| status[order] == OrderStatus::Paid));
        assert!(told.cancelled.iter().all(|order| status[order] == OrderStatus::Cancelled));
    }
    let count = |of: fn(&Told) -> usize| told.iter().map(of).sum::<usize>();
    let (paid, cancelled) = (count(|told| told.paid.len()), count(|told| told.cancelled.len()));
    let reasons: Vec<_> = told.iter().map(|told| &told.reasons).collect();
    assert!(paid > 0 && cancelled > 0 && cancelled < placed - paid, "some expired: {reasons:?}");
}

/// A paid order has one captured payment; all other money that was captured has been given back.
fn check_money(books: &Books) {
    for order in &books.orders {
        let of: Vec<_> = books.payments.iter().filter(|payment| payment.order == order.order).collect();
        let captured = of.iter().filter(|payment| payment.status == AttemptStatus::Captured);
        assert_eq!(captured.count(), usize::from(order.status == OrderStatus::Paid), "{order:?} {of:?}");
        assert!(of.iter().all(|payment| payment.amount == order.amount), "{order:?} {of:?}");
    }
    let failed = books.payments.iter().filter(|payment| payment.status == AttemptStatus::RefundFailed);
    assert_eq!(failed.count(), 0, "the provider had what it was asked to give back");
}

/// Stock, movements and orders say the same of every unit.
fn check_units(crowd: &Crowd<'_>, books: &Books) {
    let store = &crowd.system.store;
    let gaps = crowd.system.runtime.block_on(store.inventory_audit()).expect("the database answers");
    assert_eq!(gaps, []);
    for product in &crowd.products {
        let inventory = crowd.system.runtime.block_on(store.inventory(*product));
        let units = inventory.expect("the database answers").expect("a product");
        let paid = books.orders.iter().filter(|order| order.status == OrderStatus::Paid);
        let items = paid.flat_map(|order| &order.items).filter(|item| item.product == *product);
        let sold: u32 = items.map(|item| item.quantity).sum();
        assert_eq!((units.available, units.reserved, units.sold), (crowd.stock - sold, 0, sold), "{product}");
    }
}
