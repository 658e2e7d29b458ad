//! Ordinary orders over REST: placed, shown, cancelled, and sent again.

use std::sync::Mutex;

use axum::body::{Body, to_bytes};
use axum::http::HeaderValue;
use serde_json::{Value, json};
use spike_domain::clock::now_ms;
use spike_domain::{OrderId, Role};

use super::Api;
use super::api::{Answer, eventually};
use super::shop::Shop;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_priced_taken_and_shown_to_its_buyer_only() {
    let shop = Shop::open().await;
    let mut wish = shop.wish([2, 1]);
    wish["amount"] = json!({"minor": 1500, "currency": "EUR"});
    let made = shop.press("/orders", "k1", &wish).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let data = made.data();
    let place = format!("/orders/{}", data["order_id"].as_str().unwrap());
    assert_eq!(made.headers["location"], format!("/api/v1{place}").as_str());
    assert_eq!(
        (&data["kind"], &data["status"], &data["amount"], &data["payments"]),
        (&json!("ordinary"), &json!("pending"), &wish["amount"], &json!([]))
    );
    let price = json!({"minor": 500, "currency": "EUR"});
    let item =
        |at: usize, units: u32| json!({"product_id": shop.products[at], "quantity": units, "price": price});
    assert_eq!(data["items"], json!([item(0, 2), item(1, 1)]));
    assert_eq!(shop.figures().await, [(8, 2, 0), (9, 1, 0)]);
    assert_eq!(shop.api.get(&place, Some(&shop.buyer)).await.data(), data);

    let (_, bob) = shop.api.account("bob", Role::User).await;
    let unknown = format!("/orders/{}", OrderId::new(1));
    let absent = shop.api.get(&unknown, Some(&bob)).await;
    let hidden = shop.api.get(&place, Some(&bob)).await;
    assert_eq!((hidden.status, hidden.without_id()), (404, absent.without_id()), "identical to absent");
    for verb in ["pay", "cancel"] {
        let absent = shop.press_as(&bob, &format!("{unknown}/{verb}"), "b1", &json!({})).await;
        let hidden = shop.press_as(&bob, &format!("{place}/{verb}"), "b2", &json!({})).await;
        assert_eq!((hidden.status, hidden.without_id()), (404, absent.without_id()), "{verb}");
    }
    assert_eq!(shop.api.get("/orders", Some(&bob)).await.data()["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_order_takes_nothing_and_is_told_why() {
    let shop = Shop::open().await;
    let dollars = Shop::product(&shop.api, &shop.admin, "usd", "USD").await;
    let [one, two] = shop.products;
    let item = |product: i64, units: i64| json!({"product_id": product, "quantity": units});
    let of = |items: Vec<Value>| json!({ "items": items });
    let with_amount = |minor: i64, currency: &str| json!({"items": [item(one, 1)], "amount": {"minor": minor, "currency": currency}});
    let cases: Vec<(Value, u16, &str, &[&str])> = vec![
        (json!({}), 422, "validation", &["items"]),
        (of(vec![]), 422, "validation", &["items"]),
        (of((1..=51).map(|product| item(product, 1)).collect()), 422, "validation", &["items"]),
        (json!({"items": "all"}), 422, "validation", &["items"]),
        (json!({"items": [5]}), 422, "validation", &["items.0"]),
        (of(vec![item(one, 1), item(two, 1), item(one, 2)]), 422, "validation", &["items.2.product_id"]),
        (of(vec![item(one, 0)]), 422, "validation", &["items.0.quantity"]),
        (of(vec![item(one, -1)]), 422, "validation", &["items.0.quantity"]),
        (of(vec![item(one, 10_001)]), 422, "validation", &["items.0.quantity"]),
        (of(vec![item(0, 1)]), 422, "validation", &["items.0.product_id"]),
        (of(vec![item(999_999, 1)]), 422, "validation", &["items"]),
        (
            json!({"items": [{"product_id": one, "quantity": 1, "price": 1}]}),
            422,
            "validation",
            &["items.0.price"],
        ),
        (json!({"items": [item(one, 1)], "user_id": 1}), 422, "validation", &["user_id"]),
        (of(vec![item(one, 1), item(dollars, 1)]), 422, "validation", &["items"]),
        (with_amount(-1, "EUR"), 422, "validation", &["amount.minor"]),
        (with_amount(501, "EUR"), 409, "amount-mismatch", &[]),
        (with_amount(500, "USD"), 409, "amount-mismatch", &[]),
        (of(vec![item(one, 3), item(two, 11)]), 409, "insufficient-inventory", &[]),
    ];
    for (number, (body, status, reason, fields)) in cases.into_iter().enumerate() {
        let answer = shop.press("/orders", &format!("bad-{number}"), &body).await;
        assert_eq!((answer.status, answer.reason(), &*answer.fields()), (status, reason, fields), "{body}");
        match reason {
            "amount-mismatch" => assert_eq!(answer.body["data"]["amount"]["minor"], 500),
            "insufficient-inventory" => assert_eq!(answer.body["data"]["product_id"], two),
            _ => {}
        }
    }
    assert_eq!(shop.figures().await, [(10, 0, 0), (10, 0, 0)]);
    assert_eq!(shop.api.get("/orders", Some(&shop.buyer)).await.data()["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_demanded_and_read_strictly() {
    let shop = Shop::open().await;
    let order = shop.order([1, 0]).await;
    let long = "k".repeat(256);
    for path in ["/orders".to_owned(), format!("/orders/{order}/pay"), format!("/orders/{order}/cancel")] {
        let bare = shop.api.post(&path, Some(&shop.buyer), &shop.wish([1, 0])).await;
        assert_eq!((bare.status, bare.reason()), (400, "idempotency-key-missing"), "{path}");
        for keys in [&[&b""[..]][..], &[b"\xc3\xa9"], &[b"a", b"b"], &[b"a\tb"], &[long.as_bytes()]] {
            let mut request = Api::request("POST", &path, Some(&shop.buyer)).body(Body::empty()).unwrap();
            for key in keys {
                request.headers_mut().append("idempotency-key", HeaderValue::from_bytes(key).unwrap());
            }
            let answer = shop.api.send(request).await;
            assert_eq!((answer.status, answer.reason()), (400, "malformed"), "{path} {keys:?}");
        }
    }
    assert_eq!(shop.standing(order).await, ("pending".into(), vec![]), "nothing was done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_sent_again_is_answered_byte_for_byte() {
    let shop = Shop::open().await;
    let bytes = async |id: &str, key: &str, body: &str| {
        let request = Api::request("POST", "/orders", Some(&shop.buyer)).header("x-request-id", id);
        let request = request.header("content-type", "application/json").header("idempotency-key", key);
        let answer = shop.api.answer(request.body(Body::from(body.to_owned())).unwrap()).await;
        let (head, body) = answer.into_parts();
        (head, to_bytes(body, 1 << 20).await.unwrap())
    };
    let wish = shop.wish([1, 2]).to_string();
    let (first_head, first) = bytes("same", "k", &wish).await;
    assert!(!first_head.headers.contains_key("idempotent-replayed"));
    let spaced = wish.replace(':', " : ");
    for body in [&wish, &spaced] {
        let (head, again) = bytes("same", "k", body).await;
        assert_eq!((head.status, &again), (first_head.status, &first));
        assert_eq!(head.headers["location"], first_head.headers["location"]);
        assert_eq!(head.headers["idempotent-replayed"], "true");
    }
    let (head, other) = bytes("another", "k", &wish).await;
    assert_eq!(head.headers["x-request-id"], "another", "a replay is a request of its own");
    let text = String::from_utf8(other.to_vec()).unwrap().replace("another", "same");
    assert_eq!(text.as_bytes(), &first, "and differs in nothing else");

    let mismatch = shop.press("/orders", "k", &shop.wish([1, 1])).await;
    assert_eq!((mismatch.status, mismatch.reason()), (422, "idempotency-mismatch"));
    let short = shop.wish([0, 9]);
    for replayed in [false, true] {
        let refused = shop.press("/orders", "short", &short).await;
        assert_eq!(
            (refused.status, refused.reason()),
            (409, "insufficient-inventory"),
            "a refusal is kept too"
        );
        assert_eq!(refused.headers.contains_key("idempotent-replayed"), replayed);
    }
    let (_, bob) = shop.api.account("bob", Role::User).await;
    assert_eq!(shop.press_as(&bob, "/orders", "k", &shop.wish([1, 1])).await.status, 201, "Bob's own key");
    assert_eq!(shop.figures().await, [(8, 2, 0), (7, 3, 0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_order_many_times_at_once_is_one_order() {
    let shop = std::sync::Arc::new(Shop::open().await);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let shop = shop.clone();
        tasks.spawn(async move { shop.press("/orders", "storm", &shop.wish([1, 1])).await });
    }
    let answers = tasks.join_all().await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    let fresh = made.iter().filter(|answer| !answer.headers.contains_key("idempotent-replayed")).count();
    assert_eq!(fresh, 1, "one did it");
    assert!(made.windows(2).all(|pair| pair[0].without_id() == pair[1].without_id()));
    let others = answers.iter().filter(|answer| answer.status != 201);
    assert!(
        others.map(|answer| (answer.status, answer.reason())).all(|told| told == (409, "request-in-flight"))
    );
    assert_eq!(shop.figures().await, [(9, 1, 0), (9, 1, 0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_order_gives_its_units_back_once() {
    let shop = Shop::open().await;
    let order = shop.order([10, 4]).await;
    let cancel = format!("/orders/{order}/cancel");
    for key in ["c1", "c1", "c2"] {
        let answer = shop.press(&cancel, key, &json!({})).await;
        assert_eq!((answer.status, &answer.data()["status"]), (200, &json!("cancelled")), "{key}");
    }
    let extra = shop.press(&cancel, "c3", &json!({"why": "no"})).await;
    assert_eq!((extra.status, extra.fields()), (422, vec!["why"]));
    assert_eq!(shop.figures().await, [(10, 0, 0), (10, 0, 0)]);
    let again = shop.order([10, 0]).await;
    shop.pay(again, "p1", "success").await.data();
    let late = shop.press(&format!("/orders/{again}/cancel"), "c1", &json!({})).await;
    assert_eq!((late.status, late.reason()), (422, "idempotency-mismatch"), "another order's key");
    let late = shop.press(&format!("/orders/{again}/cancel"), "c4", &json!({})).await;
    assert_eq!((late.status, late.reason()), (409, "order-paid"));
    let ended = shop.pay(order, "p2", "success").await;
    assert_eq!((ended.status, ended.reason()), (409, "order-not-pending"));
    assert_eq!(shop.figures().await, [(0, 0, 10), (10, 0, 0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_of_both_kinds_are_one_list() {
    let shop = Shop::open().await;
    let mut orders = Vec::new();
    for number in 0..3 {
        orders.push(shop.order([1, 0]).await.to_string());
        let (_, event) = shop.api.sale(&shop.admin, 10).await;
        orders
            .push(super::sales::written_at(&shop.api, event, shop.user, number, now_ms()).await.to_string());
    }
    orders.sort();
    orders.reverse();
    let (mut seen, mut path) = (Vec::new(), "/orders?page_size=2".to_owned());
    loop {
        let page = shop.api.get(&path, Some(&shop.buyer)).await.data().clone();
        for item in page["items"].as_array().unwrap() {
            let one = shop
                .api
                .get(&format!("/orders/{}", item["order_id"].as_str().unwrap()), Some(&shop.buyer))
                .await;
            assert_eq!(one.data(), item, "as in the list");
            seen.push((
                item["order_id"].as_str().unwrap().to_owned(),
                item["kind"].as_str().unwrap().to_owned(),
            ));
        }
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/orders?page_size=2&cursor={cursor}");
    }
    assert_eq!(
        seen.iter().map(|(order, _)| order.clone()).collect::<Vec<_>>(),
        orders,
        "newest first, each once"
    );
    assert_eq!(seen.iter().filter(|(_, kind)| kind == "spike").count(), 3);
    let spike = &seen.iter().find(|(_, kind)| kind == "spike").unwrap().0;
    let paid = shop.pay(OrderId::parse(spike).unwrap(), "pay-spike", "success").await;
    assert_eq!((&paid.data()["status"], &paid.data()["kind"]), (&json!("paid"), &json!("spike")));
    assert_eq!(paid.data()["payments"][0]["status"], "captured");
}

/// The failpoint that is to end the next request of a thread named `planted`.
static ARMED: Mutex<Option<&str>> = Mutex::new(None);

/// Whether this request dies here.
fn dies_at(point: &str) -> bool {
    let mut armed = ARMED.lock().unwrap();
    let dies = std::thread::current().name() == Some("planted") && *armed == Some(point);
    dies && armed.take().is_some()
}

#[test]
fn a_crash_around_the_effect_neither_doubles_nor_loses_it() {
    let scenario = fail::FailScenario::setup();
    for point in ["idempotency-answer", "payment-recorded", "payment-charged"] {
        // The lock is free again before the panic.
        fail::cfg_callback(point, move || {
            let dies = dies_at(point);
            assert!(!dies, "planted at {point}");
        })
        .unwrap();
    }
    // Only this thread runs its requests, so that no other test meets the failpoints.
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(crashes());
    };
    let thread = std::thread::Builder::new().name("planted".to_owned()).spawn(run).unwrap();
    let ended = thread.join();
    scenario.teardown();
    ended.unwrap();
}

async fn crashes() {
    // A request that died keeps its turn for as long as one may last, and a little.
    let shop = Shop::open_with(&[("SPIKE_HTTP_REQUEST_TIMEOUT_MS", "1500")]).await;
    let made = crashed_and_retried(&shop, "idempotency-answer", "/orders", &shop.wish([1, 0])).await;
    assert_eq!((made.status, shop.figures().await[0]), (201, (9, 1, 0)), "{}", made.body);
    let orders = shop.api.get("/orders", Some(&shop.buyer)).await;
    assert_eq!(orders.data()["items"].as_array().unwrap().len(), 1, "one order");

    for (number, point) in ["payment-recorded", "payment-charged", "idempotency-answer"].iter().enumerate() {
        let order = shop.order([0, 1]).await;
        let paid = crashed_and_retried(&shop, point, &format!("/orders/{order}/pay"), &json!({})).await;
        assert_eq!((paid.status, &paid.data()["status"]), (200, &json!("paid")), "{point}");
        assert_eq!(
            shop.standing(order).await,
            ("paid".into(), vec!["captured".into()]),
            "{point}: one attempt"
        );
        let sold = u32::try_from(number).unwrap() + 1;
        assert_eq!(shop.figures().await[1], (10 - sold, 0, sold), "{point}");
    }
}

/// A request that dies at `point`, and the same one until it has an answer.
async fn crashed_and_retried(shop: &Shop, point: &'static str, path: &str, body: &Value) -> Answer {
    *ARMED.lock().unwrap() = Some(point);
    let died = shop.press(path, point, body).await;
    assert_eq!((died.status, died.reason()), (500, "internal"), "{point} {path} {}", died.body);
    eventually("the turn of a request that died ends", async || {
        let answer = shop.press(path, point, body).await;
        (answer.reason() != "request-in-flight").then_some(answer)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_cut_off_gives_its_key_back() {
    let shop = Shop::open_with(&[("SPIKE_HTTP_REQUEST_TIMEOUT_MS", "1000")]).await;
    let lock = format!("SELECT 1 FROM inventory WHERE product_id = {} FOR UPDATE", shop.products[0]);
    let wish = shop.wish([1, 0]);
    let held = shop.api.hold(&lock).await;
    let press = || shop.press("/orders", "k", &wish);
    let (one, two) = tokio::join!(press(), press());
    let (cut, told) = if one.status == 503 { (one, two) } else { (two, one) };
    assert_eq!((cut.status, cut.reason()), (503, "unavailable"), "{}", cut.body);
    assert_eq!((told.status, told.reason()), (409, "request-in-flight"), "{}", told.body);
    assert_eq!(told.headers["retry-after"], "1");
    // Nobody waits for the lease, and nobody has to ask for it.
    eventually("the turn is given back", async || {
        (shop.api.sql("SELECT locked_until_ms FROM idempotency_keys").trim() == "0").then_some(())
    })
    .await;
    drop(held);
    let made = eventually("the order is made", async || {
        let answer = press().await;
        assert_ne!(answer.reason(), "request-in-flight", "the key is free");
        (answer.status == 201).then_some(answer)
    })
    .await;
    assert_eq!(press().await.data(), made.data());
    assert_eq!(shop.figures().await[0], (9, 1, 0), "one order");
}
