//! Connecting, migrating, and asking the database for the time.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection};

use crate::sql::{NOW_MS, rows_of_text, u64_at};
use crate::transaction::{NO_STATEMENT_LIMIT, read};
use crate::{Result, Store, StoreError};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/mysql");

/// Longest wait for another process that is migrating, in seconds.
const MIGRATION_WAIT_S: u32 = 300;

/// A connection idle for longer is asked for a sign of life before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// Where the database is and how much of it this process may use.
#[derive(Clone)]
pub struct DatabaseSettings {
    /// `mysql://user:password@host:port/database`, MySQL 8 or MariaDB 10.11.
    pub url: String,
    /// Connections kept open when idle.
    pub connections_min: u32,
    /// Most connections.
    pub connections_max: u32,
    /// Longest wait for a free connection.
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
    /// Opens a pool and proves it with one connection. Every session is READ COMMITTED, strict and in UTC.
    /// Errors: `Unavailable`; `Other` for a URL that is none.
    pub async fn connect(settings: &DatabaseSettings) -> Result<Self> {
        let store = Self::connect_lazy(settings)?;
        store.ping().await?;
        Ok(store)
    }

    /// The same pool without a first connection, for a process that starts while the database is away.
    /// Errors: `Other` for a URL that is none.
    pub fn connect_lazy(settings: &DatabaseSettings) -> Result<Self> {
        let options: MySqlConnectOptions =
            settings.url.parse().map_err(|error: sqlx::Error| StoreError::Other(error.into()))?;
        let options =
            options.pipes_as_concat(false).no_engine_substitution(false).timezone(Some("+00:00".to_owned()));
        let session = session_setup(settings.statement_timeout);
        let pool = MySqlPoolOptions::new()
            .min_connections(settings.connections_min)
            .max_connections(settings.connections_max)
            .acquire_timeout(settings.acquire_timeout)
            .test_before_acquire(false)
            .before_acquire(|conn, about| {
                Box::pin(async move {
                    if about.idle_for > TRUSTED_IDLE {
                        conn.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(move |conn, _about| {
                let setup = session.clone();
                Box::pin(async move {
                    sqlx::raw_sql(AssertSqlSafe(setup)).execute(conn).await?;
                    Ok(())
                })
            })
            .connect_lazy_with(options);
        Ok(Self { pool, statement_timeout: settings.statement_timeout })
    }

    /// Applies every migration that is not applied yet. Processes that start together take turns.
    pub async fn migrate(&self) -> Result<()> {
        let mut conn = self.patient_connection().await?;
        let result = MIGRATIONS.run(&mut conn).await;
        finish(conn, result).await
    }

    /// Undoes migrations above version `to`; 0 undoes all.
    pub async fn migrate_down(&self, to: i64) -> Result<()> {
        let mut conn = self.patient_connection().await?;
        let result = MIGRATIONS.undo(&mut conn, to).await;
        finish(conn, result).await
    }

    /// One round trip.
    pub async fn ping(&self) -> Result<()> {
        read!(self, |conn| { Ok(conn.ping().await?) })
    }

    /// The database's clock, Unix milliseconds: the only one that decides deadlines.
    pub async fn now_ms(&self) -> Result<u64> {
        let text = format!("SELECT {NOW_MS} AS now_ms");
        read!(self, |conn| {
            let rows = rows_of_text(conn, text).await?;
            u64_at(rows.first().ok_or(StoreError::NotFound)?, "now_ms")
        })
    }

    /// Closes the pool, waiting for the connections in use.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A connection of its own, outside the pool, whose statements may take as long as a schema change takes.
    async fn patient_connection(&self) -> Result<MySqlConnection> {
        let mut conn = self.pool.acquire().await?.detach();
        sqlx::raw_sql(NO_STATEMENT_LIMIT).execute(&mut conn).await?;
        // The driver takes a lock too, but with an endless timeout, which MariaDB refuses without an error.
        // This one ends with the connection.
        let lock = format!(
            "SELECT GET_LOCK(CONCAT('spike-migrate-', MD5(DATABASE())), {MIGRATION_WAIT_S}) AS taken"
        );
        let taken: Option<i64> = sqlx::query_scalar(AssertSqlSafe(lock)).fetch_one(&mut conn).await?;
        if taken != Some(1) {
            let what = format!("another process has been migrating for {MIGRATION_WAIT_S} s");
            return Err(StoreError::Unavailable(what.into()));
        }
        Ok(conn)
    }
}

/// Ends the connection before the call returns, so that the next process need not wait.
async fn finish(conn: MySqlConnection, result: Result<(), MigrateError>) -> Result<()> {
    conn.close().await?;
    result.map_err(of_migration)
}

/// What every session is told. The time limit of a statement is spelled differently by the two servers: each
/// runs the comment that is meant for it, MySQL for SELECT only, which is why a deadline of this process
/// stands behind it.
fn session_setup(statement_timeout: Duration) -> String {
    let milliseconds = statement_timeout.as_millis().max(1);
    let lock_seconds = (statement_timeout.as_secs() / 2).max(1);
    format!(
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
         SET SESSION sql_mode = 'STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_DATE,NO_ZERO_IN_DATE,\
         ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout = {lock_seconds} \
         /*M!100000 , max_statement_time = {seconds}.{thousandths:03} */ /*!80000 , max_execution_time = {milliseconds} */",
        seconds = milliseconds / 1000,
        thousandths = milliseconds % 1000,
    )
}

fn of_migration(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        other => StoreError::Other(other.into()),
    }
}
