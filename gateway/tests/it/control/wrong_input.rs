//! What no client should send, and what it is told.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use spike_domain::{ProductId, Role};

use super::Api;
use super::api::event_body;

/// Media type, body, and the status, reason and fields of the answer.
type BadBody<'a> = (&'a str, &'a [u8], u16, &'a str, &'a [&'a str]);

/// A JSON object without or with other fields.
fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

fn without(mut body: Value, field: &str) -> Value {
    body.as_object_mut().unwrap().remove(field).unwrap();
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_at_fault_is_named() {
    let api = Api::start().await;
    let (_, admin) = api.account("admin", Role::Admin).await;
    let account = || json!({"email": "ann@shop.example", "password": "a long password"});
    let product = || json!({"sku": "s", "name": "n", "price": {"minor": 1, "currency": "EUR"}, "stock": 1});
    let event = || event_body(ProductId(1), 1);
    let long = |chars: usize| Value::from("ä".repeat(chars));
    let cases: Vec<(&str, Value, &[&str])> = vec![
        ("/auth/register", json!({}), &["email", "password"]),
        ("/auth/register", with(account(), "email", "ann".into()), &["email"]),
        ("/auth/register", with(account(), "email", "a\r\nbcc:b@shop.example".into()), &["email"]),
        ("/auth/register", with(account(), "email", json!(["a@b.example"])), &["email"]),
        ("/auth/register", with(account(), "password", long(7)), &["password"]),
        ("/auth/register", with(account(), "password", long(129)), &["password"]),
        ("/auth/register", with(account(), "password", "12345678\0".into()), &["password"]),
        ("/auth/register", with(account(), "name", long(201)), &["name"]),
        ("/auth/register", with(account(), "role", "admin".into()), &["role"]),
        ("/auth/login", json!({"email": null, "password": 5, "x": 1}), &["email", "password", "x"]),
        ("/products", json!({}), &["sku", "name", "price"]),
        ("/products", with(product(), "sku", long(65)), &["sku"]),
        ("/products", with(product(), "name", "  ".into()), &["name"]),
        ("/products", with(product(), "stock", json!(-1)), &["stock"]),
        ("/products", with(product(), "stock", json!(1.5)), &["stock"]),
        ("/products", with(product(), "stock", json!(u64::MAX)), &["stock"]),
        ("/products", with(product(), "price", json!(5)), &["price"]),
        (
            "/products",
            with(product(), "price", json!({"minor": -1, "currency": "eur"})),
            &["price.minor", "price.currency"],
        ),
        (
            "/products",
            with(product(), "price", json!({"minor": i64::MAX, "currency": "EUR"})),
            &["price.minor"],
        ),
        ("/products", with(product(), "id", json!(7)), &["id"]),
        ("/admin/spike/events", without(event(), "product_id"), &["product_id"]),
        ("/admin/spike/events", with(event(), "product_id", json!("1")), &["product_id"]),
        ("/admin/spike/events", with(event(), "product_id", json!(99)), &["product_id"]),
        ("/admin/spike/events", with(event(), "total", json!(0)), &["total"]),
        ("/admin/spike/events", with(event(), "total", json!(100_000_001)), &["total"]),
        ("/admin/spike/events", with(event(), "per_user_limit", json!(0)), &["per_user_limit"]),
        ("/admin/spike/events", with(event(), "pay_timeout_s", json!(604_801)), &["pay_timeout_s"]),
        ("/admin/spike/events", with(event(), "starts_at", json!("tomorrow")), &["starts_at"]),
        ("/admin/spike/events", with(event(), "starts_at", json!(5)), &["starts_at"]),
        ("/admin/spike/events", with(event(), "ends_at", json!("2020-01-01T00:00:00Z")), &["ends_at"]),
        ("/admin/spike/events", with(event(), "state", json!("open")), &["state"]),
    ];
    for (path, body, fields) in cases {
        let answer = api.post(path, Some(&admin), &body).await;
        assert_eq!(
            (answer.status, answer.reason(), &*answer.fields()),
            (422, "validation", fields),
            "{path} {body}"
        );
    }
    for (path, field) in [
        ("/products?page=0", "page"),
        ("/spike/events?page_size=101", "page_size"),
        ("/spike/orders?cursor=1", "cursor"),
    ] {
        let answer = api.get(path, Some(&admin)).await;
        assert_eq!((answer.status, answer.fields()), (422, vec![field]), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_one_json_object_is_not_looked_at() {
    let api = Api::start().await;
    let json = "application/json";
    let good = r#"{"email":"ann@shop.example","password":"a long password"}"#;
    let doubled = good.replacen('{', r#"{"email":"bob@shop.example","#, 1);
    let huge = format!(r#"{{"email":"{}"}}"#, "x".repeat(api.config.http.body_bytes_max));
    let deep = "{\"a\":".repeat(500);
    let cases: Vec<BadBody<'_>> = vec![
        (json, b"", 400, "malformed", &[]),
        (json, b"{", 400, "malformed", &[]),
        (json, b"[]", 400, "malformed", &[]),
        (json, b"{\"email\":1e999}", 400, "malformed", &[]),
        (json, b"{\"email\":\"\xff\"}", 400, "malformed", &[]),
        (json, b"{\"email\":\"\0\"}", 400, "malformed", &[]),
        (json, deep.as_bytes(), 400, "malformed", &[]),
        (json, doubled.as_bytes(), 400, "malformed", &["email"]),
        (json, huge.as_bytes(), 413, "body-too-large", &[]),
        ("text/plain", good.as_bytes(), 415, "unsupported-media-type", &[]),
        ("application/json; charset=latin1", good.as_bytes(), 415, "unsupported-media-type", &[]),
        ("application/x-www-form-urlencoded", b"email=a", 415, "unsupported-media-type", &[]),
    ];
    for (media_type, body, status, reason, fields) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]);
        let answer = api.post_raw("/auth/register", None, media_type, body.to_vec()).await;
        assert_eq!((answer.status, answer.reason(), &*answer.fields()), (status, reason, fields), "{shown}");
    }
    let bare = Api::request("POST", "/auth/register", None).body(Body::from(good)).unwrap();
    assert_eq!(api.send(bare).await.status, 415, "no content type at all");
    assert_eq!(
        api.store.user_by_email("ann@shop.example").await.unwrap().map(|row| row.id),
        None,
        "nothing was done"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_paths_methods_and_ids_are_told_apart() {
    let api = Api::start().await;
    let (_, user) = api.account("user", Role::User).await;
    let ids = ["0", "-1", "1", "01", "9223372036854775808", "x", "%00", "1%27%20OR%201=1", "..%2f1", "%ff"];
    for id in ids {
        for path in [
            "/products/ID",
            "/products/ID/inventory",
            "/spike/events/ID",
            "/spike/events/ID/stats",
            "/spike/events/ID/orders/ID",
        ] {
            let path = path.replace("ID", id);
            let answer = api.get(&path, Some(&user)).await;
            assert_eq!((answer.status, answer.reason()), (404, "not-found"), "{path}");
        }
    }
    for path in ["", "/", "/nowhere", "/auth", "/products/"] {
        assert_eq!(api.get(path, None).await.reason(), "not-found", "{path}");
    }
    for (method, path, allow) in [
        ("GET", "/auth/login", "POST"),
        ("DELETE", "/users/me", "GET,HEAD"),
        ("PUT", "/products", "GET,HEAD,POST"),
        ("POST", "/products/1", "GET,HEAD,PATCH,DELETE"),
        ("DELETE", "/spike/events/1/orders", "POST"),
        ("GET", "/admin/spike/events/1/warmup", "POST"),
        ("OPTIONS", "/products", "GET,HEAD,POST"),
    ] {
        let answer = api.send(Api::request(method, path, None).body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.reason()), (405, "method-not-allowed"), "{method} {path}");
        assert_eq!(answer.headers["allow"], allow, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_chooses_its_error_form_and_request_id() {
    let api = Api::start().await;
    let request = Api::request("POST", "/auth/login", None).header("content-type", "application/json");
    let request = request.header("accept", "application/problem+json").header("x-request-id", "order-7.a");
    let answer = api.send(request.body(Body::from("{}")).unwrap()).await;
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(
        answer.body,
        json!({
            "type": "/errors/validation", "title": "A field of the request is not valid.", "status": 422,
            "code": 1060, "reason": "validation", "request_id": "order-7.a",
            "errors": [{"field": "email", "message": "is required"}, {"field": "password", "message": "is required"}],
        })
    );
    let evil = Api::request("GET", "/products", None).header("x-request-id", "a b<script>");
    let answer = api.send(evil.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK.as_u16());
    assert!(!answer.body["request_id"].as_str().unwrap().contains('<'), "another one is made");
}
