//! The catalogue: changing and deleting what others read, and lists of very many.

use spike_domain::{Currency, EventState, Money, ProductId, UserId};
use spike_store::{
    Conflict, Expected, NewProduct, Page, ProductChange, ProductList, ProductRow, ProductSort, Store,
    StoreError,
};

use crate::catalogue::conflict;
use crate::sale::{new_event, new_product, price};

/// Products of the large catalogue.
const MANY: u32 = 100_000;

fn seen(version: u32) -> Expected {
    Expected::OneOf(vec![version])
}

fn list(sort: ProductSort, descending: bool) -> ProductList {
    ProductList { sort, descending, page: 1, page_size: 100, ..ProductList::default() }
}

fn search(words: &str) -> ProductList {
    ProductList { search: Some(words.into()), ..list(ProductSort::Name, false) }
}

async fn skus(store: &Store, list: &ProductList) -> Vec<String> {
    let Page { items, total } = store.list_products(list).await.unwrap();
    assert_eq!(u64::try_from(items.len()).unwrap(), total, "one page of {list:?}");
    items.into_iter().map(|row: ProductRow| row.sku).collect()
}

async fn refused(result: impl Future<Output = spike_store::Result<ProductRow>>) -> Conflict {
    let error = result.await.unwrap_err();
    conflict(&error).unwrap_or_else(|| panic!("{error:?}"))
}

pub async fn a_product_changes_in_the_version_that_was_seen(store: &Store) {
    let id = store.create_product(new_product("LAMP", 1), None).await.unwrap();
    store.create_product(new_product("DESK", 1), None).await.unwrap();
    let before = store.product(id).await.unwrap().unwrap();

    let nothing = store.update_product(id, &seen(1), &ProductChange::default()).await.unwrap();
    assert_eq!(nothing, before);
    let change = ProductChange { name: Some("Zoë's ÄPFEL %_\\".into()), ..ProductChange::default() };
    let after = store.update_product(id, &seen(1), &change).await.unwrap();
    assert_eq!((after.version, &after.name, &after.sku), (2, change.name.as_ref().unwrap(), &before.sku));
    assert_eq!(store.product(id).await.unwrap().unwrap(), after);
    assert_eq!(skus(store, &search("zoë's äp")).await, ["LAMP"], "found by its new name");
    assert_eq!(skus(store, &search("lam")).await, ["DESK", "LAMP"], "one by name, one by SKU");

    assert_eq!(refused(store.update_product(id, &seen(1), &change)).await, Conflict::Version);
    let taken = ProductChange { sku: Some("DESK".into()), ..ProductChange::default() };
    assert_eq!(refused(store.update_product(id, &Expected::Any, &taken)).await, Conflict::Sku);
    let unknown = store.update_product(ProductId(i64::MAX), &Expected::Any, &change).await;
    assert!(matches!(unknown, Err(StoreError::NotFound)), "{unknown:?}");

    let every = ProductChange {
        sku: Some("lamp-2".into()),
        name: Some("n".into()),
        description: Some(String::new()),
        price: Some(Money { minor: 0, currency: Currency::parse("JPY").unwrap() }),
    };
    let last = store.update_product(id, &Expected::Any, &every).await.unwrap();
    assert_eq!((last.sku.as_str(), last.description.as_str(), last.price.minor), ("lamp-2", "", 0));
}

pub async fn one_of_many_who_saw_the_same_version_changes_it(store: &Store) {
    let id = store.create_product(new_product("LAMP", 1), None).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..12 {
        let store = store.clone();
        tasks.spawn(async move {
            let change = ProductChange { name: Some(format!("Lamp {task}")), ..ProductChange::default() };
            match store.update_product(id, &seen(1), &change).await {
                Ok(_) => 1,
                Err(error) => {
                    assert_eq!(conflict(&error), Some(Conflict::Version), "{error:?}");
                    0
                }
            }
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().sum::<u32>(), 1);
    assert_eq!(store.product(id).await.unwrap().unwrap().version, 2);
}

pub async fn a_deleted_product_is_gone_and_keeps_its_sku(store: &Store) {
    let id = store.create_product(new_product("LAMP", 5), None).await.unwrap();
    let event = store.create_event(new_event(id, 2, 60), None).await.unwrap();
    let delete = async |expected: &Expected| store.delete_product(id, expected).await;
    assert_eq!(conflict(&delete(&Expected::Any).await.unwrap_err()), Some(Conflict::InUse));
    store.set_event_state(event, EventState::Closed).await.unwrap();
    assert_eq!(conflict(&delete(&seen(2)).await.unwrap_err()), Some(Conflict::Version));
    delete(&seen(1)).await.unwrap();

    assert!(matches!(delete(&Expected::Any).await, Err(StoreError::NotFound)));
    assert!(store.product(id).await.unwrap().is_none());
    assert!(store.inventory(id).await.unwrap().is_none());
    assert_eq!(skus(store, &list(ProductSort::Id, false)).await, <[&str; 0]>::default());
    assert_eq!(skus(store, &search("l")).await, <[&str; 0]>::default());
    let event = store.create_event(new_event(id, 1, 60), None).await;
    assert!(matches!(event, Err(StoreError::NotFound)), "{event:?}");
    let again = store.create_product(new_product("LAMP", 1), None).await.unwrap_err();
    assert_eq!(conflict(&again), Some(Conflict::Sku), "a SKU is never used twice");
    assert!(!store.movements(id, None, 10).await.unwrap().is_empty(), "its ledger stays");
    assert_eq!(store.inventory_audit().await.unwrap(), []);
}

pub async fn no_event_is_made_of_a_product_while_it_is_deleted(store: &Store) {
    for round in 0..10 {
        let id = store.create_product(new_product(&format!("LAMP-{round}"), 5), None).await.unwrap();
        let event = store.create_event(new_event(id, 1, 60), None);
        let (event, deleted) = tokio::join!(event, store.delete_product(id, &Expected::Any));
        assert!(event.is_ok() != deleted.is_ok(), "one of them: {event:?} {deleted:?}");
    }
}

pub async fn lists_are_sorted_and_filtered(store: &Store) {
    let yen = Currency::parse("JPY").unwrap();
    for (sku, name, minor, currency, stock) in [
        ("b-1", "lamp", 300, None, 0),
        ("A-2", "Chair", 100, None, 5),
        ("c-3", "Äpfel", 300, Some(yen), 5),
        ("a_4", "chair 100%", 200, None, 5),
    ] {
        let price = Money { minor, currency: currency.unwrap_or(price().currency) };
        let product = NewProduct { name: name.into(), price, ..new_product(sku, stock) };
        store.create_product(product, Some(UserId(1))).await.unwrap();
    }
    for (sort, up) in [
        (ProductSort::Id, ["b-1", "A-2", "c-3", "a_4"]),
        (ProductSort::CreatedAt, ["b-1", "A-2", "c-3", "a_4"]),
        (ProductSort::Name, ["A-2", "a_4", "b-1", "c-3"]),
        (ProductSort::Price, ["A-2", "a_4", "b-1", "c-3"]),
        (ProductSort::Sku, ["A-2", "a_4", "b-1", "c-3"]),
    ] {
        assert_eq!(skus(store, &list(sort, false)).await, up, "{sort:?}");
        let mut down = up;
        down.reverse();
        assert_eq!(skus(store, &list(sort, true)).await, down, "{sort:?} descending");
    }
    let all = || list(ProductSort::Id, false);
    let cases: [(ProductList, &[&str]); 13] = [
        (ProductList { price_min: Some(200), ..all() }, &["b-1", "c-3", "a_4"]),
        (ProductList { price_min: Some(101), price_max: Some(299), ..all() }, &["a_4"]),
        (ProductList { currency: Some(yen), ..all() }, &["c-3"]),
        (ProductList { in_stock: Some(true), ..all() }, &["A-2", "c-3", "a_4"]),
        (ProductList { in_stock: Some(false), ..all() }, &["b-1"]),
        (ProductList { in_stock: Some(true), price_min: Some(200), currency: Some(yen), ..all() }, &["c-3"]),
        (search("CHAIR"), &["A-2", "a_4"]),
        (ProductList { price_max: Some(100), ..search("chair") }, &["A-2"]),
        (search("a"), &["A-2", "a_4"]),
        (search("ä"), &["c-3"]),
        (search("%"), &[]),
        (search("a_"), &["a_4"]),
        (search("chair 100%"), &["a_4"]),
    ];
    for (wanted, found) in cases {
        assert_eq!(skus(store, &wanted).await, found, "{wanted:?}");
    }
}

pub async fn a_page_of_very_many_is_one_indexed_query(store: &Store) {
    let product = |number: u32| NewProduct {
        name: format!("{} {number:06}", ["Lamp", "Chair", "Desk", "Shelf"][number as usize % 4]),
        price: Money { minor: i64::from(number.wrapping_mul(7919) % 10_000), currency: price().currency },
        ..new_product(&format!("SKU-{number:06}"), number % 3)
    };
    let products: Vec<_> = (0..MANY).map(product).collect();
    store.bulk_insert_products(&products).await.unwrap();

    let filtered = |list: ProductList| ProductList {
        price_min: Some(10),
        price_max: Some(9_000),
        currency: Some(price().currency),
        in_stock: Some(true),
        ..list
    };
    for sort in ProductSort::ALL {
        for descending in [false, true] {
            let plain = ProductList { page: 900, ..list(sort, descending) };
            for wanted in [plain.clone(), filtered(plain)] {
                plan_is_of_the_index(store, &wanted).await;
            }
        }
    }
    for wanted in [search("sku-0001"), filtered(search("s"))] {
        plan_is_of_the_index(store, &wanted).await;
    }

    let last = ProductList { page: 1000, ..list(ProductSort::Name, false) };
    let page = store.list_products(&last).await.unwrap();
    assert_eq!((page.items.len(), page.total), (100, u64::from(MANY)));
    assert_eq!(page.items[99].name, "Shelf 099999");
    assert_eq!(skus(store, &search("LAMP 00000")).await, ["SKU-000000", "SKU-000004", "SKU-000008"]);
    let wide = store.list_products(&search("s")).await.unwrap();
    assert_eq!(wide.total, 1750, "the first thousand by name and by SKU, a quarter of them the same");
    assert_eq!(store.inventory_audit().await.unwrap(), []);
}

/// Every step that reads products does so by an index or by their ids, and nothing but a page or a search's
/// hits is sorted.
async fn plan_is_of_the_index(store: &Store, list: &ProductList) {
    let plan = store.product_list_plan(list).await.unwrap();
    let shown = format!("{list:?}\n{plan:#?}");
    assert!(plan.iter().any(|step| step.contains("products_by_")), "{shown}");
    for step in &plan {
        // SQLite: a table read without an index is "SCAN products" and no more.
        assert!(!matches!(step.as_str(), "SCAN products" | "SCAN p" | "SCAN s"), "{shown}");
        // MariaDB: a row of the plan for each table.
        let of_products =
            ["table=products ", "table=p ", "table=s "].iter().any(|table| step.contains(table));
        assert!(!of_products || !step.contains("type=ALL"), "{shown}");
        let sorts = step.contains("filesort") && step.contains("table=products ");
        assert!(!sorts, "sorts the table: {shown}");
    }
    // SQLite sorts a page at its end and, for a search, the hits: never the table inside.
    let sorters = plan.iter().filter(|step| step.contains("USE TEMP B-TREE FOR ORDER BY")).count();
    assert!(sorters <= if list.search.is_some() { 2 } else { 1 }, "{shown}");
}
