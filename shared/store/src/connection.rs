//! Connecting, migrating, and asking the database for the time.

use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::MigrateError;

use crate::backend::{Access, Backend};
use crate::dialect::Dialect;
use crate::sql::{rows_of_text, u64_at};
use crate::transaction::{read, within};
use crate::{Result, Store, StoreError, breaker, mysql, sqlite};

/// Where the database is and how much of it this process may use.
#[derive(Clone)]
pub struct DatabaseSettings {
    /// `mysql://user:password@host:port/database` for MySQL 8 or MariaDB 10.11, or `sqlite://path` for an
    /// embedded database in one file, which is created when it is missing (its folder is not). The path is
    /// taken as it is, without escapes.
    pub url: String,
    /// Connections kept open when idle.
    pub connections_min: u32,
    /// Most connections; of SQLite, most that read. One more writes.
    pub connections_max: u32,
    /// Longest wait for a free connection; of SQLite, also for the writers before this one.
    pub acquire_timeout: Duration,
    /// Longest run of one statement, and longest wait for a lock.
    pub statement_timeout: Duration,
}

impl std::fmt::Debug for DatabaseSettings {
    /// Without the URL: it holds a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseSettings")
            .field("connections_min", &self.connections_min)
            .field("connections_max", &self.connections_max)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database and proves it with one connection. Errors: `Unavailable`; `Other` for a URL that is
    /// none, or a file whose folder does not exist.
    pub async fn connect(settings: &DatabaseSettings) -> Result<Self> {
        let store = Self::connect_lazy(settings)?;
        // The connection that writes: it creates the file of an embedded database.
        let mut session = store.session(Access::Write).await?;
        let result = within(store.limit(), async { Ok(session.ping().await?) }).await;
        session.release_after(&result);
        result.map(|()| store)
    }

    /// The same without a first connection, for a process that starts while the database is away. Errors:
    /// `Other`, as for [`Store::connect`].
    pub fn connect_lazy(settings: &DatabaseSettings) -> Result<Self> {
        let backend = match sqlite::is_url(&settings.url) {
            true => sqlite::backend(settings)?,
            false => Backend::MySql(mysql::pool(settings)?),
        };
        let (statement_timeout, breaker) = (settings.statement_timeout, breaker::closed());
        Ok(Self { backend, statement_timeout, breaker, metrics: Arc::default() })
    }

    /// Applies every migration that is not applied yet. Processes that start together take turns.
    pub async fn migrate(&self) -> Result<()> {
        match &self.backend {
            Backend::MySql(pool) => mysql::migrate(pool).await,
            Backend::Sqlite { writer, .. } => sqlite::migrate(writer).await,
        }
    }

    /// Undoes migrations above version `to`; 0 undoes all.
    pub async fn migrate_down(&self, to: i64) -> Result<()> {
        match &self.backend {
            Backend::MySql(pool) => mysql::migrate_down(pool, to).await,
            Backend::Sqlite { writer, .. } => sqlite::migrate_down(writer, to).await,
        }
    }

    /// One round trip.
    pub async fn ping(&self) -> Result<()> {
        read!(self, |conn| { Ok(conn.ping().await?) })
    }

    /// The database's clock, Unix milliseconds: the only one that decides deadlines.
    pub async fn now_ms(&self) -> Result<u64> {
        let text = format!("SELECT {} AS now_ms", self.dialect().now_ms());
        read!(self, |conn| {
            let rows = rows_of_text(conn, text).await?;
            u64_at(rows.first().ok_or(StoreError::NotFound)?, "now_ms")
        })
    }

    /// Closes the pool, waiting for the connections in use.
    pub async fn close(&self) {
        self.backend.close().await;
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.backend.dialect()
    }
}

pub(crate) fn of_migration(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        other => StoreError::Other(other.into()),
    }
}
