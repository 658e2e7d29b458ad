//! Where units are, and the ledger of how they got there.

use spike_domain::{ProductId, UserId};
use spike_store::{
    AdjustTo, Adjustment, Conflict, Delta, Expected, Inventory, MovementKind, Store, StoreError,
};

use crate::catalogue::conflict;
use crate::sale::{new_event, new_product};

const ADMIN: UserId = UserId(77);

fn by(delta: i64) -> Adjustment {
    Adjustment {
        to: AdjustTo::Delta(delta),
        expected: Expected::Any,
        actor: ADMIN,
        reason: "stocktaking".into(),
    }
}

fn to(available: u32, version: Option<u32>) -> Adjustment {
    let expected = version.map_or(Expected::Any, |version| Expected::OneOf(vec![9999, version]));
    Adjustment { to: AdjustTo::Available(available), expected, actor: ADMIN, reason: "Zoë ' \" \\ %".into() }
}

async fn figures(store: &Store, product: ProductId) -> Inventory {
    store.inventory(product).await.unwrap().unwrap()
}

pub async fn every_change_is_a_line_of_the_ledger(store: &Store) {
    let product = store.create_product(new_product("LAMP", 10), Some(ADMIN)).await.unwrap();
    let event = store.create_event(new_event(product, 7, 900), Some(ADMIN)).await.unwrap();
    store.adjust_inventory(product, by(-2)).await.unwrap();
    let last = store.adjust_inventory(product, to(40, None)).await.unwrap();
    assert_eq!(last, Inventory { available: 40, reserved: 7, sold: 0, version: 4 });
    assert_eq!(figures(store, product).await, last);

    let lines = store.movements(product, None, 10).await.unwrap();
    let told: Vec<_> = lines.iter().map(|line| (line.kind, line.delta, line.event)).collect();
    let available = |available| Delta { available, ..Delta::default() };
    assert_eq!(
        told,
        [
            (MovementKind::Adjusted, available(39), None),
            (MovementKind::Adjusted, available(-2), None),
            (MovementKind::Reserved, Delta { available: -7, reserved: 7, sold: 0 }, Some(event)),
            (MovementKind::Initial, available(10), None),
        ]
    );
    assert_eq!((lines[0].reason.as_str(), lines[3].reason.as_str()), ("Zoë ' \" \\ %", ""));
    assert!(lines.iter().all(|line| line.actor == Some(ADMIN) && line.order.is_none() && line.at_ms > 0));

    let older = store.movements(product, Some(lines[1].id), 1).await.unwrap();
    assert_eq!(older, lines[2..3], "a page after a cursor");
    assert_eq!(store.movements(ProductId(i64::MAX), None, 10).await.unwrap(), []);
    assert_eq!(store.inventory_audit().await.unwrap(), []);
}

pub async fn an_adjustment_keeps_its_conditions(store: &Store) {
    let product = store.create_product(new_product("LAMP", 10), None).await.unwrap();
    let before = figures(store, product).await;
    let refused = async |change| {
        let error = store.adjust_inventory(product, change).await.unwrap_err();
        conflict(&error).unwrap_or_else(|| panic!("{error:?}"))
    };
    for delta in [-11, i64::MIN, i64::MAX, i64::from(Store::UNITS_MAX) - 9] {
        assert_eq!(refused(by(delta)).await, Conflict::Inventory, "{delta}");
    }
    assert_eq!(refused(to(Store::UNITS_MAX + 1, None)).await, Conflict::Inventory);
    let carved = store.create_product(new_product("CHAIR", 10), None).await.unwrap();
    store.create_event(new_event(carved, 7, 60), None).await.unwrap();
    let full = store.adjust_inventory(carved, to(Store::UNITS_MAX - 6, None)).await.unwrap_err();
    assert_eq!(conflict(&full), Some(Conflict::Inventory), "what the event gives back would find no place");
    store.adjust_inventory(carved, to(Store::UNITS_MAX - 7, None)).await.unwrap();
    assert_eq!(refused(to(5, Some(before.version + 1))).await, Conflict::Version);
    let stale = Adjustment { expected: Expected::OneOf(vec![]), ..by(1) };
    assert_eq!(refused(stale).await, Conflict::Version);
    assert_eq!(figures(store, product).await, before);

    let same = store.adjust_inventory(product, to(10, Some(before.version))).await.unwrap();
    assert_eq!(same, before, "what is so already is no change");
    let after = store.adjust_inventory(product, to(0, Some(before.version))).await.unwrap();
    assert_eq!((after.available, after.version), (0, before.version + 1));
    let unknown = store.adjust_inventory(ProductId(i64::MAX), by(1)).await;
    assert!(matches!(unknown, Err(StoreError::NotFound)), "{unknown:?}");
    assert_eq!(store.movements(product, None, 10).await.unwrap().len(), 2, "nothing of what was refused");
}

pub async fn adjustments_at_once_never_go_below_zero(store: &Store) {
    let product = store.create_product(new_product("LAMP", 50), None).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut done = 0;
            for _ in 0..10 {
                match store.adjust_inventory(product, by(-1)).await {
                    Ok(_) => done += 1,
                    Err(error) => assert_eq!(conflict(&error), Some(Conflict::Inventory), "{error:?}"),
                }
            }
            done
        });
    }
    let done: u32 = tasks.join_all().await.into_iter().sum();
    assert_eq!((done, figures(store, product).await.available), (50, 0));
    assert_eq!(store.inventory_audit().await.unwrap(), []);
}

pub async fn events_and_adjustments_at_once_add_up(store: &Store) {
    let product = store.create_product(new_product("LAMP", 30), None).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..4 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut carved = 0;
            for _ in 0..8 {
                let moved = match task % 2 {
                    0 => store.create_event(new_event(product, 3, 60), None).await.map(|_| 3),
                    _ => store.adjust_inventory(product, by(1)).await.map(|_| 0),
                };
                match moved {
                    Ok(units) => carved += units,
                    Err(error) => assert_eq!(conflict(&error), Some(Conflict::Inventory), "{error:?}"),
                }
            }
            carved
        });
    }
    let carved: u32 = tasks.join_all().await.into_iter().sum();
    let after = figures(store, product).await;
    assert_eq!((after.reserved, after.available), (carved, 30 + 16 - carved));
    assert!(carved >= 30, "the stock was used: {carved}");
    assert_eq!(store.inventory_audit().await.unwrap(), []);
}
