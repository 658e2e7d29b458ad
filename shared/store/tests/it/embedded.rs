//! What only SQLite has: a file, killed with its process or wanted by another one.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use spike_domain::{EventId, OrderId};
use spike_store::{DatabaseSettings, Poison, Store, StoreError};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use crate::database::{Fresh, settings, store, url_in};
use crate::sale::{Sale, order};

const URL: &str = "SPIKE_STORE_CHILD_URL";
const EVENT: &str = "SPIKE_STORE_CHILD_EVENT";

pub async fn raw(folder: &tempfile::TempDir) -> SqliteConnection {
    SqliteConnectOptions::new().filename(folder.path().join("spike.db")).connect().await.unwrap()
}

async fn text_of(conn: &mut SqliteConnection, statement: &'static str) -> String {
    sqlx::query_scalar(statement).fetch_one(conn).await.unwrap()
}

/// Whether nothing but tables in good order is left behind.
pub async fn file_is_sound(fresh: &Fresh) {
    let folder = fresh.folder.as_ref().expect("a file");
    let mut conn = raw(folder).await;
    assert_eq!(text_of(&mut conn, "PRAGMA integrity_check").await, "ok");
    assert_eq!(text_of(&mut conn, "PRAGMA journal_mode").await, "wal");
    let strays = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut conn).await.unwrap();
    assert_eq!(strays.len(), 0);
    conn.close().await.unwrap();
}

async fn tables(folder: &tempfile::TempDir) -> Vec<String> {
    let mut conn = raw(folder).await;
    let text = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' \
                AND name NOT LIKE 'sqlite%' ORDER BY name";
    sqlx::query_scalar(text).fetch_all(&mut conn).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_go_up_down_and_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let one = Store::connect(&settings(url_in(&folder))).await.unwrap();
    let two = Store::connect(&settings(url_in(&folder))).await.unwrap();
    let (first, second, third) = tokio::join!(one.migrate(), two.migrate(), one.migrate());
    first.and(second).and(third).expect("processes that start together take turns");
    let up = tables(&folder).await;
    assert!(up.len() > 9, "{up:?}");
    one.migrate_down(0).await.unwrap();
    assert_eq!(tables(&folder).await, Vec::<String>::new());
    two.migrate().await.unwrap();
    assert_eq!(tables(&folder).await, up);
    Sale::of(&one, 1).await.insert(&[order(1)]).await;
}

#[tokio::test]
async fn a_missing_folder_and_a_file_that_is_no_database_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let missing = format!("sqlite://{}/absent/spike.db", folder.path().display());
    let error = Store::connect(&settings(missing)).await.unwrap_err();
    assert!(matches!(error, StoreError::Other(_)), "{error:?}");
    assert!(error.to_string().contains("absent/spike.db"), "names the file: {error}");

    std::fs::write(folder.path().join("spike.db"), [b'?'; 8192]).unwrap();
    let error = Store::connect(&settings(url_in(&folder))).await.unwrap_err();
    assert!(matches!(error, StoreError::Other(_)), "{error:?}");
    let error = Store::connect(&settings("sqlite::memory:".into())).await.unwrap_err();
    assert!(matches!(error, StoreError::Other(_)), "{error:?}");
}

#[tokio::test]
async fn units_moved_by_hand_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&url_in(&folder)).await;
    let sale = Sale::of(&store, 5).await;
    let product = store.event(sale.event).await.unwrap().unwrap().def.product_id;
    sqlx::raw_sql("UPDATE inventory SET sold = 2").execute(&mut raw(&folder).await).await.unwrap();
    let gaps = store.inventory_audit().await.unwrap();
    let [gap] = gaps[..] else { panic!("{gaps:?}") };
    let figures = (gap.product, gap.inventory.sold, gap.movements.sold, gap.movements.reserved);
    assert_eq!(figures, (product, 2, 0, 5));
}

#[tokio::test]
async fn dead_letters_are_kept_whole_and_their_labels_cut() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&url_in(&folder)).await;
    let sale = Sale::of(&store, 5).await;
    let bad = order(1);
    let payload: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let reason = "é".repeat(600);
    let poison =
        Poison { order: &bad, source: "spike.orders", message_id: "m-1", reason: &reason, payload: &payload };
    store.insert_poison(sale.event, sale.epoch, poison).await.unwrap();
    store.park_message("spike.orders", &"m".repeat(200), "not\0JSON", b"\xff\xfe", None).await.unwrap();

    let text = "SELECT reason, payload, event_id, order_id FROM dead_letters ORDER BY id";
    let rows = sqlx::query(text).fetch_all(&mut raw(&folder).await).await.unwrap();
    assert_eq!(rows[0].get::<String, _>("reason"), "é".repeat(500));
    assert_eq!(rows[0].get::<Vec<u8>, _>("payload"), payload);
    assert_eq!(rows[0].get::<i64, _>("event_id"), sale.event.0);
    assert_eq!(rows[0].get::<Vec<u8>, _>("order_id"), bad.order.bytes());
    assert_eq!(rows[1].get::<Option<i64>, _>("event_id"), None);
    assert_eq!(rows[1].get::<String, _>("reason"), "not\0JSON");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_another_process_holds_is_waited_for_and_one_held_for_good_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let patient = store(&url_in(&folder)).await;
    let hasty = DatabaseSettings { statement_timeout: Duration::from_secs(2), ..settings(url_in(&folder)) };
    let hasty = Store::connect(&hasty).await.unwrap();
    let sale = Sale::of(&patient, 10).await;

    let (mut holder, said) = child("holds_the_file_until_killed", &folder, &sale);
    assert_eq!(said.lines().map_while(Result::ok).find(|line| line == "held").as_deref(), Some("held"));
    let entry = sale.entry(1, &[order(1)]);
    let begun = Instant::now();
    let error = hasty.insert_entries(sale.event, std::slice::from_ref(&entry)).await.unwrap_err();
    assert!(error.transient(), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(15), "bounded: {:?}", begun.elapsed());
    assert_eq!(sale.live_and_markers().await, (0, 0), "readers never wait");

    let waiting = tokio::spawn({
        let (store, event, entry) = (patient.clone(), sale.event, entry.clone());
        async move { store.insert_entries(event, &[entry]).await }
    });
    holder.kill().unwrap();
    holder.wait().unwrap();
    waiting.await.unwrap().expect("written once the file is free");
    assert_eq!(sale.live_and_markers().await, (1, 0));
    hasty.insert_entries(sale.event, &[entry]).await.expect("its connections are sound again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_keeps_what_it_committed() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&url_in(&folder)).await;
    let sale = Sale::of(&store, 1_000_000).await;
    let mut committed = Vec::new();
    for run in 0..8 {
        let (mut child, said) = child("writes_until_killed", &folder, &sale);
        let mut lines = said.lines().map_while(Result::ok).filter_map(|line| OrderId::parse(&line));
        committed.extend(lines.by_ref().take(1 + run * 7));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before the signal came, and we had not read yet.
        committed.extend(lines);
        let missing = store.rows_missing(sale.event, &committed).await.unwrap();
        assert_eq!(missing.rows, [], "run {run}");
        let figures = sale.figures().await;
        assert!(figures.order_count() >= committed.len() as u64);
        assert_eq!(figures.order_count() % BATCH, 0, "no half of a transaction");
    }
    assert!(committed.len() > 8, "{}", committed.len());
    store.close().await;
    let fresh = Fresh { store, folder: Some(folder) };
    file_is_sound(&fresh).await;
}

/// Orders a transaction of the child.
const BATCH: u64 = 40;

/// Starts one of this binary's own ignored tests as another process.
fn child(name: &str, folder: &tempfile::TempDir, sale: &Sale<'_>) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([&format!("embedded::{name}"), "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(URL, url_in(folder))
        .env(EVENT, format!("{} {}", sale.event, sale.epoch))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    (child, said)
}

#[tokio::test]
#[ignore = "the other process of a_killed_process_keeps_what_it_committed"]
async fn writes_until_killed() {
    let store = Store::connect(&settings(std::env::var(URL).unwrap())).await.unwrap();
    let event = std::env::var(EVENT).unwrap();
    let (event, epoch) = event.split_once(' ').unwrap();
    let sale = Sale { store: &store, event: EventId(event.parse().unwrap()), epoch: epoch.parse().unwrap() };
    let first = i64::try_from(sale.figures().await.order_count()).unwrap();
    // Bounded, should its parent die first.
    for batch in 0..2000 {
        let user = |at: u64| first + i64::try_from(batch * BATCH + at).unwrap();
        let orders: Vec<_> = (0..BATCH).map(|at| order(user(at))).collect();
        sale.insert(&orders).await;
        println!("\n{}", orders[0].order);
    }
}

#[tokio::test]
#[ignore = "the other process of a_file_another_process_holds_is_waited_for_and_one_held_for_good_is_told"]
async fn holds_the_file_until_killed() {
    let path = std::env::var(URL).unwrap();
    let options = SqliteConnectOptions::new().filename(path.trim_start_matches("sqlite://"));
    let mut conn = options.connect().await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut conn).await.unwrap();
    println!("\nheld");
    tokio::time::sleep(Duration::from_secs(60)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_that_is_none_waits_for_no_writer() {
    let folder = tempfile::tempdir().unwrap();
    let url = url_in(&folder);
    crate::database::store(&url).await.close().await;
    let hasty = DatabaseSettings { statement_timeout: Duration::from_secs(2), ..settings(url.clone()) };
    let hasty = Store::connect(&hasty).await.unwrap();
    crate::sessions::garbage_is_refused(&hasty, async |_| {
        let mut conn = SqliteConnection::connect(&url).await.unwrap();
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut conn).await.unwrap();
        conn
    })
    .await;
}
