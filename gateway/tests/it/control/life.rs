//! An event's life over REST: changed and deleted before it starts, seen by the gateways within a second, reconciled.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spike_domain::clock::{now_ms, rfc3339};
use spike_domain::{EventId, EventState, LedgerState, OrderId, ProductId, Role};
use spike_gateway::bridge::bridge;
use spike_gateway::follower::Follower;
use spike_gateway::local::events::EventTable;
use spike_gateway::local::{EventLocal, SaleClock};
use spike_gateway::shared::{Drain, Limits, Seats, Shared};
use spike_gateway::tokens::Tokens;
use spike_stock::reserve::Buyer;
use spike_telemetry::Counters;
use tokio::sync::{Notify, watch};

use super::Api;
use super::api::event_body;
use super::operations;

/// A product of 100 units and an event of `total` of them that starts in an hour.
async fn announced(api: &Api, admin: &str, total: u32) -> (ProductId, EventId) {
    let (product, other) = api.sale(admin, 1).await;
    api.store.delete_event(other, None, None).await.unwrap();
    let mut body = event_body(product, total);
    body["starts_at"] = rfc3339(now_ms() + 3_600_000).into();
    let made = api.post("/admin/spike/events", Some(admin), &body).await;
    assert_eq!(made.headers["etag"], "\"1\"");
    (product, EventId(made.data()["id"].as_i64().unwrap()))
}

async fn available(api: &Api, product: ProductId) -> u32 {
    api.store.inventory(product).await.unwrap().unwrap().available
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_changed_in_the_version_that_was_seen() {
    let api = Api::start().await;
    let (_, admin) = api.account("admin", Role::Admin).await;
    let (product, event) = announced(&api, &admin, 60).await;
    let path = format!("/admin/spike/events/{event}");
    let patch = async |tag: &str, body: Value| {
        let header = if tag.is_empty() { ("x-no-tag", "1") } else { ("if-match", tag) };
        api.with(("PATCH", &path), Some(&admin), header, Some(&body)).await
    };
    assert_eq!(patch("", json!({"total": 1})).await.status, 428);
    assert_eq!(patch("\"7\"", json!({"total": 1})).await.status, 412);
    let changed = patch("\"1\"", json!({"total": 70, "name": "Late sale", "per_user_limit": null})).await;
    assert_eq!((&changed.data()["total"], &changed.data()["name"]), (&json!(70), &json!("Late sale")));
    assert_eq!(
        (&changed.data()["version"], &changed.headers["etag"]),
        (&json!(2), &"\"2\"".parse().unwrap())
    );
    assert_eq!(available(&api, product).await, 30);
    let again = patch("\"1\"", json!({"total": 80})).await;
    assert_eq!((again.status, again.reason()), (412, "precondition-failed"));

    // The hot cores tag the event's page by what it says: that tag is as good as the version.
    let row = api.store.event(event).await.unwrap().unwrap();
    let page = EventLocal::new(row.def, row.state, None, 500, None).page.load().etag.clone();
    assert_eq!(
        patch(&page, json!({"price": {"minor": 5, "currency": "USD"}})).await.data()["price"]["minor"],
        5
    );
    assert_eq!(patch(&page, json!({"total": 1})).await.status, 412, "the page says something else by now");
    for (body, status, field) in [
        (json!({"product_id": 1}), 422, "product_id"),
        (json!({"total": 0}), 422, "total"),
        (json!({"ends_at": "2020-01-01T00:00:00Z"}), 422, "ends_at"),
        (json!({"starts_at": "noon"}), 422, "starts_at"),
    ] {
        let refused = patch("*", body).await;
        assert_eq!((refused.status, refused.fields()), (status, vec![field]));
    }
    assert_eq!(patch("*", json!({"total": 101})).await.reason(), "insufficient-inventory");
    assert_eq!(patch("*", json!({"starts_at": rfc3339(now_ms() - 1000)})).await.status, 200);
    let started = patch("*", json!({"total": 1})).await;
    assert_eq!((started.status, started.reason()), (409, "conflict"), "it has started");
    assert_eq!(available(&api, product).await, 30);

    let delete =
        async |tag: &str| api.with(("DELETE", &path), Some(&admin), ("if-match", tag), None).await.status;
    assert_eq!(delete("\"1\"").await, 412);
    assert_eq!(delete("*").await, 204);
    assert_eq!(delete("*").await, 404);
    assert_eq!(available(&api, product).await, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_reaches_a_gateway_within_a_second() {
    let api = Api::start().await;
    let (_, admin) = api.account("admin", Role::Admin).await;
    let (_, event) = announced(&api, &admin, 60).await;
    let worker = operations::watch(api.store.clone(), api.ledger.clone());
    let shared = gateway(&api);
    let within = async |what: &str, since: Instant, shown: &dyn Fn(Option<&EventLocal>) -> bool| {
        while !shown(shared.events.load().get(&event).map(AsRef::as_ref)) {
            assert!(since.elapsed() < Duration::from_secs(1), "{what}: not within a second");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let path = format!("/admin/spike/events/{event}");
    within("announced", Instant::now(), &|event| event.is_some()).await;
    let other = json!({"name": "Other"});
    api.with(("PATCH", &path), Some(&admin), ("if-match", "*"), Some(&other)).await;
    within("changed", Instant::now(), &|event| event.is_some_and(|event| event.def.name == "Other")).await;
    for (wish, state, ledger) in [
        ("warmup", EventState::Open, LedgerState::Open),
        ("pause", EventState::Paused, LedgerState::Paused),
        ("resume", EventState::Open, LedgerState::Open),
        ("close", EventState::Closed, LedgerState::Closed),
    ] {
        // Twice: an operator may repeat anything.
        for _ in 0..2 {
            let asked = api.post(&format!("{path}/{wish}"), Some(&admin), &json!({})).await;
            assert_eq!(asked.status, 200, "{}", asked.body);
        }
        let shows = |event: Option<&EventLocal>| {
            event.is_some_and(|event| {
                event.state == state && event.ledger.is_some_and(|view| view.state == ledger)
            })
        };
        within(wish, Instant::now(), &shows).await;
    }
    worker.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconciliation_names_what_does_not_add_up() {
    let api = Api::start().await;
    let (_, admin) = api.account("admin", Role::Admin).await;
    let (ann, _) = api.account("ann", Role::User).await;
    let (bob, _) = api.account("bob", Role::User).await;
    let (_, event) = api.sale(&admin, 10).await;
    let path = format!("/admin/spike/events/{event}/reconcile");
    let asked = async || api.post(&path, Some(&admin), &json!({})).await;
    assert_eq!(asked().await.reason(), "conflict", "nothing to compare before the warm-up");
    let worker = operations::watch(api.store.clone(), api.ledger.clone());
    api.post(&format!("/admin/spike/events/{event}/warmup"), Some(&admin), &json!({})).await;
    let epoch = api.ledger.meta(event).await.unwrap().unwrap().epoch;
    let press = |user| Buyer { user, order: OrderId::new(now_ms()), quantity: 2, key: None, trace: None };
    let (first, second) = (press(ann), press(bob));
    api.ledger.reserve(event, epoch, now_ms(), std::slice::from_ref(&first)).await.unwrap();
    let entries = api.ledger.entries(event, None, 10).await.unwrap().entries;
    api.store.insert_entries(event, &entries).await.unwrap();
    api.ledger.reserve(event, epoch, now_ms(), std::slice::from_ref(&second)).await.unwrap();
    let sound = asked().await;
    assert_eq!(sound.data()["differences"], json!([]), "{}", sound.body);
    assert_eq!(sound.data()["conservation"], json!({"S": 10, "R": 6, "L": 2, "F": 2, "K": 0}));

    // What no restart or crash does: an accepted entry is gone, a claim is gone, and a unit too many is for sale.
    let key = |part: &str| format!("spike:{{{event}}}:{part}");
    let last = api.ledger.entries(event, None, 10).await.unwrap().entries.pop().unwrap();
    for command in [
        &["XDEL", &key("outbox"), &last.id.to_string()][..],
        &["HDEL", &key("buyers"), &ann.to_string()],
        &["INCR", &key("stock")],
    ] {
        api.redis.command(command).unwrap();
    }
    let found = asked().await;
    let told = |kind: &str| {
        let all = found.data()["differences"].as_array().unwrap();
        let one = all.iter().find(|difference| difference["kind"] == kind);
        one.unwrap_or_else(|| panic!("{kind}: {}", found.body)).clone()
    };
    assert_eq!(told("drift")["count"], -1);
    assert_eq!(told("lost-orders")["examples"], json!([second.order]));
    assert_eq!(told("orders-without-a-claim")["examples"], json!([first.order]));
    worker.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_order_is_answered_from_the_database() {
    let api = Api::start().await;
    let (_, admin) = api.account("admin", Role::Admin).await;
    let (ann, token) = api.account("ann", Role::User).await;
    let (_, bob) = api.account("bob", Role::User).await;
    let (_, event) = api.sale(&admin, 10).await;
    let epoch = api.store.bump_epoch(event, 1, 0).await.unwrap();
    let order = OrderId::new(now_ms());
    let queued = spike_domain::QueuedOrder { order, user: ann, quantity: 2, key: None, accepted_at_ms: 1 };
    let id = spike_domain::EntryId { epoch, sequence: 0 };
    api.store.insert_entries(event, &[spike_domain::OutboxEntry::new(id, vec![queued])]).await.unwrap();

    let mine = format!("/spike/events/{event}/orders/mine");
    let found = api.get(&format!("{mine}?wait=30s"), Some(&token)).await;
    assert_eq!((&found.data()["order_id"], &found.data()["status"]), (&json!(order), &json!("pending")));
    assert_eq!(api.get(&format!("{mine}?wait=31s"), Some(&token)).await.fields(), ["wait"]);
    assert_eq!(api.get(&mine, Some(&bob)).await.status, 404);
    let stream = async |token: &str, seen: &'static str| {
        let path = format!("/spike/events/{event}/orders/{order}/events");
        let request = Api::request("GET", &path, Some(token)).header("last-event-id", seen);
        let answer = api.answer(request.body(axum::body::Body::empty()).unwrap()).await;
        let (head, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        (head.status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
    };
    let (status, text) = stream(&token, "queued").await;
    assert_eq!(status, 200);
    assert!(text.starts_with("retry: ") && text.contains("\nid: pending\nevent: status\ndata: {"), "{text}");
    assert_eq!(stream(&bob, "").await.0, 404);
    api.store.cancel_order(order, ann).await.unwrap();
    assert_eq!(stream(&token, "pending").await.0, 200);
    assert_eq!(stream(&token, "cancelled").await.0, 204);
}

/// A gateway's follower with its own table, on the API's servers.
pub fn gateway(api: &Api) -> Arc<Shared> {
    let config = api.config.clone();
    let shared = Arc::new(Shared {
        embedded: None,
        events: EventTable::default(),
        clock: SaleClock::new(now_ms()),
        tokens: Arc::new(Tokens::new(&config.auth)),
        limits: Limits::new(&config.limits),
        counters: Counters::new(1),
        bridge: bridge(1).0,
        relay_wake: Arc::new(Notify::new()),
        follower_wake: Arc::new(Notify::new()),
        connections: Seats::new(1),
        drain: Drain::default(),
        traces: None,
        failed_buys: Default::default(),
        config,
    });
    let events = watch::channel(Arc::default()).0;
    tokio::spawn(Follower::new(shared.clone(), api.ledger.clone(), api.store.clone(), events).run());
    shared
}
