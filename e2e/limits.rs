//! Rate limits that an administrator sets while gateways run: they hold at every gateway, outlive a restart, and are given back to
//! the configuration.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use spike_domain::EventId;

use crate::http::{Answer, call};
use crate::poll::{until, until_within};
use crate::shop::Shop;
use crate::system::{Sale, System, orders_path};

const PATH: &str = "/api/v1/admin/limits";
/// Some times what is promised: a second.
const WITHIN: Duration = Duration::from_secs(5);

/// No limit but these.
fn limits(user_per_s: u32, debounce_ms: u32) -> Value {
    let off = json!({ "per_s": 0, "burst": 1 });
    json!({
        "global": off, "event": off, "user": { "per_s": user_per_s, "burst": 1 }, "address": off,
        "debounce_ms": debounce_ms,
    })
}

fn admin(system: &System, at: SocketAddr, method: &str, seen: &str, body: Option<&Value>) -> Answer {
    let bearer = format!("Bearer {}", system.admin_token());
    let headers = [("Authorization", &*bearer), ("If-Match", seen)];
    call(at, method, PATH, &headers, body.map(Value::to_string).as_deref())
}

fn press(at: SocketAddr, event: EventId, token: &str) -> Answer {
    call(at, "POST", &orders_path(event), &[("Authorization", &format!("Bearer {token}"))], None)
}

/// Waits until a press is refused by this limit.
fn refused_by(name: &str, at: SocketAddr, event: EventId, token: &str) {
    until_within(WITHIN, &format!("{at} refuses by the limit {name}"), || {
        let answer = press(at, event, token);
        let policy = answer.header("ratelimit-policy").unwrap_or_default().to_owned();
        (answer.status == 429 && policy.starts_with(&format!("\"{name}\""))).then_some(())
    });
}

/// Waits until presses of somebody who has just been refused are let through, ten in a row.
fn let_through(at: SocketAddr, event: EventId, token: &str) {
    until_within(WITHIN, &format!("{at} lets everybody through"), || {
        (0..10).all(|_| [202, 409].contains(&press(at, event, token).status)).then_some(())
    });
}

#[test]
fn limits_set_at_one_gateway_hold_at_the_other_and_after_a_restart() {
    let mut system = System::start(&[]);
    let (mut second, other) = system.second_gateway();
    let event = system.open(Sale::of(5));
    let (_, buyer) = system.user();
    for at in [system.http, other] {
        until("the event sells", || [202, 409].contains(&press(at, event, &buyer).status).then_some(()));
        let_through(at, event, &buyer);
    }

    let set = admin(&system, system.http, "PUT", "\"1\"", Some(&limits(0, 60_000)));
    assert_eq!((set.status, set.header("etag")), (200, Some("\"2\"")), "{set:?}");
    for at in [other, system.http] {
        refused_by("press", at, event, &buyer);
    }
    let metrics = call(system.gateway_ops, "GET", "/metrics", &[], None);
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains("\nspike_gateway_rate_limits_version 2\n"), "{metrics}");
    let stale = admin(&system, other, "PUT", "\"1\"", Some(&limits(0, 0)));
    assert_eq!(stale.refused(412), "precondition-failed");

    system.gateway.restart();
    second.restart();
    for at in [other, system.http] {
        let shown = admin(&system, at, "GET", "*", None).json();
        assert_eq!(
            (&shown["data"]["source"], &shown["data"]["version"]),
            (&json!("administrator"), &json!(2))
        );
        until("the event sells again", || (press(at, event, &buyer).status != 503).then_some(()));
        refused_by("press", at, event, &buyer);
    }

    let moved = admin(&system, other, "PUT", "\"2\"", Some(&limits(1, 0)));
    assert_eq!(moved.status, 200, "{moved:?}");
    for at in [system.http, other] {
        refused_by("user", at, event, &buyer);
    }
    let back = admin(&system, other, "DELETE", "\"3\"", None);
    assert_eq!((back.status, &back.json()["data"]["source"]), (200, &json!("configuration")), "{back:?}");
    for at in [system.http, other] {
        let_through(at, event, &buyer);
    }
}

#[test]
fn one_process_obeys_limits_that_are_set_while_it_runs() {
    let mut shop = Shop::start(1);
    let (_, buyer) = shop.take_buyers(1).remove(0);
    let event = shop.open(Sale::of(5));
    let_through(shop.http, event, &buyer);
    assert_eq!(shop.as_admin("PUT", PATH, &limits(0, 60_000))["source"], "administrator");
    refused_by("press", shop.http, event, &buyer);
    shop.serve.restart();
    shop.wait_selling(event);
    refused_by("press", shop.http, event, &buyer);
    assert_eq!(shop.as_admin("DELETE", PATH, &json!({}))["source"], "configuration");
    let_through(shop.http, event, &buyer);
    let orders = shop.leave(event);
    assert_eq!(orders.len(), 1, "{orders:?}");
}
