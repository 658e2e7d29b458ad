//! A gateway dies between an administrator's action and the word of how it ended: the action is on record all the same.

use serde_json::{Value, json};
use spike_telemetry::Arrow;

use crate::callers::post;
use crate::http::try_call;
use crate::system::System;

#[test]
fn an_action_is_on_record_although_the_gateway_died_with_its_outcome() {
    let mut system = System::start(&[]);
    let lamp = |sku: &str| json!({ "sku": sku, "name": "Lamp", "price": { "minor": 1, "currency": "EUR" }, "stock": 3 });
    let made = post(system.http, "/products", Some(system.admin_token()), &lamp("BEFORE"));
    assert_eq!(made.status, 201, "{made:?}");
    let refused = post(system.http, "/products", Some(system.admin_token()), &lamp("BEFORE"));
    assert_eq!(refused.status, 409, "{refused:?}");

    let death = format!("{}=1*return", Arrow::GatewayActed.name());
    system.gateway.launch_with(&[("FAILPOINTS", &death)]);
    system.gateway.wait_ready();
    let bearer = format!("Bearer {}", system.admin_token());
    let headers = [("Authorization", &*bearer), ("X-Request-Id", "the-last-words")];
    let answer =
        try_call(system.http, "POST", "/api/v1/products", &headers, Some(&lamp("AFTER").to_string()));
    assert!(answer.is_none(), "it died before it could answer: {answer:?}");
    system.gateway.ended();
    system.gateway.restart();

    let lines = audit(&system, "action=POST%20/api/v1/products");
    let told: Vec<_> = lines.iter().map(|line| (&line["outcome"], &line["detail"]["status"])).collect();
    assert_eq!(
        told,
        [(&json!("unknown"), &Value::Null), (&json!("refused"), &json!(409)), (&json!("done"), &json!(201))],
        "{lines:?}"
    );
    assert_eq!(lines[0]["request_id"], "the-last-words");
    assert!(lines[0]["actor"].is_i64() && lines[0]["at"].is_string(), "{lines:?}");
    let again = post(system.http, "/products", Some(system.admin_token()), &lamp("AFTER"));
    assert_eq!(again.status, 409, "what is of an unknown outcome was done: {again:?}");
    let newest = audit(&system, "page_size=1");
    assert_eq!(newest[0]["outcome"], "refused", "and the next one is told again");
}

fn audit(system: &System, query: &str) -> Vec<Value> {
    let page = system.get(&format!("/api/v1/admin/audit?{query}"), system.admin_token()).json();
    page["data"]["items"].as_array().unwrap_or_else(|| panic!("no page: {page}")).clone()
}
