//! What only MySQL and MariaDB have: migrations up and down, the session's settings, and lock conflicts.

use std::time::{Duration, Instant};

use spike_devstack::{ChaosProxy, Fault};
use spike_domain::OrderId;
use spike_store::{DatabaseSettings, Overdue, Poison, Store, StoreError};
use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection, Row as _};

use crate::database::{fresh_url, settings, store};
use crate::sale::{Sale, eventually, order};
use crate::sessions::garbage_is_refused;
use crate::shop::Shop;

async fn tables(url: &str) -> Vec<String> {
    let mut conn = MySqlConnection::connect(url).await.unwrap();
    let rows = sqlx::query("SHOW TABLES").fetch_all(&mut conn).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0)).filter(|table| !table.starts_with("_sqlx")).collect()
}

#[tokio::test]
async fn migrations_go_up_down_and_up_again() {
    let url = fresh_url().await;
    let store = Store::connect(&settings(url.clone())).await.unwrap();
    store.ping().await.unwrap();
    let (one, two) = tokio::join!(store.migrate(), store.migrate());
    one.and(two).expect("processes that start together take turns");
    let up = tables(&url).await;
    assert!(up.len() > 9, "{up:?}");
    store.migrate_down(0).await.unwrap();
    assert_eq!(tables(&url).await, Vec::<String>::new());
    store.migrate().await.unwrap();
    assert_eq!(tables(&url).await, up);
    Sale::of(&store, 1).await.insert(&[order(1)]).await;
}

/// A transaction that holds the lock of an event's row until it is dropped.
async fn holder(url: &str, sale: &Sale<'_>) -> MySqlConnection {
    let mut conn = MySqlConnection::connect(url).await.unwrap();
    let lock = format!("BEGIN; SELECT id FROM spike_events WHERE id = {} FOR UPDATE", sale.event);
    sqlx::raw_sql(AssertSqlSafe(lock)).fetch_all(&mut conn).await.unwrap();
    conn
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_held_for_a_while_is_waited_for_and_one_held_for_good_is_told() {
    let url = fresh_url().await;
    let patient = Store::connect(&settings(url.clone())).await.unwrap();
    patient.migrate().await.unwrap();
    let hasty = DatabaseSettings { statement_timeout: Duration::from_secs(2), ..settings(url.clone()) };
    let hasty = Store::connect(&hasty).await.unwrap();
    let sale = Sale::of(&patient, 10).await;

    let holder = holder(&url, &sale).await;
    let entry = sale.entry(1, &[order(1)]);
    let begun = Instant::now();
    let error = hasty.insert_entries(sale.event, std::slice::from_ref(&entry)).await.unwrap_err();
    assert!(error.transient(), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(15), "bounded: {:?}", begun.elapsed());

    let waiting = tokio::spawn({
        let (store, event, entry) = (patient.clone(), sale.event, entry.clone());
        async move { store.insert_entries(event, &[entry]).await }
    });
    drop(holder);
    waiting.await.unwrap().expect("written once the lock is free");
    assert_eq!(sale.live_and_markers().await, (1, 0));
    hasty.insert_entries(sale.event, &[entry]).await.expect("its connections are sound again");
}

#[tokio::test]
async fn a_call_dropped_half_way_leaves_no_transaction_behind() {
    let url = fresh_url().await;
    let store =
        Store::connect(&DatabaseSettings { connections_max: 1, ..settings(url.clone()) }).await.unwrap();
    store.migrate().await.unwrap();
    crate::crowd::calls_dropped_half_way_leave_no_transaction_behind(&store).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_and_a_url_that_is_none_is_not() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let absent = DatabaseSettings {
        acquire_timeout: Duration::from_millis(300),
        ..settings(format!("mysql://nobody:secret@127.0.0.1:{port}/none"))
    };
    let error = Store::connect(&absent).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(!format!("{absent:?}").contains("secret"));
    let error = Store::connect(&settings("not a url".into())).await.unwrap_err();
    assert!(matches!(error, StoreError::Other(_)), "{error:?}");
}

#[tokio::test]
async fn dead_letters_are_kept_whole_and_their_labels_cut() {
    let url = fresh_url().await;
    let store = store(&url).await;
    let sale = Sale::of(&store, 5).await;
    let bad = order(1);
    let payload: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let reason = "é".repeat(600);
    let poison =
        Poison { order: &bad, source: "spike.orders", message_id: "m-1", reason: &reason, payload: &payload };
    store.insert_poison(sale.event, sale.epoch, poison).await.unwrap();
    store.insert_poison(sale.event, sale.epoch, poison).await.unwrap();
    store.park_message("spike.orders", &"m".repeat(200), "not JSON", b"\xff\xfe", None).await.unwrap();

    let mut conn = MySqlConnection::connect(&url).await.unwrap();
    let text = "SELECT reason, payload, event_id, order_id FROM dead_letters ORDER BY id";
    let rows = sqlx::query(text).fetch_all(&mut conn).await.unwrap();
    assert_eq!(rows.len(), 2, "a replayed poison order is kept once");
    assert_eq!(rows[0].get::<String, _>("reason"), "é".repeat(500));
    assert_eq!(rows[0].get::<Vec<u8>, _>("payload"), payload);
    assert_eq!(rows[0].get::<i64, _>("event_id"), sale.event.0);
    assert_eq!(rows[0].get::<Vec<u8>, _>("order_id"), bad.order.bytes());
    assert_eq!(rows[1].get::<Option<i64>, _>("event_id"), None);
    assert_eq!(rows[1].get::<Vec<u8>, _>("payload"), b"\xff\xfe");
}

#[tokio::test]
async fn connections_killed_by_the_server_are_replaced() {
    let url = fresh_url().await;
    let store =
        Store::connect(&DatabaseSettings { connections_max: 2, ..settings(url.clone()) }).await.unwrap();
    store.migrate().await.unwrap();
    let sale = Sale::of(&store, 5).await;
    let mut conn = MySqlConnection::connect(&url).await.unwrap();
    let text = "SELECT CAST(id AS SIGNED) FROM information_schema.processlist \
                WHERE db = DATABASE() AND id <> CONNECTION_ID()";
    let ids: Vec<i64> = sqlx::query_scalar(text).fetch_all(&mut conn).await.unwrap();
    assert!(!ids.is_empty());
    for id in ids {
        sqlx::raw_sql(AssertSqlSafe(format!("KILL {id}"))).execute(&mut conn).await.unwrap();
    }
    let entry = sale.entry(1, &[order(1)]);
    eventually("the pool has sound connections again", async || {
        match store.insert_entries(sale.event, std::slice::from_ref(&entry)).await {
            Ok(outcome) => Some(outcome),
            Err(error) => {
                assert!(error.transient(), "{error:?}");
                None
            }
        }
    })
    .await;
    assert_eq!(sale.live_and_markers().await, (1, 0));
}

#[tokio::test]
async fn a_server_in_trouble_is_not_taken_for_bad_data() {
    let url = fresh_url().await;
    let store = Store::connect(&settings(url.clone())).await.unwrap();
    store.migrate().await.unwrap();
    let sale = Sale::of(&store, 5).await;
    let mut conn = MySqlConnection::connect(&url).await.unwrap();
    // Numbers, and whether the orders are to blame: disk full, table full, no memory (twice), too many connections
    // of one user, a right withdrawn; a value out of range, too long, of another type, a NULL.
    for (number, permanent) in [
        (1021, false),
        (1114, false),
        (1037, false),
        (1041, false),
        (1226, false),
        (1142, false),
        (1264, true),
        (1406, true),
        (1366, true),
        (1048, true),
    ] {
        let trigger = format!(
            "CREATE OR REPLACE TRIGGER trouble BEFORE INSERT ON spike_orders FOR EACH ROW \
             SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = 'as if'"
        );
        sqlx::raw_sql(AssertSqlSafe(trigger)).execute(&mut conn).await.unwrap();
        let error =
            store.insert_entries(sale.event, &[sale.entry(1, &[order(1)])]).await.expect_err("a trigger");
        assert_eq!(error.transient(), !permanent, "{number}: {error:?}");
    }
    sqlx::raw_sql("DROP TRIGGER trouble; DROP TABLE restock_outbox").execute(&mut conn).await.unwrap();
    let error = store.open_markers(1).await.expect_err("no such table");
    assert!(error.transient(), "a schema that is not there yet, or a missing right: {error:?}");
    sale.insert(&[order(1)]).await;
}

#[tokio::test]
async fn an_event_that_cannot_expire_its_orders_starves_no_other() {
    let url = fresh_url().await;
    let store = Store::connect(&settings(url.clone())).await.unwrap();
    store.migrate().await.unwrap();
    let (broken, healthy) = (Sale::of(&store, 9).await, Sale::of(&store, 9).await);
    broken.insert(&[order(1), order(2), order(3)]).await;
    healthy.insert(&[order(1), order(2), order(3)]).await;
    let mut conn = MySqlConnection::connect(&url).await.unwrap();
    // The counter of one event is less than its orders hold, so that nothing can be given back; its orders are the
    // older ones, and more than one call takes.
    let text = format!(
        "UPDATE spike_events SET reserved = 0 WHERE id = {id}; UPDATE spike_orders SET expires_at_ms = 1; \
         UPDATE spike_orders SET expires_at_ms = 2 WHERE event_id <> {id}",
        id = broken.event
    );
    sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut conn).await.unwrap();
    for _ in 0..3 {
        let expired = store.expire_due(1).await.expect("one event is sound");
        assert_eq!(expired.iter().map(|order| order.event).collect::<Vec<_>>(), [healthy.event]);
    }
    let error = store.expire_due(1).await.expect_err("only the broken event is left");
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
    assert_eq!(healthy.live_and_markers().await, (0, 3));
}

#[tokio::test]
async fn orders_that_cannot_be_cancelled_hold_up_no_others() {
    let url = fresh_url().await;
    let store = Store::connect(&settings(url.clone())).await.unwrap();
    store.migrate().await.unwrap();
    let shop = Shop::of(&store, &[50, 50]).await;
    let (mut broken, mut sound) = (Vec::new(), Vec::new());
    for _ in 0..12 {
        broken.push(shop.placed(&shop.order(&[1, 0])).await.order);
        sound.push(shop.placed(&shop.order(&[0, 1])).await.order);
    }
    let held = sound[3];
    let mut conn = MySqlConnection::connect(&url).await.unwrap();
    // The older ones' units are reserved nowhere; all of one page have the same deadline.
    let text = format!(
        "UPDATE inventory SET reserved = 0 WHERE product_id = {broken}; UPDATE orders SET expires_at_ms = 2; \
         UPDATE orders SET expires_at_ms = 1 WHERE id IN (SELECT order_id FROM order_items WHERE product_id = {broken})",
        broken = shop.products[0]
    );
    sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut conn).await.unwrap();
    // Somebody else is at one of the sound ones.
    sqlx::raw_sql("BEGIN").execute(&mut conn).await.unwrap();
    let lock = sqlx::query("SELECT id FROM orders WHERE id = ? FOR UPDATE").bind(&held.bytes()[..]);
    lock.fetch_one(&mut conn).await.unwrap();

    let (mut place, mut cancelled, mut failed) = (Overdue::default(), Vec::new(), Vec::new());
    loop {
        let page = store.expire_shop_orders(place, 5).await.unwrap();
        assert!(page.reached >= place, "forward only");
        place = page.reached;
        cancelled.extend(page.cancelled);
        failed.extend(page.failed);
        if !page.more {
            break;
        }
    }
    let sorted = |mut orders: Vec<OrderId>| {
        orders.sort();
        orders
    };
    assert_eq!(sorted(failed), sorted(broken.clone()));
    sound.retain(|order| *order != held);
    assert_eq!(sorted(cancelled), sorted(sound), "not the one that somebody is at, and nobody waited for it");
    sqlx::raw_sql("ROLLBACK").execute(&mut conn).await.unwrap();
    let page = store.expire_shop_orders(Overdue::default(), 100).await.unwrap();
    assert_eq!(
        (page.cancelled, sorted(page.failed)),
        (vec![held], sorted(broken)),
        "one batch, some of it broken"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_that_is_none_waits_for_no_lock() {
    let url = fresh_url().await;
    store(&url).await.close().await;
    let hasty = DatabaseSettings { statement_timeout: Duration::from_secs(2), ..settings(url.clone()) };
    let hasty = Store::connect(&hasty).await.unwrap();
    garbage_is_refused(&hasty, async |locked| {
        let mut conn = MySqlConnection::connect(&url).await.unwrap();
        let lock = format!("BEGIN; SELECT id FROM sessions WHERE id = X'{}' FOR UPDATE", locked.0.simple());
        sqlx::raw_sql(AssertSqlSafe(lock)).fetch_all(&mut conn).await.unwrap();
        conn
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_nobody_hears_of_any_more_keeps_no_event_locked() {
    let url = fresh_url().await;
    let direct = store(&url).await;
    let sale = Sale::of(&direct, 10).await;
    let (before, database) = url.rsplit_once('/').unwrap();
    let (account, port) = before.rsplit_once(':').unwrap();
    let proxy = ChaosProxy::start(format!("127.0.0.1:{port}").parse().unwrap()).unwrap();
    let through = format!("{account}:{}/{database}", proxy.address().port());
    let hasty = DatabaseSettings { statement_timeout: Duration::from_secs(2), ..settings(through) };
    let cut_off = Store::connect(&hasty).await.unwrap();
    let event = sale.event;
    let busy = tokio::spawn(async move {
        loop {
            drop(cut_off.bump_epoch(event, 0, 0).await);
        }
    });

    let mut watcher = MySqlConnection::connect(&url).await.unwrap();
    let idle = "SELECT COUNT(*) FROM information_schema.innodb_trx t JOIN information_schema.processlist p \
                ON p.id = t.trx_mysql_thread_id WHERE p.db = DATABASE() AND p.command = 'Sleep'";
    // Cut off between two statements: that is where it stands still most of the time, but not always.
    eventually("a transaction is left open", async || {
        proxy.set(Fault::Blackhole);
        tokio::time::sleep(Duration::from_millis(200)).await;
        let left: i64 = sqlx::query_scalar(idle).fetch_one(&mut watcher).await.unwrap();
        if left == 0 {
            proxy.set(Fault::Healed);
        }
        (left > 0).then_some(())
    })
    .await;
    eventually("somebody else gets the lock", async || direct.bump_epoch(event, 0, 0).await.ok()).await;
    let left: i64 = sqlx::query_scalar(idle).fetch_one(&mut watcher).await.unwrap();
    assert_eq!(left, 0, "the server has ended what nobody went on with");
    busy.abort();
}
