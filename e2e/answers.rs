//! What a buyer is told, from the first press to the row.

use spike_domain::EventId;

use crate::http::call;
use crate::poll::until;
use crate::system::{Sale, order_of, orders_path, shared};

#[test]
fn an_event_nobody_announced_is_404() {
    let system = shared();
    let (_, token) = system.user();
    assert_eq!(system.buy(EventId(987_654_321), &token, &[], None).refused(404), "not-found");
    assert_eq!(system.get("/api/v1/spike/events/987654321", &token).refused(404), "not-found");
}

#[test]
fn before_the_opening_a_press_is_told_when_to_come() {
    let system = shared();
    let event = system.open(Sale { opens_in_ms: 600_000, ..Sale::of(5) });
    let (_, token) = system.user();
    let early = system.buy(event, &token, &[], None);
    assert_eq!(early.refused(403), "not-started");
    let starts_at = early.json()["data"]["starts_at"].as_str().map(str::to_owned);
    let announced = system.get(&format!("/api/v1/spike/events/{event}"), &token).json();
    assert!(
        starts_at.is_some() && starts_at.as_deref() == announced["data"]["starts_at"].as_str(),
        "{announced}"
    );
}

#[test]
fn after_the_end_the_sale_is_gone() {
    let system = shared();
    let event = system.open(Sale { opens_in_ms: -20_000, ends_in_ms: -10_000, ..Sale::of(5) });
    let (_, token) = system.user();
    assert_eq!(system.buy(event, &token, &[], None).refused(410), "ended");
}

#[test]
fn an_order_goes_from_queued_to_pending_and_only_its_buyer_sees_it() {
    let system = shared();
    let event = system.open(Sale::of(5));
    let [(user, token), (_, stranger)] = [system.user(), system.user()];
    let accepted = system.buy(event, &token, &[], Some(r#"{"quantity":1}"#));
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let order = order_of(&accepted);
    let path = format!("{}/{order}", orders_path(event));
    assert_eq!(accepted.header("location"), Some(&*path));
    assert_eq!(accepted.json()["data"]["status"], "queued");

    for path in [&path, &format!("{}/mine", orders_path(event))] {
        until("the order is written", || {
            let seen = system.get(path, &token);
            assert_eq!((seen.status, order_of(&seen)), (200, order), "{seen:?}");
            let status = seen.json()["data"]["status"].clone();
            assert!(status == "queued" || status == "pending", "{status}");
            (status == "pending").then_some(())
        });
    }
    let row =
        system.runtime.block_on(system.store.order_for_user(order, user)).expect("the database answers");
    assert_eq!(row.expect("a row").event, event);

    let absent =
        system.get(&format!("{}/0192f0c0-0000-7000-8000-000000000000", orders_path(event)), &stranger);
    let foreign = system.get(&path, &stranger);
    assert_eq!((foreign.refused(404), absent.refused(404)), ("not-found".into(), "not-found".into()));
    assert_eq!(system.get(&format!("{}/mine", orders_path(event)), &stranger).refused(404), "not-found");
}

#[test]
fn a_second_press_is_a_duplicate_and_a_key_gives_the_first_answer_again() {
    let system = shared();
    let event = system.open(Sale { per_user_limit: 3, ..Sale::of(2) });
    let [(_, token), (_, other), (_, late)] = [system.user(), system.user(), system.user()];
    let key = ("Idempotency-Key", "the first press");
    let first = system.buy(event, &token, &[key], Some(r#"{"quantity":1}"#));
    assert_eq!((first.status, first.header("idempotent-replayed")), (202, None), "{first:?}");

    let replayed = || {
        let again = system.buy(event, &token, &[key], Some(r#"{"quantity":1}"#));
        assert_eq!((again.status, order_of(&again)), (202, order_of(&first)), "{again:?}");
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.body, first.body);
    };
    replayed();
    assert_eq!(
        system.buy(event, &token, &[key], Some(r#"{"quantity":2}"#)).refused(422),
        "idempotency-mismatch"
    );
    for headers in [&[][..], &[("Idempotency-Key", "another press")]] {
        let second = system.buy(event, &token, headers, None);
        assert_eq!((second.refused(409), order_of(&second)), ("already-bought".into(), order_of(&first)));
    }

    let short = system.buy(event, &other, &[], Some(r#"{"quantity":2}"#));
    assert_eq!(short.refused(409), "insufficient-stock");
    assert_eq!(system.buy(event, &other, &[], None).status, 202);
    // Twice: the second is answered by the flag, before any other work.
    for _ in 0..2 {
        let sold_out = system.buy(event, &late, &[], None);
        assert_eq!(sold_out.refused(409), "sold-out");
        assert!(String::from_utf8_lossy(&sold_out.body).contains("orders/mine"), "{sold_out:?}");
        assert_eq!(sold_out.header("retry-after"), None);
    }
    replayed();
    let books = system.audit_acknowledged(event, &[]);
    assert_eq!((books.R, books.L), (0, 2));
}

#[test]
fn an_events_page_is_kept_by_its_etag() {
    let system = shared();
    let event = system.open(Sale::of(5));
    let path = format!("/api/v1/spike/events/{event}");
    let page = call(system.http, "GET", &path, &[], None);
    assert_eq!((page.status, page.json()["data"]["id"].as_i64()), (200, Some(event.0)));
    let tag = page.header("etag").expect("an ETag").to_owned();
    let same = call(system.http, "GET", &path, &[("If-None-Match", &tag)], None);
    assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, Some(&*tag)));
    let other = call(system.http, "GET", &path, &[("If-None-Match", "\"another\"")], None);
    assert_eq!((other.status, &other.body), (200, &page.body));
    let listed = call(system.http, "GET", "/api/v1/spike/events", &[], None).json();
    let items = listed["data"]["items"].as_array().expect("a list").clone();
    assert!(items.iter().any(|item| item["id"] == event.0), "{listed}");
}
