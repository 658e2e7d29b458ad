//! A database of its own for each test.

use std::time::Duration;

use spike_store::{DatabaseSettings, Store};

/// The URL of a database that nobody else uses, still empty.
pub async fn fresh_url() -> String {
    static N: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let name = format!("t{}_{}", std::process::id(), N.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    let base = std::env::var("SPIKE_TEST_DB").unwrap();
    let mut conn = <sqlx::MySqlConnection as sqlx::Connection>::connect(&base).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut conn).await.unwrap();
    base.replace("/mysql", &format!("/{name}"))
}

/// Settings for a small pool and patience enough for a busy machine.
pub fn settings(url: String) -> DatabaseSettings {
    DatabaseSettings {
        url,
        connections_min: 0,
        connections_max: 8,
        acquire_timeout: Duration::from_secs(20),
        statement_timeout: Duration::from_secs(10),
    }
}

/// A store on a fresh database with every table.
pub async fn fresh_store() -> Store {
    let store = Store::connect(&settings(fresh_url().await)).await.expect("connect");
    store.migrate().await.expect("migrate");
    store
}
