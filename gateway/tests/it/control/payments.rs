//! Paying over REST: every outcome the provider can have, its callbacks, and what nobody may do.

use std::sync::Arc;

use axum::body::Body;
use serde_json::json;
use spike_domain::OrderId;
use spike_domain::clock::now_ms;
use spike_payments::sign;

use super::Api;
use super::api::{Answer, eventually};
use super::shop::Shop;

/// Waits until an order and its payments stand as they are to.
async fn until(shop: &Shop, order: OrderId, status: &str, payments: &[&str]) {
    eventually(&format!("{status} {payments:?}"), async || {
        let (seen, attempts) = shop.standing(order).await;
        (seen == status && attempts == payments).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_succeeds_or_is_declined_and_tried_again() {
    let shop = Shop::open().await;
    let order = shop.order([2, 1]).await;
    for replayed in [false, true] {
        let declined = shop.pay(order, "p1", "decline").await;
        assert_eq!((declined.status, declined.reason()), (402, "payment-declined"));
        assert_eq!(declined.body["data"]["payment"]["status"], "declined");
        assert_eq!(declined.headers.contains_key("idempotent-replayed"), replayed);
    }
    assert_eq!(shop.standing(order).await, ("pending".into(), vec!["declined".into()]), "still to be paid");
    for replayed in [false, true] {
        let paid = shop.press(&format!("/orders/{order}/pay"), "p2", &json!({})).await;
        assert_eq!((paid.status, &paid.data()["status"]), (200, &json!("paid")));
        assert_eq!(paid.headers.contains_key("idempotent-replayed"), replayed);
    }
    assert_eq!(shop.standing(order).await, ("paid".into(), vec!["declined".into(), "captured".into()]));
    let again = shop.pay(order, "p3", "success").await;
    assert_eq!((again.status, again.reason()), (409, "order-paid"));
    assert_eq!(shop.figures().await, [(8, 0, 2), (9, 0, 1)]);
    let odd = shop.pay(order, "p4", "refund").await;
    assert_eq!((odd.status, odd.fields()), (422, vec!["simulate"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_without_an_outcome_is_asked_for_again_by_its_key() {
    let shop = Shop::open().await;
    for (simulate, status, reason) in [("timeout", 402, "payment-declined"), ("late-success", 200, "")] {
        let order = shop.order([1, 0]).await;
        let unknown = shop.pay(order, simulate, simulate).await;
        assert_eq!((unknown.status, unknown.reason()), (503, "outcome-unknown"));
        assert!(unknown.headers.contains_key("retry-after"));
        assert_eq!(unknown.body["data"]["payment"]["status"], "open");
        let other = shop.pay(order, &format!("{simulate}-2"), "success").await;
        assert_eq!(
            (other.status, other.reason()),
            (409, "payment-in-progress"),
            "no second charge meanwhile"
        );
        assert_eq!(other.body["data"]["attempt_id"], unknown.body["data"]["payment"]["attempt_id"]);
        let known = eventually("the payment is decided", async || {
            let answer = shop.pay(order, simulate, simulate).await;
            (answer.reason() != "outcome-unknown").then_some(answer)
        })
        .await;
        assert_eq!((known.status, known.reason()), (status, reason), "{simulate}");
        assert_eq!(shop.look(order).await["payments"].as_array().unwrap().len(), 1, "one attempt");
        // The other key was only told to wait: that is not its answer for the rest of the day.
        let other = shop.pay(order, &format!("{simulate}-2"), "success").await;
        let (status, reason) = if simulate == "timeout" { (200, "") } else { (409, "order-paid") };
        assert_eq!((other.status, other.reason()), (status, reason), "{simulate}");
    }
    assert_eq!(shop.figures().await[0], (8, 0, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_money_pays_while_it_can_and_is_to_be_refunded_otherwise() {
    let shop = Shop::open().await;
    let [waiting, cancelled] = [shop.order([1, 0]).await, shop.order([0, 1]).await];
    for order in [waiting, cancelled] {
        assert_eq!(shop.pay(order, &order.to_string(), "late-success").await.status, 503);
    }
    let cancel = shop.press(&format!("/orders/{cancelled}/cancel"), "c", &json!({})).await;
    assert_eq!(cancel.data()["status"], "cancelled");
    // Nobody asks again: the provider's callbacks tell.
    until(&shop, waiting, "paid", &["captured"]).await;
    until(&shop, cancelled, "cancelled", &["refund-due"]).await;
    let told = shop.pay(cancelled, &cancelled.to_string(), "late-success").await;
    assert_eq!((told.status, told.reason()), (409, "refund-due"));
    assert_eq!(shop.figures().await, [(9, 0, 1), (10, 0, 0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_of_two_keys_and_doubled_callbacks_charge_once() {
    let shop = Arc::new(Shop::open_with(&[("SPIKE_PAYMENTS_TIMEOUT_MS", "9000")]).await);
    let order = shop.order([3, 0]).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let shop = shop.clone();
        tasks.spawn(async move { shop.pay(order, &format!("p{number}"), "duplicate-callback").await });
    }
    let answers = tasks.join_all().await;
    let paid = answers.iter().filter(|answer| answer.status == 200).count();
    let rest = answers.iter().filter(|answer| answer.status != 200).map(Answer::reason);
    assert!(
        paid == 1 && rest.clone().all(|reason| matches!(reason, "payment-in-progress" | "order-paid")),
        "{answers:?}"
    );
    until(&shop, order, "paid", &["captured"]).await;
    assert_eq!(shop.figures().await[0], (7, 0, 3));
}

/// A callback with that signature.
async fn call_back(api: &Api, signature: Option<&str>, body: &[u8]) -> Answer {
    let request = Api::request("POST", "/payments/callback", None).header("content-type", "application/json");
    let request =
        signature.into_iter().fold(request, |request, value| request.header("spike-signature", value));
    api.send(request.body(Body::from(body.to_vec())).unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_is_believed_by_its_signature_and_has_one_effect() {
    let shop = Arc::new(Shop::open_with(&[("SPIKE_PAYMENTS_SIMULATED_DELAY_MS", "3600000")]).await);
    let order = shop.order([1, 0]).await;
    let open = shop.pay(order, "p", "timeout").await;
    let attempt = open.body["data"]["payment"]["attempt_id"].as_str().unwrap().to_owned();
    let body = |outcome: &str| json!({"attempt_id": attempt, "outcome": outcome}).to_string().into_bytes();
    let secret = shop.api.config.payments.callback_secret.expose().as_bytes().to_vec();
    let (captured, now_s) = (body("captured"), now_ms() / 1000);
    let good = sign(&secret, now_s, &captured);

    let mut refused = Vec::new();
    for signature in [
        None,
        Some(String::new()),
        Some("t=1,v1=00".into()),
        Some(sign(b"another secret", now_s, &captured)),
        Some(sign(&secret, now_s, &body("declined"))),
        Some(sign(&secret, now_s - 3600, &captured)),
        Some(sign(&secret, now_s + 3600, &captured)),
    ] {
        let answer = call_back(&shop.api, signature.as_deref(), &captured).await;
        assert_eq!((answer.status, answer.reason()), (400, "bad-signature"), "{signature:?}");
        refused.push(answer.without_id());
    }
    assert!(refused.windows(2).all(|pair| pair[0] == pair[1]), "one identical refusal");
    let nobody = json!({"attempt_id": OrderId::new(1), "outcome": "captured"}).to_string();
    let extra = json!({"attempt_id": attempt, "outcome": "captured", "amount": 0}).to_string();
    for (odd, status) in
        [("", 400), ("{}", 400), ("[]", 400), (&extra, 400), ("{\"outcome\":\"paid\"}", 400), (&nobody, 404)]
    {
        let answer = call_back(&shop.api, Some(&sign(&secret, now_s, odd.as_bytes())), odd.as_bytes()).await;
        assert_eq!(answer.status, status, "{odd}");
    }
    assert_eq!(
        shop.standing(order).await,
        ("pending".into(), vec!["open".into()]),
        "nothing has had an effect"
    );

    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (shop, good, captured) = (shop.clone(), good.clone(), captured.clone());
        tasks.spawn(async move { call_back(&shop.api, Some(&good), &captured).await });
    }
    for answer in tasks.join_all().await {
        assert_eq!(answer.data(), &json!({"attempt_id": attempt, "status": "captured"}));
    }
    let declined = body("declined");
    let late = call_back(&shop.api, Some(&sign(&secret, now_s, &declined)), &declined).await;
    assert_eq!(late.data()["status"], "captured", "a verdict is final");
    assert_eq!(shop.standing(order).await, ("paid".into(), vec!["captured".into()]));
    assert_eq!(shop.figures().await[0], (9, 0, 1));
    let known = shop.pay(order, "p", "timeout").await;
    assert_eq!((known.status, &known.data()["status"]), (200, &json!("paid")), "the key learns of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_chooses_an_outcome_in_prod_nor_pays_too_late() {
    let secret = "0123456789abcdef0123456789abcdef";
    let prod = [
        ("SPIKE_PROFILE", "prod"),
        // Only read by the configuration's own check: the store is the test's.
        ("SPIKE_DATABASE_URL", "mysql://shop:battery-staple@db.example/shop"),
        ("SPIKE_AUTH_SECRET", secret),
        ("SPIKE_PAYMENTS_CALLBACK_SECRET", secret),
        ("SPIKE_ADMIN_PASSWORD", "a password of our own"),
        ("SPIKE_ORDERS_PAY_TIMEOUT_S", "2"),
    ];
    let shop = Shop::open_with(&prod).await;
    let order = shop.order([1, 0]).await;
    let chosen = shop.pay(order, "p1", "success").await;
    assert_eq!((chosen.status, chosen.fields()), (422, vec!["simulate"]));
    let paid = shop.press(&format!("/orders/{order}/pay"), "p1", &json!({})).await;
    assert_eq!(paid.status, 200, "{}", paid.body);

    let late = shop.order([0, 1]).await;
    let expires_at = shop.look(late).await["expires_at"].as_str().unwrap().to_owned();
    let expires_at_ms = spike_domain::clock::parse_rfc3339(&expires_at).unwrap();
    eventually("the deadline passes", async || {
        (shop.api.store.now_ms().await.unwrap() > expires_at_ms).then_some(())
    })
    .await;
    let refused = shop.press(&format!("/orders/{late}/pay"), "p2", &json!({})).await;
    assert_eq!((refused.status, refused.reason()), (409, "order-expired"));
    assert_eq!(shop.look(late).await["payments"], json!([]), "nothing was charged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_tried_so_often_and_money_owed_is_shown_to_administrators() {
    let shop = Shop::open_with(&[("SPIKE_PAYMENTS_ATTEMPTS_MAX", "2")]).await;
    let (order, late) = (shop.order([1, 0]).await, shop.order([1, 0]).await);
    for key in ["a", "b"] {
        assert_eq!(shop.pay(order, key, "decline").await.reason(), "payment-declined");
    }
    for replayed in [false, true] {
        let refused = shop.pay(order, "c", "success").await;
        assert_eq!((refused.status, refused.reason()), (409, "payment-attempts-exhausted"));
        assert_eq!(refused.body["data"]["attempts_max"], 2);
        assert_eq!(refused.headers.contains_key("idempotent-replayed"), replayed);
    }
    assert_eq!(shop.look(order).await["payments"].as_array().unwrap().len(), 2);

    assert_eq!(shop.pay(late, "l", "late-success").await.status, 503);
    shop.press(&format!("/orders/{late}/cancel"), "x", &json!({})).await;
    until(&shop, late, "cancelled", &["refund-due"]).await;
    let list = async |query: &str| shop.api.get(&format!("/admin/payments{query}"), Some(&shop.admin)).await;
    let due = list("?status=refund-due").await;
    let items = due.data()["items"].as_array().unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!(
        (&items[0]["order_id"], &items[0]["user_id"], &items[0]["event_id"]),
        (&json!(late), &json!(shop.user), &json!(null))
    );
    assert_eq!(list("?status=refund-failed").await.data()["items"], json!([]));
    let first = list("?page_size=2").await;
    let cursor = first.data()["next_cursor"].as_str().unwrap();
    let second = list(&format!("?page_size=2&cursor={cursor}")).await;
    assert_eq!(second.data()["items"].as_array().unwrap().len(), 1, "three attempts in all");
    assert_eq!(second.data()["next_cursor"], json!(null));
    assert_eq!(list("?status=lost").await.fields(), ["status"]);
    assert_eq!(shop.api.get("/admin/payments", Some(&shop.buyer)).await.status, 403);
}
