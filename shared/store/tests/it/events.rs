//! The life of an event: changed and deleted before it starts, warmed up and closed by its schedule, and where its units
//! go.

use spike_domain::clock::now_ms;
use spike_domain::{EventState, OrderStatus, ProductId, QueuedOrder, UserId, Window};
use spike_store::{
    Change, Conflict, EventChange, EventList, EventRow, EventSort, Fenced, Inventory, MovementKind, NewEvent,
    Schedule, Store, StoreError,
};

use crate::sale::{Sale, done, new_event, new_product, order, order_of, price};

const ADMIN: Option<UserId> = Some(UserId(77));

fn conflict<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Conflict {
    match result {
        Err(StoreError::Conflict { what }) => what,
        other => panic!("{other:?}"),
    }
}

/// An event that starts in an hour and lasts one.
fn later(product: ProductId, total: u32) -> NewEvent {
    let starts_at_ms = now_ms() + 3_600_000;
    let window = Window { starts_at_ms, ends_at_ms: starts_at_ms + 3_600_000 };
    NewEvent { window, ..new_event(product, total, 900) }
}

async fn units(store: &Store, product: ProductId) -> (u32, u32, u32) {
    let Inventory { available, reserved, sold, .. } = store.inventory(product).await.unwrap().unwrap();
    assert_eq!(store.inventory_audit().await.unwrap(), []);
    (available, reserved, sold)
}

pub async fn an_event_changes_until_it_starts(store: &Store) {
    let product = store.create_product(new_product("LAMP", 10), None).await.unwrap();
    let event = store.create_event(later(product, 6), ADMIN).await.unwrap();
    let before = store.event(event).await.unwrap().unwrap();
    let change =
        async |change: EventChange, version| store.change_event(event, &change, version, ADMIN).await;

    let nothing = change(EventChange::default(), Some(before.version)).await.unwrap();
    assert_eq!(nothing, before, "what is so already is no change");
    let name = Some("'; DROP TABLE spike_events; --".to_owned());
    let wanted = EventChange {
        name: name.clone(),
        price: Some(spike_domain::Money { minor: 1, ..price() }),
        per_user_limit: Some(3),
        pay_timeout_s: Some(5),
        starts_at_ms: Some(before.def.window.starts_at_ms + 1),
        ends_at_ms: Some(before.def.window.ends_at_ms + 1),
        total: Some(9),
    };
    let after = change(wanted, Some(before.version)).await.unwrap();
    assert_eq!((Some(&after.def.name), after.def.price.minor), (name.as_ref(), 1));
    assert_eq!((after.def.per_user_limit, after.def.pay_timeout_s, after.def.total), (3, 5, 9));
    assert_eq!(after.def.window.ends_at_ms, before.def.window.ends_at_ms + 1);
    assert_eq!((after.version, after.def.product_id), (before.version + 1, product));
    assert_eq!(store.event(event).await.unwrap().unwrap(), after);
    assert_eq!(units(store, product).await, (1, 9, 0), "three more were carved out");

    let total = |total| EventChange { total: Some(total), ..EventChange::default() };
    assert_eq!(conflict(change(total(5), Some(before.version)).await), Conflict::Version);
    assert_eq!(conflict(change(total(11), None).await), Conflict::Inventory);
    let late = EventChange { starts_at_ms: Some(after.def.window.ends_at_ms), ..EventChange::default() };
    assert_eq!(conflict(change(late, None).await), Conflict::Window);
    assert_eq!(units(store, product).await, (1, 9, 0), "what is refused moves nothing");
    change(total(2), None).await.unwrap();
    assert_eq!(units(store, product).await, (8, 2, 0));
    let lines = store.movements(product, None, 10).await.unwrap();
    let told: Vec<_> =
        lines.iter().map(|line| (line.kind, line.delta.reserved, line.event, line.actor)).collect();
    assert_eq!(
        told[..2],
        [(MovementKind::Returned, -7, Some(event), ADMIN), (MovementKind::Reserved, 3, Some(event), ADMIN),]
    );

    let start = EventChange { starts_at_ms: Some(now_ms() - 1000), ..EventChange::default() };
    change(start, None).await.unwrap();
    assert_eq!(conflict(change(total(3), None).await), Conflict::EventState, "it has started");
    let open = store.create_event(later(product, 1), ADMIN).await.unwrap();
    store.set_event_state(open, EventState::Open).await.unwrap();
    assert_eq!(conflict(store.change_event(open, &total(2), None, None).await), Conflict::EventState);
    let unknown = store.change_event(spike_domain::EventId(i64::MAX), &total(1), None, None).await;
    assert!(matches!(unknown, Err(StoreError::NotFound)));
}

pub async fn a_deleted_event_gives_its_units_back(store: &Store) {
    let product = store.create_product(new_product("LAMP", 10), None).await.unwrap();
    let event = store.create_event(later(product, 6), ADMIN).await.unwrap();
    assert_eq!(conflict(store.delete_event(event, Some(7), ADMIN).await), Conflict::Version);
    store.delete_event(event, Some(1), ADMIN).await.unwrap();
    assert_eq!(units(store, product).await, (10, 0, 0));
    assert!(store.event(event).await.unwrap().is_none());
    assert!(matches!(store.delete_event(event, None, ADMIN).await, Err(StoreError::NotFound)), "once");
    assert_eq!(units(store, product).await, (10, 0, 0));
    let warm = store.create_event(later(product, 6), ADMIN).await.unwrap();
    store.set_event_state(warm, EventState::Open).await.unwrap();
    assert_eq!(conflict(store.delete_event(warm, None, ADMIN).await), Conflict::EventState);
    let known = store.create_event(later(product, 1), ADMIN).await.unwrap();
    store.bump_epoch(known, 1, 0).await.unwrap();
    assert_eq!(
        conflict(store.delete_event(known, None, ADMIN).await),
        Conflict::EventState,
        "it has a ledger"
    );
    assert_eq!(units(store, product).await, (3, 7, 0));
}

pub async fn events_are_listed_by_state_and_time(store: &Store) {
    let product = store.create_product(new_product("LAMP", 10), None).await.unwrap();
    let mut ids = Vec::new();
    for (starts_in_s, lasts_s) in [(3000, 10), (1000, 9000), (2000, 100)] {
        let starts_at_ms = now_ms() + starts_in_s * 1000;
        let window = Window { starts_at_ms, ends_at_ms: starts_at_ms + lasts_s * 1000 };
        ids.push(store.create_event(NewEvent { window, ..later(product, 1) }, None).await.unwrap());
    }
    store.set_event_state(ids[1], EventState::Open).await.unwrap();
    let all = EventList { state: None, sort: EventSort::Id, descending: true, page: 1, page_size: 2 };
    for (list, total, want) in [
        (all, 3, vec![2, 1]),
        (EventList { page: 2, ..all }, 3, vec![0]),
        (EventList { sort: EventSort::StartsAt, descending: false, ..all }, 3, vec![1, 2]),
        (EventList { sort: EventSort::EndsAt, ..all }, 3, vec![1, 0]),
        (EventList { state: Some(EventState::Open), ..all }, 1, vec![1]),
        (EventList { state: Some(EventState::Scheduled), descending: false, ..all }, 2, vec![0, 2]),
        (EventList { state: Some(EventState::Closed), ..all }, 0, vec![]),
    ] {
        let page = store.list_events(&list).await.unwrap();
        let got: Vec<_> = page.items.iter().map(|row| row.def.id).collect();
        assert_eq!((page.total, got), (total, want.iter().map(|at| ids[*at]).collect()), "{list:?}");
    }
}

pub async fn an_event_follows_its_schedule(store: &Store) {
    let product = store.create_product(new_product("LAMP", 10), None).await.unwrap();
    let event = store.create_event(later(product, 1), None).await.unwrap();
    let paused = store.create_event(later(product, 1), None).await.unwrap();
    store.set_event_state(paused, EventState::Open).await.unwrap();
    store.set_event_state(paused, EventState::Paused).await.unwrap();
    let window = store.event(event).await.unwrap().unwrap().def.window;
    let schedule = Schedule { warm_up_before_ms: 60_000, close_after_ms: 1000 };
    let never = Schedule { warm_up_before_ms: 0, close_after_ms: 0 };
    let at = async |schedule, now_ms| store.follow_schedule(schedule, now_ms).await.unwrap();
    let (opens, closes) = (window.starts_at_ms - 60_000, window.ends_at_ms + 5000);

    assert_eq!(at(schedule, opens - 1).await, []);
    assert_eq!(at(never, opens).await, []);
    assert_eq!(at(schedule, opens).await, [(event, EventState::Open)]);
    assert_eq!(at(schedule, opens).await, [], "once, and a paused one stays paused");
    let row = store.event(event).await.unwrap().unwrap();
    assert_eq!((row.state, row.version), (EventState::Open, 2));
    assert_eq!(at(never, closes).await, []);
    assert_eq!(at(schedule, closes).await, [(event, EventState::Closed), (paused, EventState::Closed)]);
    assert_eq!(at(schedule, closes).await, []);
    let missed = store.create_event(later(product, 1), None).await.unwrap();
    assert_eq!(at(schedule, closes).await, [(missed, EventState::Closed)], "never warmed up, and over");
}

pub async fn a_closed_event_returns_what_nobody_holds_once(store: &Store) {
    let sale = Sale::of(store, 10).await;
    let product = store.event(sale.event).await.unwrap().unwrap().def.product_id;
    let orders = [order_of(1, 2), order_of(2, 3), order_of(3, 1)];
    sale.insert(&orders).await;
    store.pay_order(orders[0].order).await.unwrap();
    let give_back = async |epoch| store.return_units(sale.event, epoch).await;
    assert_eq!(conflict(give_back(sale.epoch).await), Conflict::EventState, "not while it may sell");
    assert_eq!(store.sell_paid_units(sale.event).await.unwrap(), 2);
    assert_eq!(units(store, product).await, (0, 8, 2));

    store.set_event_state(sale.event, EventState::Closed).await.unwrap();
    let to_move = store.units_to_move().await.unwrap();
    assert!(to_move.len() == 1 && to_move[0].give_back && !to_move[0].sell, "{to_move:?}");
    let moved = give_back(sale.epoch - 1).await.unwrap();
    assert_eq!(
        moved,
        Fenced::EpochMoved { now: sale.epoch },
        "what was seen in another epoch counts for nothing"
    );
    let mut at_once = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (store, event, epoch) = (store.clone(), sale.event, sale.epoch);
        at_once.spawn(async move {
            (
                done(store.return_units(event, epoch).await.unwrap()),
                store.sell_paid_units(event).await.unwrap(),
            )
        });
    }
    let moved = at_once.join_all().await;
    assert_eq!(moved.iter().map(|(returned, sold)| returned + sold).sum::<u32>(), 4, "{moved:?}");
    assert_eq!(units(store, product).await, (4, 4, 2), "three and one unit still have time to pay");
    assert_eq!(store.units_to_move().await.unwrap(), []);

    // An order that comes after all meets no stock: its units belong to the inventory again.
    let late = order_of(9, 1);
    assert_eq!(sale.statuses(std::slice::from_ref(&late)).await, [OrderStatus::Rejected]);
    store.pay_order(orders[2].order).await.unwrap();
    assert!(matches!(store.cancel_order(orders[1].order, UserId(2)).await.unwrap(), Change::Done(_)));
    assert_eq!(done(give_back(sale.epoch).await.unwrap()), 3);
    assert_eq!(store.sell_paid_units(sale.event).await.unwrap(), 1);
    assert_eq!(units(store, product).await, (7, 0, 3));
    let figures = sale.figures().await;
    assert_eq!((figures.total, figures.paid, figures.returned), (10, 3, 7));
}

/// Whatever the order of buy, pay, cancel, close and settlement: every unit is where the event's own account says, and
/// in the end sold or back.
pub async fn units_add_up_whatever_happens_first(store: &Store) {
    for _ in 0..12 {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        wander(store, fastrand::Rng::with_seed(seed)).await;
    }
}

async fn wander(store: &Store, mut rng: fastrand::Rng) {
    let total = rng.u32(1..12);
    let sale = Sale::of(store, total).await;
    let product = store.event(sale.event).await.unwrap().unwrap().def.product_id;
    let mut orders: Vec<QueuedOrder> = Vec::new();
    for step in 0..40 {
        let any = (!orders.is_empty()).then(|| orders[rng.usize(..orders.len())].clone());
        match (rng.u8(0..8), any) {
            (0..=2, _) => {
                let new = order_of(step, rng.u32(1..3));
                sale.insert_one(&new).await;
                orders.push(new);
            }
            (3, Some(any)) => drop(store.pay_order(any.order).await.unwrap()),
            (4, Some(any)) => drop(store.cancel_order(any.order, any.user).await.unwrap()),
            (5, _) if step > 20 => drop(store.set_event_state(sale.event, EventState::Closed).await.unwrap()),
            (6, _) => drop(store.sell_paid_units(sale.event).await.unwrap()),
            // Refused while it is open.
            (_, _) => drop(store.return_units(sale.event, sale.epoch).await),
        }
        accounted(store, &sale, product).await;
    }
    store.set_event_state(sale.event, EventState::Closed).await.unwrap();
    for order in &orders {
        let ended = match rng.bool() {
            true => store.pay_order(order.order).await,
            false => store.cancel_order(order.order, order.user).await,
        };
        ended.unwrap();
    }
    while let [only] = store.units_to_move().await.unwrap()[..] {
        store.sell_paid_units(only.event).await.unwrap();
        store.return_units(only.event, only.epoch).await.unwrap();
    }
    let row = accounted(store, &sale, product).await;
    assert_eq!(units(store, product).await, (total - row.paid, 0, row.paid));
    assert_eq!((row.reserved, row.returned), (row.paid, total - row.paid));
}

async fn accounted(store: &Store, sale: &Sale<'_>, product: ProductId) -> EventRow {
    let row = store.event(sale.event).await.unwrap().unwrap();
    let (available, reserved, sold) = units(store, product).await;
    assert_eq!(available, row.returned, "all of the product's units were the event's");
    assert_eq!(reserved + sold + available, row.def.total);
    assert!(sold <= row.paid && row.paid <= row.reserved && row.reserved + row.returned <= row.def.total);
    sale.figures().await;
    row
}

pub async fn a_users_order_in_an_event_is_the_live_one(store: &Store) {
    let (sale, other) = (Sale::of(store, 5).await, Sale::of(store, 5).await);
    let (first, second) = (order(1), order(1));
    let mine = async || store.order_in_event(sale.event, UserId(1)).await.unwrap().map(|row| row.order);
    assert_eq!(mine().await, None);
    sale.insert_one(&first).await;
    // Rejected: the user holds a live order already, which is the older one.
    sale.insert_one(&second).await;
    other.insert_one(&order(1)).await;
    assert_eq!(mine().await, Some(first.order));
    store.cancel_order(first.order, UserId(1)).await.unwrap();
    assert_eq!(mine().await, Some(first.order.max(second.order)), "the newest of those that ended");
    assert_eq!(store.order_in_event(sale.event, UserId(2)).await.unwrap(), None);
}
