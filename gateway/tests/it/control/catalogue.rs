//! The catalogue over REST: versions as ETags, lists, and corrections of the inventory.

use serde_json::{Value, json};
use spike_domain::Role;

use super::Api;
use super::api::{Answer, event_body};

/// A product of that SKU and name, five units, by way of the API.
async fn product(api: &Api, admin: &str, sku: &str, name: &str, minor: i64) -> Answer {
    let price = json!({ "minor": minor, "currency": "EUR" });
    let body = json!({ "sku": sku, "name": name, "price": price, "stock": 5 });
    api.post("/products", Some(admin), &body).await
}

fn path_of(answer: &Answer) -> String {
    format!("/products/{}", answer.data()["id"])
}

fn tag(answer: &Answer) -> String {
    answer.headers["etag"].to_str().unwrap().to_owned()
}

async fn skus(api: &Api, query: &str) -> Vec<String> {
    let page = api.get(&format!("/products?{query}"), None).await;
    let items = page.data()["items"].as_array().unwrap();
    items.iter().map(|item| item["sku"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_is_changed_and_deleted_in_the_version_that_was_seen() {
    let api = Api::start().await;
    let (_, admin) = api.account("admin", Role::Admin).await;
    let made = product(&api, &admin, "LAMP", "Lamp", 100).await;
    let path = path_of(&made);
    assert_eq!(tag(&made), "\"1\"");
    let read = api.get(&path, None).await;
    assert_eq!((tag(&read), read.headers["cache-control"].to_str().unwrap()), ("\"1\"".into(), "no-cache"));
    let again = api.with(("GET", &path), None, ("if-none-match", "W/\"1\""), None).await;
    assert_eq!((again.status, tag(&again)), (304, "\"1\"".into()));

    let name = json!({ "name": "Desk lamp", "sku": null });
    let change =
        async |etag: &str| api.with(("PATCH", &path), Some(&admin), ("if-match", etag), Some(&name)).await;
    let blind = api.with(("PATCH", &path), Some(&admin), ("x-none", "1"), Some(&name)).await;
    assert_eq!((blind.status, blind.reason()), (428, "precondition-required"));
    for stale in ["\"2\"", "W/\"1\"", "1", "\"x\""] {
        let answer = change(stale).await;
        assert_eq!((answer.status, answer.reason()), (412, "precondition-failed"), "{stale}");
    }
    let changed = change("\"7\", \"1\"").await;
    assert_eq!((&changed.data()["name"], &changed.data()["sku"]), (&json!("Desk lamp"), &json!("LAMP")));
    assert_eq!((tag(&changed), change("\"1\"").await.status), ("\"2\"".into(), 412));
    let fresh = api.with(("GET", &path), None, ("if-none-match", "\"1\""), None).await;
    assert_eq!((fresh.status, &fresh.data()["version"]), (200, &json!(2)));

    let id = spike_domain::ProductId(made.data()["id"].as_i64().unwrap());
    let event = api.post("/admin/spike/events", Some(&admin), &event_body(id, 2)).await;
    let delete = async |etag: &str| api.with(("DELETE", &path), Some(&admin), ("if-match", etag), None).await;
    assert_eq!(delete("*").await.reason(), "product-in-use");
    let close = format!("/admin/spike/events/{}/close", event.data()["id"]);
    api.post(&close, Some(&admin), &Value::Null).await;
    assert_eq!(
        api.send(Api::request("DELETE", &path, Some(&admin)).body(axum::body::Body::empty()).unwrap())
            .await
            .status,
        428
    );
    assert_eq!(delete("\"1\"").await.status, 412);
    assert_eq!(delete("\"2\"").await.status, 204);
    for gone in [api.get(&path, None).await, delete("*").await, change("*").await] {
        assert_eq!((gone.status, gone.reason()), (404, "not-found"));
    }
    assert_eq!(api.get(&format!("{path}/inventory"), None).await.status, 404);
    assert_eq!(product(&api, &admin, "LAMP", "Lamp", 1).await.reason(), "sku-taken");
    assert_eq!(
        api.get(&format!("/admin{path}/movements"), Some(&admin)).await.status,
        200,
        "its ledger stays"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_is_sorted_filtered_and_searched() {
    let api = Api::start().await;
    let (_, admin) = api.account("admin", Role::Admin).await;
    for (sku, name, minor) in [("b_1", "lamp", 300), ("A-2", "Chair", 100), ("c%3", "100% wool", 200)] {
        product(&api, &admin, sku, name, minor).await.data();
    }
    for (query, want) in [
        ("", &["c%3", "A-2", "b_1"][..]),
        ("sort=id", &["b_1", "A-2", "c%3"]),
        ("sort=name,asc", &["c%3", "A-2", "b_1"]),
        ("sort=sku,desc", &["c%3", "b_1", "A-2"]),
        ("sort=price,desc&page_size=1&page=2", &["c%3"]),
        ("sort=price&price_min=200&price_max=299", &["c%3"]),
        ("currency=JPY", &[]),
        ("in_stock=false", &[]),
        ("q=CHAI", &["A-2"]),
        ("q=b_", &["b_1"]),
        ("q=100%25", &["c%3"]),
        ("q=%25", &[]),
        ("q=_", &[]),
        ("q='%20OR%201=1--", &[]),
        ("q=%F0%9F%98%80", &[]),
    ] {
        assert_eq!(skus(&api, query).await, want, "{query}");
    }
    for (query, field) in [
        ("sort=password,asc", "sort"),
        ("sort=name,up", "sort"),
        ("page=1000001", "page"),
        ("page_size=0", "page_size"),
        ("price_min=cheap", "price_min"),
        ("q=", "q"),
        ("offset=5", "offset"),
    ] {
        let answer = api.get(&format!("/products?{query}"), None).await;
        assert_eq!((answer.status, answer.fields()), (422, vec![field]), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrections_of_the_inventory_are_a_readable_ledger() {
    let api = Api::start().await;
    let (admin_id, admin) = api.account("admin", Role::Admin).await;
    let path = path_of(&product(&api, &admin, "LAMP", "Lamp", 100).await);
    let inventory = format!("{path}/inventory");
    let put = async |header: (&str, &str), body: Value| {
        api.with(("PUT", &inventory), Some(&admin), header, Some(&body)).await
    };
    let none = ("x-none", "1");
    let down = put(none, json!({ "delta": -2, "reason": "broken" })).await;
    assert_eq!((&down.data()["available"], tag(&down)), (&json!(3), "\"2\"".into()));
    let short = put(none, json!({ "delta": -4, "reason": "theft" })).await;
    assert_eq!((short.status, short.reason()), (409, "insufficient-inventory"));
    assert_eq!(put(none, json!({ "available": 9, "reason": "count" })).await.status, 428);
    assert_eq!(put(("if-match", "\"1\""), json!({ "available": 9, "reason": "count" })).await.status, 412);
    assert_eq!(put(("if-match", "\"1\""), json!({ "delta": 1, "reason": "one more" })).await.status, 412);
    let counted = put(("if-match", "\"2\""), json!({ "available": 9, "reason": "count" })).await;
    assert_eq!(counted.data()["available"], 9);
    let read = api.get(&inventory, None).await;
    assert_eq!(read.data(), counted.data());
    let known = api.with(("GET", &inventory), None, ("if-none-match", &tag(&read)), None).await;
    assert_eq!(known.status, 304);

    for (body, fields) in [
        (json!({}), &["reason", "delta"][..]),
        (json!({ "delta": 0, "reason": "r" }), &["delta"]),
        (json!({ "delta": 1, "available": 1, "reason": "r" }), &["available"]),
        (json!({ "delta": "1", "reason": "r" }), &["delta"]),
        (json!({ "delta": i64::MIN, "reason": "r" }), &["delta"]),
        (json!({ "available": -1, "reason": "r" }), &["available", "delta"]),
        (json!({ "delta": 1, "reason": " " }), &["reason"]),
        (json!({ "delta": 1, "reason": "r", "sold": 1 }), &["sold"]),
    ] {
        let answer = put(none, body.clone()).await;
        assert_eq!((answer.status, &*answer.fields()), (422, fields), "{body}");
    }

    let ledger = format!("/admin{path}/movements");
    let first = api.get(&format!("{ledger}?page_size=2"), Some(&admin)).await;
    let items = first.data()["items"].as_array().unwrap();
    assert_eq!((&items[0]["kind"], &items[0]["reason"]), (&json!("adjusted"), &json!("count")));
    assert_eq!((&items[1]["delta"]["available"], &items[1]["actor_id"]), (&json!(-2), &json!(admin_id)));
    let cursor = &first.data()["next_cursor"];
    let rest = api.get(&format!("{ledger}?cursor={cursor}"), Some(&admin)).await;
    assert_eq!(rest.data()["items"][0]["kind"], "initial");
    assert_eq!(
        (rest.data()["items"].as_array().unwrap().len(), &rest.data()["next_cursor"]),
        (1, &Value::Null)
    );
    assert_eq!(api.get(&format!("{ledger}?cursor=0"), Some(&admin)).await.fields(), ["cursor"]);
    assert_eq!(api.get("/admin/products/999/movements", Some(&admin)).await.status, 404);
    let (_, user) = api.account("user", Role::User).await;
    assert_eq!(api.get(&ledger, Some(&user)).await.status, 403);
    assert_eq!(api.store.inventory_audit().await.unwrap(), []);
}
