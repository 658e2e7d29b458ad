//! A database as each earlier version left it, brought to the newest one: every row stays what it was.
//!
//! Migrations 7 to 9 were once released after number 10, so an installation may have had them in that order.

use std::collections::BTreeMap;

use spike_domain::EventId;
use spike_store::Store;
use sqlx::migrate::{MigrationType, Migrator};
use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection, Row as _};

use crate::database::{fresh_url, settings};

static ALL: Migrator = sqlx::migrate!("../../migrations/mysql");

/// A row for each kind of thing, with the first and the last migration whose schema takes it as it is written here.
const ROWS: &[(i64, i64, &str)] = &[
    (
        1,
        99,
        "users (id, email, name, password_hash, role, created_at_ms, updated_at_ms) VALUES \
        (1, 'ann@shop.example', 'Ann \u{1F6D2}', 'hash', 'user', 1, 2), (2, 'bob@shop.example', 'Bob', 'hash', 'admin', 1, 2)",
    ),
    (
        1,
        3,
        "products (id, sku, name, description, price_minor, currency, created_at_ms, updated_at_ms) VALUES \
        (1, 'ÄSKU-1', 'Große Lampe', 'text', 500, 'EUR', 1, 2), (2, 'sku-2', 'Gone', '', 0, 'EUR', 1, 2)",
    ),
    (
        4,
        99,
        "products (id, sku, name, description, price_minor, currency, created_at_ms, updated_at_ms, name_key, sku_key) \
        VALUES (1, 'ÄSKU-1', 'Große Lampe', 'text', 500, 'EUR', 1, 2, 'große lampe', 'äsku-1'), \
        (2, 'sku-2', 'Gone', '', 0, 'EUR', 1, 2, 'gone', 'sku-2')",
    ),
    (
        1,
        99,
        "inventory (product_id, available, reserved, sold, updated_at_ms) VALUES (1, 5, 6, 1, 7), (2, 0, 0, 0, 7)",
    ),
    (
        1,
        5,
        "spike_events (id, product_id, name, total, reserved, price_minor, currency, per_user_limit, pay_timeout_s, \
        starts_at_ms, ends_at_ms, state, epoch, created_at_ms, updated_at_ms) VALUES \
        (1, 1, 'Sale', 6, 3, 500, 'EUR', 2, 60, 10, 20, 2, 77, 1, 2), (2, 1, 'Over', 1, 0, 500, 'EUR', 1, 60, 10, 20, 4, 78, 1, 2)",
    ),
    (
        6,
        99,
        "spike_events (id, product_id, name, total, reserved, paid, price_minor, currency, per_user_limit, pay_timeout_s, \
        starts_at_ms, ends_at_ms, state, epoch, created_at_ms, updated_at_ms) VALUES \
        (1, 1, 'Sale', 6, 3, 2, 500, 'EUR', 2, 60, 10, 20, 2, 77, 1, 2), (2, 1, 'Over', 1, 0, 0, 500, 'EUR', 1, 60, 10, 20, 4, 78, 1, 2)",
    ),
    (
        1,
        99,
        "spike_orders (order_id, event_id, user_id, quantity, price_minor, amount_minor, currency, status, idem_key, epoch, \
        accepted_at_ms, created_at_ms, expires_at_ms, updated_at_ms) VALUES \
        (X'01', 1, 1, 2, 500, 1000, 'EUR', 2, 'ab12', 77, 1, 2, 3, 4), (X'02', 1, 2, 1, 500, 500, 'EUR', 1, NULL, 77, 1, 2, 3, 4), \
        (X'03', 1, 2, 1, 500, 500, 'EUR', 3, NULL, 77, 1, 2, 3, 4), (X'04', 1, 2, 1, 500, 500, 'EUR', 4, NULL, 77, 1, 2, 3, 4), \
        (X'05', 1, 2, 1, 500, 500, 'EUR', 5, NULL, 77, 1, 2, 3, 4)",
    ),
    (
        1,
        99,
        "restock_outbox (order_id, event_id, user_id, quantity, created_at_ms, done_at_ms, done_epoch) VALUES \
        (X'03', 1, 2, 1, 5, 6, 77), (X'04', 1, 2, 1, 5, NULL, NULL)",
    ),
    (
        1,
        99,
        "dead_letters (source, message_id, reason, payload, event_id, order_id, created_at_ms) VALUES \
        ('spike.orders', 'm-1', 'why', X'00ff7b', 1, X'05', 9), ('spike.orders', '', 'why', X'', NULL, NULL, 9)",
    ),
    (
        1,
        99,
        "orders (id, user_id, status, amount_minor, currency, created_at_ms, expires_at_ms, updated_at_ms) VALUES \
        (X'11', 1, 1, 500, 'EUR', 1, 2, 3), (X'12', 1, 2, 500, 'EUR', 1, 2, 3)",
    ),
    (
        1,
        99,
        "order_items (order_id, product_id, quantity, price_minor) VALUES (X'11', 1, 1, 500), (X'12', 1, 1, 500)",
    ),
    (
        2,
        99,
        "sessions (id, user_id, generation, created_at_ms, used_at_ms, expires_at_ms, ends_at_ms) VALUES \
        (X'21', 1, 3, 1, 2, 3, 4)",
    ),
    (2, 99, "refresh_tokens (hash, session_id, generation, expires_at_ms) VALUES (X'31', X'21', 3, 4)"),
    (2, 99, "revocations (session_id, min_ver, until_ms, created_at_ms) VALUES (X'22', 4294967295, 5, 6)"),
    (3, 99, "audit_log (at_ms, actor, action, detail) VALUES (1, 2, 'event.created', '{}')"),
    (
        4,
        99,
        "inventory_movements (product_id, kind, delta_available, delta_reserved, delta_sold, reason, at_ms) VALUES \
        (1, 2, 1, 0, 0, 'counted', 8)",
    ),
    (
        5,
        99,
        "idempotency_keys (user_id, route, idem_key, payload_hash, effect_id, locked_until_ms, created_at_ms) VALUES \
        (1, 'POST /orders', 'k', X'41', X'11', 5, 6)",
    ),
    (
        5,
        99,
        "payment_attempts (attempt_id, order_id, event_id, user_id, amount_minor, currency, status, untold, created_at_ms, \
        updated_at_ms) VALUES (X'51', X'01', 1, 1, 1000, 'EUR', 2, 1, 5, 6), (X'52', X'11', NULL, 1, 500, 'EUR', 4, NULL, 5, 6)",
    ),
    (
        5,
        99,
        "simulated_payments (attempt_id, captured, settles_at_ms, created_at_ms) VALUES (X'51', 1, 5, 6)",
    ),
];

/// Each table's rows: the values of these columns, as hexadecimal text.
type Contents = BTreeMap<String, (Vec<String>, Vec<String>)>;

async fn run(conn: &mut MySqlConnection, numbers: impl Fn(i64) -> bool) {
    let up = |kind: MigrationType| kind != MigrationType::ReversibleDown;
    let chosen = ALL.iter().filter(|one| up(one.migration_type) && numbers(one.version)).cloned().collect();
    Migrator::with_migrations(chosen).run(conn).await.expect("they apply");
}

async fn populate(conn: &mut MySqlConnection, version: i64) {
    for (from, until, row) in ROWS.iter().filter(|(from, until, _)| (*from..=*until).contains(&version)) {
        let insert = sqlx::raw_sql(AssertSqlSafe(format!("INSERT INTO {row}"))).execute(&mut *conn).await;
        insert.unwrap_or_else(|error| panic!("at {version} ({from} to {until}): {error}: {row}"));
    }
}

async fn texts(conn: &mut MySqlConnection, statement: String) -> Vec<String> {
    let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(conn).await.expect("a statement of the test");
    rows.iter().map(|row| row.get::<String, _>(0)).collect()
}

async fn tables(conn: &mut MySqlConnection) -> Vec<String> {
    let ours = |table: &String| !table.starts_with("_sqlx");
    texts(conn, "SHOW TABLES".into()).await.into_iter().filter(ours).collect()
}

async fn columns(conn: &mut MySqlConnection, table: &str) -> Vec<String> {
    let text = format!(
        "SELECT CAST(column_name AS CHAR) FROM information_schema.columns WHERE table_schema = DATABASE() \
         AND table_name = '{table}' ORDER BY column_name"
    );
    texts(conn, text).await
}

async fn rows(conn: &mut MySqlConnection, table: &str, columns: &[String]) -> Vec<String> {
    let values: Vec<_> = columns.iter().map(|column| format!("IFNULL(HEX({column}), '-')")).collect();
    let text = format!("SELECT CONCAT_WS(',', {}) FROM {table} ORDER BY 1", values.join(", "));
    texts(conn, text).await
}

async fn contents(conn: &mut MySqlConnection) -> Contents {
    let mut contents = Contents::new();
    for table in tables(conn).await {
        let columns = columns(conn, &table).await;
        let rows = rows(conn, &table, &columns).await;
        contents.insert(table, (columns, rows));
    }
    contents
}

/// Every table as the server would create it, but for how far its ids have come.
async fn schema(conn: &mut MySqlConnection) -> BTreeMap<String, Vec<String>> {
    let mut schema = BTreeMap::new();
    for table in tables(conn).await {
        let shown = sqlx::query(AssertSqlSafe(format!("SHOW CREATE TABLE {table}")));
        let text: String = shown.fetch_one(&mut *conn).await.expect("it is there").get(1);
        // In the order in which they were added, which is not what is compared.
        let mut lines: Vec<_> =
            text.lines().map(|line| line.trim().trim_end_matches(',').to_owned()).collect();
        lines.retain(|line| !line.starts_with(") ENGINE"));
        lines.sort();
        schema.insert(table, lines);
    }
    schema
}

/// What was there is there, in every column that has stayed.
async fn kept(conn: &mut MySqlConnection, before: &Contents, from: &str) {
    for (table, (columns_before, rows_before)) in before {
        let now = columns(conn, table).await;
        let stayed: Vec<_> = columns_before.iter().filter(|column| now.contains(column)).cloned().collect();
        let gone: Vec<_> = columns_before.iter().filter(|column| !now.contains(column)).collect();
        assert!(
            gone.is_empty() || gone == ["idem_key"] && table == "orders",
            "{from}: {table} lost {gone:?}"
        );
        let places: Vec<_> =
            stayed.iter().map(|column| columns_before.iter().position(|c| c == column)).collect();
        let part = |row: &String| {
            let values: Vec<_> = row.split(',').collect();
            places.iter().map(|at| values[at.expect("it stayed")]).collect::<Vec<_>>().join(",")
        };
        let mut expected: Vec<_> = rows_before.iter().map(part).collect();
        expected.sort();
        let mut found = rows(conn, table, &stayed).await;
        found.sort();
        assert_eq!(found, expected, "{from}: {table}");
    }
}

/// What the newest code makes of the rows.
async fn holds(store: &Store, from: &str) {
    let audit = store.audit_event(EventId(1)).await.expect("its figures");
    assert!(audit.holds() && audit.figures.paid == 2, "{from}: {audit:?}");
    assert_eq!(audit.figures.order_count(), 5, "{from}");
    assert_eq!(store.events_for_gateways().await.expect("the events").len(), 1, "{from}");
}

async fn check(from: &str, at: i64, first: impl Fn(i64) -> bool, fresh: &BTreeMap<String, Vec<String>>) {
    let url = fresh_url().await;
    let mut conn = MySqlConnection::connect(&url).await.expect("a database");
    run(&mut conn, first).await;
    populate(&mut conn, at).await;
    let before = contents(&mut conn).await;
    let populated = before.values().filter(|(_, rows)| !rows.is_empty()).count();
    assert!(populated >= before.len() - 1, "{from}: a table without a row proves nothing");
    let store = Store::connect(&settings(url)).await.expect("a database");
    store.migrate().await.expect("the others apply");
    kept(&mut conn, &before, from).await;
    assert_eq!(&schema(&mut conn).await, fresh, "{from}: the schema is that of a new database");
    holds(&store, from).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_every_earlier_version_stay_what_they_were() {
    let url = fresh_url().await;
    let store = crate::database::store(&url).await;
    store.close().await;
    let fresh = schema(&mut MySqlConnection::connect(&url).await.expect("a database")).await;
    let newest = ALL.iter().map(|one| one.version).max().expect("migrations");
    for at in 1..=newest {
        check(&format!("from {at}"), at, |number| number <= at, &fresh).await;
    }
    // Number 10 was there before 7 to 9 were.
    for late in 7..=9 {
        let first = |number| number < late || number == 10;
        check(&format!("10 before {late}"), late - 1, first, &fresh).await;
    }
}
