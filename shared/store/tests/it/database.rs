//! A database of its own for each test.

use std::time::Duration;

use spike_store::{DatabaseSettings, Store};

/// The URL of a database that nobody else uses, still empty.
pub async fn fresh_url() -> String {
    tokio::task::spawn_blocking(spike_devstack::fixture::database).await.expect("a private MariaDB")
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
