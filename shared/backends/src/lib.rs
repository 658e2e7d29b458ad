//! What a process works with: its ledger, its database and its queue, each a server or embedded, as the settings say.
//!
//! The one place that knows how a setting becomes a client, so that gateway, worker and every command agree.

mod folder;
mod traces;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use folder::{DataFolder, FolderError};
use spike_broker::{Broker, Queue};
use spike_config::{Backend, Config, RedisEndpoint, ServerUrl};
use spike_stock::stock::Timeouts;
use spike_stock::{Stock, StockError};
use spike_store::{DatabaseSettings, Store, StoreError};
pub use traces::traces;

/// The three ports. Clones share what is behind them.
#[derive(Clone)]
pub struct Backends {
    /// The stock, the claims and the outbox.
    pub stock: Stock,
    /// Everything that must outlive a sale.
    pub store: Store,
    /// The way of accepted orders from the relay to the worker.
    pub broker: Broker,
}

/// A setting no client accepts, or an embedded part that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BackendsError {
    /// The URL of a ledger.
    #[error("SPIKE_REDIS_URL: {0}")]
    Redis(#[source] StockError),
    /// The URL of a database, or its file.
    #[error("the database {at}: {error}")]
    Database {
        /// Where it is, without its password.
        at: String,
        /// What the store says.
        #[source]
        error: StoreError,
    },
    /// The files of the embedded ledger.
    #[error("the ledger in {}: {error}", dir.display())]
    Ledger {
        /// Its folder.
        dir: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
}

impl Backends {
    /// Clients of the servers, made without connecting: a process starts while they are away and says so in `/readyz`.
    /// Embedded parts are opened; hold the [`DataFolder`] for as long as they live. Call it on a tokio runtime.
    ///
    /// # Errors
    /// As [`BackendsError`].
    pub fn connect(config: &Config) -> Result<Self, BackendsError> {
        Ok(Self { stock: stock(config)?, store: store(config)?, broker: broker(config) })
    }
}

/// The ledger of the settings.
///
/// # Errors
/// A URL that is none, or files that cannot be used.
pub fn stock(config: &Config) -> Result<Stock, BackendsError> {
    let redis = &config.redis;
    match &redis.url {
        Backend::Server(url) => {
            let timeouts = Timeouts {
                connect: Duration::from_millis(redis.connect_timeout_ms),
                command: Duration::from_millis(redis.command_timeout_ms),
            };
            let stock = if redis.cluster {
                let urls: Vec<_> = redis.seeds().iter().map(RedisEndpoint::expose).collect();
                Stock::cluster(&urls, timeouts)
            } else {
                Stock::redis(url.expose(), timeouts)
            };
            stock.map_err(BackendsError::Redis)
        }
        Backend::Embedded => {
            let dir = config.data.ledger();
            let opened = std::fs::create_dir_all(&dir).and_then(|()| Stock::embedded(&dir));
            opened.map_err(|error| BackendsError::Ledger { dir, error })
        }
    }
}

/// The database of the settings, not asked yet and not migrated.
///
/// # Errors
/// A URL that is none.
pub fn store(config: &Config) -> Result<Store, BackendsError> {
    let at = || match config.database.url.server() {
        Some(url) => url.to_string(),
        None => config.data.database().display().to_string(),
    };
    Store::connect_lazy(&database_settings(config))
        .map_err(|error| BackendsError::Database { at: at(), error })
}

/// How the database of the settings is connected to.
pub fn database_settings(config: &Config) -> DatabaseSettings {
    let database = &config.database;
    let url = match &database.url {
        Backend::Server(url) => url.expose().to_owned(),
        Backend::Embedded => format!("sqlite://{}", config.data.database().display()),
    };
    DatabaseSettings {
        url,
        connections_min: database.connections_min,
        connections_max: database.connections_max,
        acquire_timeout: Duration::from_millis(database.acquire_timeout_ms),
        statement_timeout: Duration::from_millis(database.statement_timeout_ms),
    }
}

/// The queue of the settings; an embedded one is new and empty.
pub fn broker(config: &Config) -> Broker {
    match &config.amqp.nodes[..] {
        [] => Broker::InProcess(Queue::default()),
        nodes => Broker::Amqp { url: nodes.iter().map(ServerUrl::expose).collect::<Vec<_>>().join(",") },
    }
}
