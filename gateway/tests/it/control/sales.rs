//! Products, events and a person's orders.

use serde_json::json;
use spike_domain::{EntryId, EventId, OrderId, OutboxEntry, QueuedOrder, Role, UserId};

use super::Api;
use super::api::event_body;

/// Texts that must come back as they went in.
const INJECTIONS: [&str; 7] = [
    "Robert'); DROP TABLE products;--",
    "\" OR \"\"=\"",
    "line\r\nSet-Cookie: a=b\r\n",
    "redis.call('FLUSHALL')",
    "${jndi:ldap://x} {{7*7}} $(id) `id` %n%s",
    "\u{1b}[31mred\u{202e}\u{feff}",
    "😀 ünïcödé \\u0000 \\",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn products_are_kept_as_they_were_given() {
    let api = Api::start().await;
    let (_, admin) = api.account("admin", Role::Admin).await;
    for (number, text) in INJECTIONS.iter().enumerate() {
        let price = json!({"minor": number, "currency": "EUR"});
        let body = json!({"sku": text, "name": text, "description": text, "price": price, "stock": number});
        let made = api.post("/products", Some(&admin), &body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let place = made.headers["location"].to_str().unwrap().strip_prefix("/api/v1").unwrap();
        let read = api.get(place, None).await;
        assert_eq!(read.data(), made.data());
        for field in ["sku", "name", "description", "price"] {
            assert_eq!(read.data()[field], body[field], "{field}");
        }
        let units = api.get(&format!("{place}/inventory"), None).await;
        assert_eq!((&units.data()["available"], &units.data()["reserved"]), (&json!(number), &json!(0)));
        let again = api.post("/products", Some(&admin), &body).await;
        assert_eq!((again.status, again.reason()), (409, "sku-taken"));
    }
    let page = api.get("/products?page=2&page_size=3", None).await;
    let names: Vec<_> = page.data()["items"].as_array().unwrap().iter().map(|item| &item["name"]).collect();
    assert_eq!(names, [INJECTIONS[3], INJECTIONS[2], INJECTIONS[1]], "newest first");
    assert_eq!(
        (&page.data()["total"], &page.data()["page"], &page.data()["page_size"]),
        (&json!(7), &json!(2), &json!(3))
    );
    assert_eq!(api.get("/products?page=9", None).await.data()["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_takes_its_units_out_of_the_inventory() {
    let api = Api::start().await;
    let (_, admin) = api.account("admin", Role::Admin).await;
    let (product, event) = api.sale(&admin, 60).await;
    let units = api.get(&format!("/products/{product}/inventory"), None).await;
    assert_eq!(
        units.data(),
        &json!({"product_id": product, "available": 40, "reserved": 60, "sold": 0, "version": 2})
    );
    let too_many = api.post("/admin/spike/events", Some(&admin), &event_body(product, 41)).await;
    assert_eq!((too_many.status, too_many.reason()), (409, "insufficient-inventory"));

    let mut body = event_body(product, 40);
    body["name"] = INJECTIONS[2].into();
    body.as_object_mut().unwrap().retain(|name, _| name != "per_user_limit" && name != "pay_timeout_s");
    let made = api.post("/admin/spike/events", Some(&admin), &body).await;
    assert_eq!(made.status, 201);
    let second = made.data();
    assert_eq!((&second["per_user_limit"], &second["pay_timeout_s"]), (&json!(1), &json!(900)), "defaults");
    assert_eq!((&second["name"], &second["state"]), (&json!(INJECTIONS[2]), &json!("scheduled")));
    assert_eq!(second["ends_at"], "2119-12-31T22:00:00.000Z", "times are told in UTC");

    let list = api.get("/spike/events", None).await;
    assert_eq!(list.data()["items"][0], *second, "newest first");
    assert_eq!((&list.data()["items"][1]["id"], &list.data()["total"]), (&json!(event), &json!(2)));
    let path = format!("/spike/events/{}", second["id"]);
    let shown = api.get(&path, None).await;
    assert_eq!(shown.data(), second);
    assert_eq!(shown.headers["etag"], made.headers["etag"]);
    assert_eq!(shown.headers["cache-control"], "public, max-age=1");
    let tag = shown.headers["etag"].to_str().unwrap();
    let same = api.with(("GET", &path), None, ("if-none-match", tag), None).await;
    assert_eq!((same.status, &same.headers["etag"]), (304, &shown.headers["etag"]));
    assert_eq!(same.headers["cache-control"], "public, max-age=1");
    let stats = api.get(&format!("/spike/events/{event}/stats"), None).await;
    assert_eq!(
        stats.data(),
        &json!({"event_id": event, "state": "scheduled", "ledger": null, "total": 60, "stock": null,
            "in_flight": null, "reserved": 0, "pending": 0, "sold": 0, "returned": 0, "version": null})
    );
    assert_eq!(stats.headers["cache-control"], "public, max-age=1");
    let tag = stats.headers["etag"].to_str().unwrap();
    let path = format!("/spike/events/{event}/stats");
    let same = api.with(("GET", &path), None, ("if-none-match", tag), None).await;
    assert_eq!((same.status, &same.headers["etag"]), (304, &stats.headers["etag"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_sees_their_own_orders_and_no_others() {
    let api = Api::start().await;
    let (_, admin) = api.account("admin", Role::Admin).await;
    let (ann, ann_token) = api.account("ann", Role::User).await;
    let (bob, bob_token) = api.account("bob", Role::User).await;
    let mut events = Vec::new();
    for _ in 0..3 {
        events.push(api.sale(&admin, 10).await.1);
    }
    let mut orders = Vec::new();
    for (number, event) in events.iter().enumerate() {
        orders.push(written(&api, *event, ann, number).await);
    }
    let bobs = written(&api, events[0], bob, 9).await;

    let one = api.get(&format!("/spike/events/{}/orders/{}", events[0], orders[0]), Some(&ann_token)).await;
    let data = one.data();
    assert_eq!(
        (&data["order_id"], &data["event_id"], &data["status"]),
        (&json!(orders[0]), &json!(events[0]), &json!("pending"))
    );
    assert_eq!((&data["quantity"], &data["amount"]), (&json!(2), &json!({"minor": 1998, "currency": "EUR"})));

    let absent =
        api.get(&format!("/spike/events/{}/orders/{}", events[0], OrderId::new(1)), Some(&ann_token)).await;
    assert_eq!((absent.status, absent.reason()), (404, "not-found"));
    for (event, order, token) in [
        (events[0], bobs, &ann_token),
        (events[0], orders[0], &bob_token),
        (events[1], orders[0], &ann_token),
    ] {
        let hidden = api.get(&format!("/spike/events/{event}/orders/{order}"), Some(token)).await;
        assert_eq!((hidden.status, hidden.without_id()), (404, absent.without_id()), "identical to absent");
    }

    let first = api.get("/spike/orders?page_size=2", Some(&ann_token)).await;
    let cursor = first.data()["next_cursor"].as_str().expect("a second page").to_owned();
    let second = api.get(&format!("/spike/orders?page_size=2&cursor={cursor}"), Some(&ann_token)).await;
    assert_eq!(second.data()["next_cursor"], json!(null));
    let pages = [first.data()["items"].clone(), second.data()["items"].clone()];
    let seen: Vec<_> = pages
        .iter()
        .flat_map(|page| page.as_array().unwrap())
        .map(|order| order["order_id"].clone())
        .collect();
    orders.reverse();
    assert_eq!(json!(seen), json!(orders), "newest first, each once, none of Bob's");
}

/// A row of two units, written as the worker writes it.
async fn written(api: &Api, event: EventId, user: UserId, number: usize) -> OrderId {
    written_at(api, event, user, number, 1_763_800_000_000).await
}

/// The same, accepted about then.
pub(super) async fn written_at(
    api: &Api,
    event: EventId,
    user: UserId,
    number: usize,
    accepted_at_ms: u64,
) -> OrderId {
    let row = api.store.event(event).await.unwrap().unwrap();
    let order = OrderId::new(accepted_at_ms + u64::try_from(number).unwrap());
    let queued = QueuedOrder { order, user, quantity: 2, key: None, accepted_at_ms };
    let id = EntryId { epoch: row.epoch, sequence: u64::try_from(number).unwrap() };
    let entry = OutboxEntry::new(id, vec![queued]);
    let outcome = api.store.insert_entries(event, &[entry]).await.unwrap();
    assert_eq!(outcome.outcomes.len(), 1, "{outcome:?}");
    order
}
