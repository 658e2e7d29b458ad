//! A database of its own for each test, of either kind.

use std::time::Duration;

use spike_store::{DatabaseSettings, Store};

/// The URL of a MariaDB database that nobody else uses, still empty.
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

/// A store on a fresh MariaDB database with every table.
pub async fn mariadb() -> Fresh {
    Fresh { store: store(&fresh_url().await).await, folder: None }
}

/// A store on a fresh SQLite file with every table.
pub async fn sqlite() -> Fresh {
    let folder = tempfile::tempdir().expect("a folder");
    Fresh { store: store(&url_in(&folder)).await, folder: Some(folder) }
}

/// The URL of a SQLite file in a folder.
pub fn url_in(folder: &tempfile::TempDir) -> String {
    format!("sqlite://{}", folder.path().join("spike.db").display())
}

/// A connected store with every table.
pub async fn store(url: &str) -> Store {
    let store = Store::connect(&settings(url.to_owned())).await.expect("connect");
    store.migrate().await.expect("migrate");
    store
}

/// A store, and the folder that goes with it.
pub struct Fresh {
    pub store: Store,
    pub folder: Option<tempfile::TempDir>,
}
