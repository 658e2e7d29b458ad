//! Accounts, products and events.

use std::collections::HashSet;

use spike_domain::{EventId, EventState, ProductId, Role, UserId};
use spike_store::{Conflict, EventList, EventSort, Inventory, NewUser, ProductList, Store, StoreError};

use crate::sale::{Sale, new_event, new_product, order, order_of};

fn new_user(email: &str) -> NewUser {
    let password_hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".into();
    NewUser { email: email.into(), name: "Zoë ' \" \\ %".into(), password_hash, role: Role::User }
}

pub fn conflict(error: &StoreError) -> Option<Conflict> {
    match error {
        StoreError::Conflict { what } => Some(*what),
        _ => None,
    }
}

pub async fn accounts_are_unique_by_email_in_any_case(store: &Store) {
    let id = store.create_user(new_user(" Ada@Example.org")).await.unwrap();
    let again = store.create_user(new_user("ADA@example.ORG ")).await.unwrap_err();
    assert_eq!(conflict(&again), Some(Conflict::Email));

    let by_email = store.user_by_email("aDa@example.org").await.unwrap().unwrap();
    assert_eq!(
        (by_email.id, by_email.email.as_str(), by_email.name.as_str()),
        (id, "ada@example.org", "Zoë ' \" \\ %")
    );
    assert_eq!((by_email.role, by_email.disabled, by_email.token_version), (Role::User, false, 0));
    assert!(store.user_by_email("nobody@example.org").await.unwrap().is_none());
    assert!(store.user_by_id(UserId(i64::MAX)).await.unwrap().is_none());

    store.set_role(id, Role::Admin).await.unwrap();
    let raised = store.user_by_id(id).await.unwrap().unwrap();
    assert_eq!((raised.role, raised.token_version), (Role::Admin, 1));
    assert!(matches!(store.set_role(UserId(i64::MAX), Role::Admin).await, Err(StoreError::NotFound)));
}

pub async fn bulk_users_get_distinct_ids(store: &Store) {
    let ids = store.bulk_insert_users("Load", 1203, "hash").await.unwrap();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 1203);
    let last = store.user_by_id(*ids.last().unwrap()).await.unwrap().unwrap();
    assert_eq!(last.email, "load-00001202@load.invalid");
    let again = store.bulk_insert_users("load", 2, "hash").await.unwrap_err();
    assert_eq!(conflict(&again), Some(Conflict::Email));
    assert_eq!(store.bulk_insert_users("none", 0, "hash").await.unwrap(), []);
}

pub async fn products_and_their_stock(store: &Store) {
    let new = new_product("LAMP-1", 7);
    let id = store.create_product(new.clone(), None).await.unwrap();
    let again = store.create_product(new.clone(), None).await.unwrap_err();
    assert_eq!(conflict(&again), Some(Conflict::Sku));
    let row = store.product(id).await.unwrap().unwrap();
    assert_eq!(
        (row.sku, row.name, row.description, row.price),
        (new.sku, new.name, new.description, new.price)
    );
    let stock = store.inventory(id).await.unwrap().unwrap();
    assert_eq!(stock, Inventory { available: 7, reserved: 0, sold: 0, version: 1 });
    assert!(store.product(ProductId(i64::MAX)).await.unwrap().is_none());
    assert!(store.inventory(ProductId(i64::MAX)).await.unwrap().is_none());
}

pub async fn an_event_is_carved_out_of_the_inventory(store: &Store) {
    let product = store.create_product(new_product("LAMP-1", 10), None).await.unwrap();
    let new = new_event(product, 7, 900);
    let event = store.create_event(new.clone(), None).await.unwrap();
    let stock = store.inventory(product).await.unwrap().unwrap();
    assert_eq!(stock, Inventory { available: 3, reserved: 7, sold: 0, version: 2 });

    let row = store.event(event).await.unwrap().unwrap();
    assert_eq!((row.state, row.epoch, row.reserved), (EventState::Scheduled, 0, 0));
    assert_eq!((row.def.total, row.def.window, row.def.price), (new.total, new.window, new.price));
    assert_eq!((row.def.name, row.def.per_user_limit, row.def.pay_timeout_s), (new.name, 10, 900));

    let too_much = store.create_event(new_event(product, 4, 900), None).await.unwrap_err();
    assert_eq!(conflict(&too_much), Some(Conflict::Inventory));
    assert_eq!(store.inventory(product).await.unwrap().unwrap(), stock);
    let unknown = store.create_event(new_event(ProductId(i64::MAX), 1, 900), None).await;
    assert!(matches!(unknown, Err(StoreError::NotFound)));
}

pub async fn states_go_forward_only(store: &Store) {
    let sale = Sale::of(store, 5).await;
    let go = async |state| store.set_event_state(sale.event, state).await;
    let watched = async || store.events_to_watch().await.unwrap();
    assert_eq!(watched().await, [], "a scheduled event has no ledger");
    assert_eq!(conflict(&go(EventState::Paused).await.unwrap_err()), Some(Conflict::EventState));

    let open = go(EventState::Open).await.unwrap();
    assert_eq!(go(EventState::Open).await.unwrap(), open, "asking twice changes nothing");
    assert_eq!(open.version, 2);
    let seen = watched().await;
    assert_eq!((seen[0].id, seen[0].epoch, seen[0].state), (sale.event, sale.epoch, EventState::Open));
    go(EventState::Paused).await.unwrap();
    go(EventState::Open).await.unwrap();
    sale.insert(&[order(1)]).await;
    let closed = go(EventState::Closed).await.unwrap();
    assert_eq!((closed.state, closed.version, closed.reserved), (EventState::Closed, 5, 1));
    assert_eq!(conflict(&go(EventState::Open).await.unwrap_err()), Some(Conflict::EventState));
    assert_eq!(watched().await[0].state, EventState::Closed, "closed lately");
    assert_eq!(store.events_for_gateways().await.unwrap(), [closed]);
    let unknown = store.set_event_state(EventId(i64::MAX), EventState::Open).await;
    assert!(matches!(unknown, Err(StoreError::NotFound)));
}

fn newest(page: u32) -> ProductList {
    ProductList { descending: true, page, page_size: 2, ..ProductList::default() }
}

pub async fn lists_are_paged(store: &Store) {
    let mut ids = Vec::new();
    for number in 0..5 {
        let product = store.create_product(new_product(&format!("LAMP-{number}"), 10), None).await.unwrap();
        ids.push((product, store.create_event(new_event(product, 1, 60), None).await.unwrap()));
    }
    let latest = EventList { state: None, sort: EventSort::Id, descending: true, page: 1, page_size: 2 };
    for (page, want) in [(1, &[4usize, 3][..]), (3, &[0]), (4, &[])] {
        let products = store.list_products(&newest(page)).await.unwrap();
        let events = store.list_events(&EventList { page, ..latest }).await.unwrap();
        assert_eq!((products.total, events.total), (5, 5));
        let got: Vec<_> =
            products.items.iter().map(|p| p.id).zip(events.items.iter().map(|e| e.def.id)).collect();
        assert_eq!(got, want.iter().map(|at| ids[*at]).collect::<Vec<_>>(), "page {page}");
    }
    assert_eq!(store.events_for_gateways().await.unwrap().len(), 5);
}

pub async fn what_a_column_cannot_hold_is_refused(store: &Store) {
    let mut long = new_product("X", 1);
    long.name = "é".repeat(200);
    store.create_product(long.clone(), None).await.expect("two hundred characters");
    let mut longer = long.clone();
    (longer.sku, longer.name) = ("Y".into(), "é".repeat(201));
    let mut much = long;
    (much.sku, much.stock) = ("Z".into(), u32::MAX);
    for product in [longer, much] {
        let error = store.create_product(product, None).await.unwrap_err();
        assert!(matches!(error, StoreError::Other(_)), "refused rather than cut: {error:?}");
    }
    let sale = Sale::of(store, 10).await;
    for quantity in [0, u32::MAX] {
        let entry = sale.entry(1, &[order_of(1, quantity)]);
        let result = store.insert_entries(sale.event, &[entry]).await;
        // What does not fit into the total is rejected; its row and its marker cannot hold its units.
        let error = result.unwrap_err();
        assert!(!error.transient(), "bisection must find it: {error:?}");
    }
    assert_eq!(sale.live_and_markers().await, (0, 0));
}

pub async fn the_clock_is_right(store: &Store) {
    let mut last_ms = 0;
    for _ in 0..50 {
        let now_ms = store.now_ms().await.unwrap();
        let off_ms = now_ms.abs_diff(spike_domain::clock::now_ms());
        assert!(off_ms < 60_000, "{off_ms} ms away from this process's clock");
        assert!(now_ms >= last_ms, "{now_ms} after {last_ms}");
        last_ms = now_ms;
    }
}
