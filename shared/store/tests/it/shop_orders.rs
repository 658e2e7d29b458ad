//! Ordinary orders: priced and taken in one transaction, cancelled by their user or their deadline, once.

use spike_domain::OrderStatus::{Cancelled, Paid, Pending};
use spike_domain::{Currency, Money, ProductId, Verdict};
use spike_store::{NewProduct, NewShopOrder, Placement, ShopChange, Store, StoreError};

use crate::sale::{eventually, new_product, price};
use crate::shop::{Shop, expire, times};

pub async fn an_order_takes_its_units_once(store: &Store) {
    let shop = Shop::of(store, &[5, 5, 5]).await;
    let new = NewShopOrder { expected: Some(times(5)), ..shop.order(&[2, 0, 3]) };
    let row = shop.placed(&new).await;
    assert_eq!((row.status, row.amount, row.user), (Pending, times(5), shop.buyers[0]));
    assert_eq!(row.expires_at_ms, row.created_at_ms + 3_600_000);
    let items: Vec<_> = row.items.iter().map(|item| (item.product, item.quantity, item.price)).collect();
    assert_eq!(items, [(shop.products[0], 2, price()), (shop.products[2], 3, price())]);
    assert_eq!(shop.placed(&new).await, row, "a repeat finds the first");
    assert_eq!(shop.figures().await, [(3, 2, 0), (5, 0, 0), (2, 3, 0)]);
    assert_eq!(store.shop_order(row.order, shop.buyers[0]).await.unwrap(), Some(row.clone()));
    assert_eq!(store.shop_order(row.order, shop.buyers[1]).await.unwrap(), None, "another's");

    let mut tasks = tokio::task::JoinSet::new();
    let again = shop.order(&[1, 0, 0]);
    for _ in 0..8 {
        let (store, again) = (store.clone(), again.clone());
        tasks.spawn(async move { store.place_shop_order(&again).await.unwrap() });
    }
    let placed = tasks.join_all().await;
    assert!(placed.windows(2).all(|pair| pair[0] == pair[1]), "{placed:?}");
    assert_eq!(shop.figures().await[0], (2, 3, 0), "eight repeats at once take one unit");
}

pub async fn an_order_that_is_refused_takes_nothing(store: &Store) {
    let shop = Shop::of(store, &[5, 1]).await;
    let dollars = Money { currency: Currency::parse("USD").unwrap(), ..price() };
    let foreign = NewProduct { price: dollars, ..new_product("foreign", 5) };
    let foreign = store.create_product(foreign, None).await.unwrap();
    let with = |product, units| {
        let mut order = shop.order(&[1, 0]);
        order.items.insert(product, units);
        order
    };
    let absent = ProductId(999_999);
    for (order, want) in [
        (with(absent, 1), Placement::NoSuchProduct(absent)),
        (with(foreign, 1), Placement::MixedCurrencies),
        (with(shop.products[1], 2), Placement::Short(shop.products[1])),
        (NewShopOrder { expected: Some(times(2)), ..shop.order(&[1, 0]) }, Placement::AmountIs(times(1))),
        (NewShopOrder { expected: Some(dollars), ..shop.order(&[1, 0]) }, Placement::AmountIs(times(1))),
    ] {
        assert_eq!(store.place_shop_order(&order).await.unwrap(), want);
        assert_eq!(store.shop_order(order.order, order.user).await.unwrap(), None);
    }
    assert_eq!(shop.figures().await, [(5, 0, 0), (1, 0, 0)]);
    let nothing = store.place_shop_order(&shop.order(&[0, 0])).await.unwrap_err();
    assert!(matches!(nothing, StoreError::Other(_)), "{nothing:?}");
}

pub async fn a_cancelled_order_frees_its_units_once(store: &Store) {
    let shop = Shop::of(store, &[2, 2]).await;
    let order = shop.placed(&shop.order(&[2, 1])).await.order;
    let [owner, other] = shop.buyers[..] else { panic!("two buyers") };
    assert!(matches!(store.cancel_shop_order(order, other).await, Err(StoreError::NotFound)));
    assert_eq!(store.cancel_shop_order(order, owner).await.unwrap(), ShopChange::Done);
    assert_eq!(store.cancel_shop_order(order, owner).await.unwrap(), ShopChange::Refused(Cancelled));
    assert_eq!(shop.figures().await, [(2, 0, 0), (2, 0, 0)]);
    let again = shop.placed(&shop.order(&[2, 2])).await.order;
    let attempt = shop.begun(again).await;
    store.settle_payment(attempt, Verdict::Captured).await.unwrap();
    assert_eq!(store.cancel_shop_order(again, owner).await.unwrap(), ShopChange::Refused(Paid));
    assert_eq!(shop.figures().await, [(0, 0, 2), (0, 0, 2)]);
}

pub async fn unpaid_shop_orders_expire(store: &Store) {
    let shop = Shop::of(store, &[9]).await;
    let hasty = async || shop.placed(&NewShopOrder { pay_timeout_s: 1, ..shop.order(&[1]) }).await.order;
    let patient = shop.placed(&shop.order(&[1])).await.order;
    let mut overdue = [hasty().await, hasty().await, hasty().await];
    let paid = hasty().await;
    let attempt = shop.begun(paid).await;
    store.settle_payment(attempt, Verdict::Captured).await.unwrap();
    let mut expired = Vec::new();
    eventually("three orders expire", async || {
        // Two workers at once.
        let (one, two) = tokio::join!(expire(store, 2), expire(store, 2));
        expired.extend(one.into_iter().chain(two));
        (expired.len() >= 3).then_some(())
    })
    .await;
    expired.sort();
    overdue.sort();
    assert_eq!(expired, overdue, "each by one of them");
    assert_eq!((shop.status(patient).await, shop.status(paid).await), (Pending, Paid));
    assert_eq!(shop.figures().await, [(7, 1, 1)]);
}

pub async fn a_users_shop_orders_by_cursor(store: &Store) {
    let shop = Shop::of(store, &[50, 50]).await;
    let mut mine = Vec::new();
    for number in 0..5 {
        mine.push(shop.placed(&shop.order(&[1, number % 2])).await);
        shop.placed(&NewShopOrder { user: shop.buyers[1], ..shop.order(&[1, 0]) }).await;
    }
    mine.sort_by_key(|row| std::cmp::Reverse(row.order));
    let page = async |before| store.shop_orders_of_user(shop.buyers[0], before, 2).await.unwrap();
    let first = page(None).await;
    let second = page(first.last().map(|row| row.order)).await;
    let third = page(second.last().map(|row| row.order)).await;
    assert_eq!([first, second, third].concat(), mine, "newest first, with their items");
}
