//! Orders that nobody pays: cancelled and restocked soon after their deadline, so that the same user can buy again; and
//! one that is paid, as its buyer sees it.

use serde_json::{Value, json};
use spike_domain::clock::{now_ms, parse_rfc3339};
use spike_domain::{Currency, Money, OrderId};
use spike_store::NewProduct;

use crate::http::{self, Answer};
use crate::poll::until;
use crate::system::{Sale, System, order_of, orders_path};

/// Latest end of an unpaid order after its deadline.
const LATE_MS_MAX: u64 = 10_000;
/// Seconds to pay, of both orders.
const PAY_TIMEOUT_S: u32 = 8;

/// A POST with a key of its own.
fn press(system: &System, token: &str, path: &str, body: &Value) -> Answer {
    let (bearer, key) = (format!("Bearer {token}"), OrderId::new(now_ms()).to_string());
    let headers = [("Authorization", &*bearer), ("Idempotency-Key", &*key)];
    http::call(system.http, "POST", path, &headers, Some(&body.to_string()))
}

/// Waits until the order is cancelled; its deadline, Unix milliseconds by the database's clock.
fn cancelled(system: &System, token: &str, order: OrderId) -> u64 {
    let path = format!("/api/v1/orders/{order}");
    let seen = until("an unpaid order is cancelled", || {
        let seen = system.get(&path, token).json()["data"].take();
        (seen["status"] == "cancelled").then_some(seen)
    });
    let moment = |name: &str| seen[name].as_str().and_then(parse_rfc3339).expect("a time");
    let (deadline, ended) = (moment("expires_at"), moment("updated_at"));
    assert!((deadline..=deadline + LATE_MS_MAX).contains(&ended), "{seen}");
    deadline
}

/// The database's clock says that no more than the bound has passed since `deadline`.
fn in_time(system: &System, deadline: u64) {
    let now = system.runtime.block_on(system.store.now_ms()).expect("the database answers");
    assert!(now <= deadline + LATE_MS_MAX, "{} ms after the deadline", now - deadline);
}

#[test]
fn unpaid_orders_of_both_kinds_end_and_their_user_can_buy_again() {
    let system = System::start(&[("SPIKE_ORDERS_PAY_TIMEOUT_S", &PAY_TIMEOUT_S.to_string())]);
    let event = system.open(Sale { pay_timeout_s: PAY_TIMEOUT_S, ..Sale::of(1) });
    let price = Money { minor: 100, currency: Currency::parse("EUR").expect("ISO 4217") };
    let product = NewProduct {
        sku: "only-one".into(),
        name: "Thing".into(),
        description: String::new(),
        price,
        stock: 1,
    };
    let product = system.runtime.block_on(system.store.create_product(product, None)).expect("a product");
    let wish = json!({ "items": [{ "product_id": product, "quantity": 1 }] });
    let (_, token) = system.user();

    let spike = system.buy(event, &token, &[], None);
    assert_eq!(spike.status, 202, "{spike:?}");
    let ordinary = press(&system, &token, "/api/v1/orders", &wish);
    assert_eq!(ordinary.status, 201, "{ordinary:?}");
    assert_eq!(press(&system, &token, "/api/v1/orders", &wish).reason(), "insufficient-inventory");

    let deadline = cancelled(&system, &token, order_of(&ordinary));
    let again = press(&system, &token, "/api/v1/orders", &wish);
    assert_eq!(again.status, 201, "restocked with the cancellation: {again:?}");
    in_time(&system, deadline);

    let deadline = cancelled(&system, &token, order_of(&spike));
    let again = until("the sale's unit is back in the ledger", || {
        let answer = system.buy(event, &token, &[], None);
        (answer.status == 202).then_some(answer)
    });
    in_time(&system, deadline);
    paid_is_shown(&system, &token, order_of(&again), &format!("{}/mine", orders_path(event)));
}

/// Pays a spike order as soon as it is written, and finds it paid where buyers poll.
fn paid_is_shown(system: &System, token: &str, order: OrderId, mine: &str) {
    let path = format!("/api/v1/orders/{order}");
    until("the order is written", || (system.get(&path, token).status == 200).then_some(()));
    let paid = press(system, token, &format!("{path}/pay"), &json!({}));
    assert_eq!((paid.status, &paid.json()["data"]["status"]), (200, &json!("paid")), "{paid:?}");
    until("the order shows as paid", || {
        (system.get(mine, token).json()["data"]["status"] == "paid").then_some(())
    });
}
