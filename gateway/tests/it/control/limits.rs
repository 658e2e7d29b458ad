//! Rate limits over REST: read, set and given back in the version that was seen; what no client should send; and how they reach
//! the hot cores' limits.

use std::sync::Arc;

use serde_json::{Value, json};
use spike_domain::{EventId, Rate, RateLimits, Role, UserId};
use spike_gateway::shared::Shared;
use spike_store::Expected;

use super::Api;
use super::api::{Answer, eventually};
use super::life::gateway;

const PATH: &str = "/admin/limits";

fn body() -> Value {
    json!({
        "global": {"per_s": 0, "burst": 10_000}, "event": {"per_s": 1, "burst": 2},
        "user": {"per_s": 3, "burst": 4}, "address": {"per_s": 100_000_000, "burst": 100_000_000},
        "debounce_ms": 60_000,
    })
}

async fn put(api: &Api, token: &str, seen: &str, body: &Value) -> Answer {
    api.with(("PUT", PATH), Some(token), ("if-match", seen), Some(body)).await
}

async fn delete(api: &Api, token: &str, seen: &str) -> Answer {
    api.with(("DELETE", PATH), Some(token), ("if-match", seen), None).await
}

/// What an answer says is in force.
fn said(answer: &Answer) -> (Value, &str, u64) {
    let data = answer.data();
    let mut limits = data.clone();
    let fields = limits.as_object_mut().unwrap();
    fields.retain(|name, _| !matches!(name.as_str(), "source" | "version"));
    let version = data["version"].as_u64().unwrap();
    assert_eq!(answer.headers["etag"], format!("\"{version}\"").as_str());
    (limits, data["source"].as_str().unwrap(), version)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_changed_in_the_version_that_was_seen() {
    let api = Api::start_with(&[("SPIKE_LIMITS_USER_PER_S", "7"), ("SPIKE_LIMITS_DEBOUNCE_MS", "11")]).await;
    let (root, admin) = api.account("root", Role::Admin).await;
    let get = async || api.get(PATH, Some(&admin)).await;
    let configured = json!({
        "global": {"per_s": 0, "burst": 10_000}, "event": {"per_s": 0, "burst": 10_000},
        "user": {"per_s": 7, "burst": 20}, "address": {"per_s": 100, "burst": 200}, "debounce_ms": 11,
    });
    assert_eq!(said(&get().await), (configured.clone(), "configuration", 1));

    assert_eq!(said(&put(&api, &admin, "\"1\"", &body()).await), (body(), "administrator", 2));
    assert_eq!(said(&get().await), (body(), "administrator", 2));
    for stale in ["\"1\"", "\"3\"", "W/\"2\"", "x"] {
        let refused = put(&api, &admin, stale, &configured).await;
        assert_eq!((refused.status, refused.reason()), (412, "precondition-failed"), "{stale}");
        assert_eq!(delete(&api, &admin, stale).await.status, 412, "{stale}");
    }
    let blind = api.with(("PUT", PATH), Some(&admin), ("accept", "*/*"), Some(&body())).await;
    assert_eq!((blind.status, blind.reason()), (428, "precondition-required"));
    assert_eq!(api.with(("DELETE", PATH), Some(&admin), ("accept", "*/*"), None).await.status, 428);
    assert_eq!(said(&get().await), (body(), "administrator", 2), "none of them changed anything");

    assert_eq!(said(&delete(&api, &admin, "\"2\"").await), (configured.clone(), "configuration", 3));
    assert_eq!(said(&delete(&api, &admin, "*").await), (configured, "configuration", 3), "it is so already");
    assert_eq!(said(&put(&api, &admin, "*", &body()).await), (body(), "administrator", 4));

    let rows = api.get(&format!("/admin/audit?actor={root}&page_size=100"), Some(&admin)).await;
    let rows = rows.data()["items"].as_array().unwrap();
    let of = |action: &str, outcome: &str| {
        rows.iter().filter(|row| row["action"] == action && row["outcome"] == outcome).count()
    };
    assert_eq!((of("PUT /api/v1/admin/limits", "done"), of("DELETE /api/v1/admin/limits", "done")), (2, 2));
    assert_eq!((of("PUT /api/v1/admin/limits", "refused"), rows.len()), (5, 14));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_out_of_range_are_named() {
    let api = Api::start().await;
    let (_, admin) = api.account("root", Role::Admin).await;
    let with = |pointer: &str, value: Value| {
        let mut body = body();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    let more = |within: &str, name: &str| {
        let mut body = body();
        body.pointer_mut(within).unwrap()[name] = 1.into();
        body
    };
    let mut shown = body();
    (shown["source"], shown["version"]) = ("administrator".into(), 1.into());
    let cases: Vec<(Value, &[&str])> = vec![
        (json!({}), &["global", "event", "user", "address", "debounce_ms"]),
        (
            json!({"global": {}, "event": {}, "user": {}, "address": {}, "debounce_ms": null}),
            &[
                "global.per_s",
                "global.burst",
                "event.per_s",
                "event.burst",
                "user.per_s",
                "user.burst",
                "address.per_s",
                "address.burst",
                "debounce_ms",
            ],
        ),
        (with("/global/per_s", json!(-1)), &["global.per_s"]),
        (with("/global/per_s", json!(100_000_001)), &["global.per_s"]),
        (with("/event/burst", json!(0)), &["event.burst"]),
        (with("/event/burst", json!(100_000_001)), &["event.burst"]),
        (with("/user/per_s", json!(1.5)), &["user.per_s"]),
        (with("/user/per_s", json!("10")), &["user.per_s"]),
        (with("/user/per_s", json!(true)), &["user.per_s"]),
        (with("/address/burst", json!(u64::MAX)), &["address.burst"]),
        (with("/debounce_ms", json!(60_001)), &["debounce_ms"]),
        (with("/debounce_ms", json!(-1)), &["debounce_ms"]),
        (with("/user", json!(10)), &["user"]),
        (with("/user", json!([10, 20])), &["user"]),
        (with("/user", Value::Null), &["user"]),
        (more("/user", "every_ms"), &["user.every_ms"]),
        (more("", "table_slots"), &["table_slots"]),
        (shown, &["source", "version"]),
    ];
    for (body, fields) in cases {
        let refused = put(&api, &admin, "\"1\"", &body).await;
        assert_eq!((refused.status, refused.reason()), (422, "validation"), "{body}");
        assert_eq!(refused.fields(), fields, "{body}");
    }
    for (text, status) in [("", 400), ("[]", 400), ("{", 400), (r#"{"user":{},"user":{}}"#, 400)] {
        let request = Api::request("PUT", PATH, Some(&admin)).header("if-match", "*");
        let request = request.header("content-type", "application/json");
        let refused = api.send(request.body(text.into()).unwrap()).await;
        assert_eq!(refused.status, status, "{text}: {}", refused.body);
    }
    let request = Api::request("PUT", PATH, Some(&admin)).header("if-match", "*");
    let untyped = api.send(request.body(body().to_string().into()).unwrap()).await;
    assert_eq!(untyped.status, 415);
    assert_eq!(said(&api.get(PATH, Some(&admin)).await).2, 1, "none of them changed anything");
    let (_, user) = api.account("ann", Role::User).await;
    assert_eq!(put(&api, &user, "*", &body()).await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_gateway_goes_by_what_was_set_last() {
    let api = Api::start_with(&[("SPIKE_LIMITS_DEBOUNCE_MS", "0")]).await;
    let (_, admin) = api.account("root", Role::Admin).await;
    let gateways = [gateway(&api), gateway(&api)];
    let reached = async |version| {
        for gateway in &gateways {
            eventually(&format!("version {version}"), async || {
                (gateway.limits.version() == version).then_some(())
            })
            .await;
        }
    };
    reached(1).await;
    assert!(gateways.iter().all(|gateway| presses(gateway, 1) == 5), "as configured");
    assert_eq!(put(&api, &admin, "*", &body()).await.status, 200);
    reached(2).await;
    assert!(gateways.iter().all(|gateway| presses(gateway, 2) == 1), "one press a minute");
    assert_eq!(delete(&api, &admin, "*").await.status, 200);
    reached(3).await;
    assert!(gateways.iter().all(|gateway| presses(gateway, 2) == 5), "who has pressed before, too");

    // Straight into the database: no gateway is told, so this is the poll alone.
    let off = Rate { per_s: 0, burst: 1 };
    let limits = RateLimits { global: off, event: off, user: off, address: off, debounce_ms: 60_000 };
    api.store.set_rate_limits(&Expected::Any, Some(&limits)).await.unwrap();
    reached(4).await;
    // A gateway that starts later reads them at its start.
    let late = gateway(&api);
    eventually("the limits are read", async || (late.limits.version() == 4).then_some(())).await;
    assert_eq!([&gateways[0], &gateways[1], &late].map(|gateway| presses(gateway, 3)), [1, 1, 1]);
}

/// How many of five presses of a user are let through.
fn presses(gateway: &Arc<Shared>, user: i64) -> usize {
    let press = || gateway.limits.press(UserId(user), EventId(1), gateway.clock.read().mono_ns);
    (0..5).filter(|_| press().is_ok()).count()
}
