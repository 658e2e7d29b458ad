//! MySQL 8 and MariaDB 10.11: the pool and its sessions, migrations that take turns, and what their error
//! numbers mean.

use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::mysql::{MySqlConnectOptions, MySqlDatabaseError, MySqlPool, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection};

use crate::connection::{DatabaseSettings, of_migration};
use crate::error::Fault;
use crate::{Result, StoreError};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/mysql");

/// Longest wait for another process that is migrating, in seconds.
const MIGRATION_WAIT_S: u32 = 300;

/// A connection idle for longer is asked for a sign of life before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// Lifts the limit on one statement's time. Each server runs the comment that is meant for it; the time to
/// wait for a table's definition stands first only because one of them must be no comment.
pub(crate) const NO_STATEMENT_LIMIT: &str = "SET SESSION lock_wait_timeout = 600 /*M!100000 , max_statement_time = 0 */ \
    /*!80000 , max_execution_time = 0 */";

/// A pool without a first connection. Every session is READ COMMITTED, strict and in UTC.
pub(crate) fn pool(settings: &DatabaseSettings) -> Result<MySqlPool> {
    let options: MySqlConnectOptions =
        settings.url.parse().map_err(|error: sqlx::Error| StoreError::Other(error.into()))?;
    let options =
        options.pipes_as_concat(false).no_engine_substitution(false).timezone(Some("+00:00".to_owned()));
    let session = session_setup(settings.statement_timeout);
    Ok(MySqlPoolOptions::new()
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
        .connect_lazy_with(options))
}

/// Applies what is not applied yet.
pub(crate) async fn migrate(pool: &MySqlPool) -> Result<()> {
    let mut conn = patient_connection(pool).await?;
    let result = MIGRATIONS.run(&mut conn).await;
    // Before the call returns, so that the next process need not wait.
    conn.close().await?;
    result.map_err(of_migration)
}

/// Undoes what is above version `to`.
pub(crate) async fn migrate_down(pool: &MySqlPool, to: i64) -> Result<()> {
    let mut conn = patient_connection(pool).await?;
    let result = MIGRATIONS.undo(&mut conn, to).await;
    conn.close().await?;
    result.map_err(of_migration)
}

/// By the server's error number, the same in MySQL and MariaDB but where noted.
pub(crate) fn fault(error: &MySqlDatabaseError) -> Fault {
    match error.number() {
        // Lock wait timeout, deadlock.
        1205 | 1213 => Fault::Locked,
        // A CHECK constraint, in MySQL and in MariaDB.
        3819 | 4025 => Fault::Check,
        number if about_a_value(number) => Fault::Other,
        _ => Fault::Away,
    }
}

/// Whether the server refused what it was told to write, and would refuse it for ever. What is not plainly about a value
/// is about the server (a full disk, no memory, a revoked right, a missing table): transient, because a worker would
/// reject good orders one by one for it.
fn about_a_value(number: u16) -> bool {
    matches!(
        number,
        // NULL or nothing for a column that needs a value; a foreign key that points to nothing, or a row
        // that others point to.
        1048 | 1364 | 1451 | 1452
        // Out of range (also of an expression), truncated, no such date, of another type or encoding, too
        // long; a statement or row larger than the server takes.
        | 1264 | 1690 | 1265 | 1292 | 1366 | 1300 | 1406 | 1153 | 1118
    )
}

/// A connection of its own, outside the pool, whose statements may take as long as a schema change takes.
async fn patient_connection(pool: &MySqlPool) -> Result<MySqlConnection> {
    let mut conn = pool.acquire().await?.detach();
    sqlx::raw_sql(NO_STATEMENT_LIMIT).execute(&mut conn).await?;
    // The driver takes a lock too, but with an endless timeout, which MariaDB refuses without an error.
    // This one ends with the connection.
    let lock =
        format!("SELECT GET_LOCK(CONCAT('spike-migrate-', MD5(DATABASE())), {MIGRATION_WAIT_S}) AS taken");
    let taken: Option<i64> = sqlx::query_scalar(AssertSqlSafe(lock)).fetch_one(&mut conn).await?;
    if taken != Some(1) {
        let what = format!("another process has been migrating for {MIGRATION_WAIT_S} s");
        return Err(StoreError::Unavailable(what.into()));
    }
    Ok(conn)
}

/// What every session is told. The time limit of a statement is spelled differently by the two servers: each
/// runs the comment that is meant for it, MySQL for SELECT only, which is why a deadline of this process
/// stands behind it.
fn session_setup(statement_timeout: Duration) -> String {
    let milliseconds = statement_timeout.as_millis().max(1);
    let lock_seconds = (statement_timeout.as_secs() / 2).max(1);
    // A process that is frozen, or cut off for good, between two statements must not keep an event locked: no server
    // notices that by itself. MySQL has no such limit.
    let idle_seconds = statement_timeout.as_secs().max(1);
    format!(
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
         SET SESSION sql_mode = 'STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_DATE,NO_ZERO_IN_DATE,\
         ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout = {lock_seconds} \
         /*M!100300 , max_statement_time = {seconds}.{thousandths:03}, idle_transaction_timeout = {idle_seconds} */ /*!80000 , max_execution_time = {milliseconds} */",
        seconds = milliseconds / 1000,
        thousandths = milliseconds % 1000,
    )
}
