//! SQLite, the embedded database: one file, one connection that writes, many that read, and what its error
//! codes mean.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteError, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, SqliteConnection};

use crate::backend::Backend;
use crate::connection::{DatabaseSettings, of_migration};
use crate::dialect::Dialect;
use crate::error::Fault;
use crate::{Result, StoreError};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// What a URL of this database begins with; the rest is the path of its file.
const SCHEME: &str = "sqlite:";

/// Longest wait for another process that is migrating.
const MIGRATION_WAIT: Duration = Duration::from_secs(300);

/// Pages the writer keeps in memory, in KiB: the ends of the indexes that a sale writes.
const WRITER_CACHE_KIB: u32 = 32 * 1024;

/// Pages of the write-ahead log before they are folded into the database, 32 MiB of them. A commit may touch
/// several hundred pages of the indexes by user, and the same ones again and again: each is folded once.
const LOG_PAGES: u32 = 8192;

/// What is left of the write-ahead log after it has grown beyond, in bytes.
const LOG_KEPT_BYTES: u32 = 64 * 1024 * 1024;

/// Whether this is a URL of SQLite.
pub(crate) fn is_url(url: &str) -> bool {
    url.starts_with(SCHEME)
}

/// Both pools, without a first connection. Errors: `Other` for a URL that names no file, and for a file whose
/// folder does not exist.
pub(crate) fn backend(settings: &DatabaseSettings) -> Result<Backend> {
    let path = path_of(&settings.url).map_err(|what| StoreError::Other(what.into()))?;
    let common = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .foreign_keys(true)
        // Half of a call's time, as for a row's lock.
        .busy_timeout((settings.statement_timeout / 2).max(Duration::from_secs(1)));
    let writing = common
        .clone()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"))
        .pragma("wal_autocheckpoint", LOG_PAGES.to_string())
        .pragma("journal_size_limit", LOG_KEPT_BYTES.to_string());
    let reading = common.pragma("query_only", "ON");
    let pool = SqlitePoolOptions::new()
        .acquire_timeout(settings.acquire_timeout)
        .test_before_acquire(false)
        .max_lifetime(None)
        .idle_timeout(None);
    Ok(Backend::Sqlite {
        readers: pool.clone().max_connections(settings.connections_max).connect_lazy_with(reading),
        writer: pool.max_connections(1).connect_lazy_with(writing),
    })
}

/// Applies what is not applied yet.
pub(crate) async fn migrate(writer: &SqlitePool) -> Result<()> {
    let mut conn = patient_connection(writer).await?;
    let result = async {
        let mut tx = conn.begin_with(Dialect::Sqlite.begin()).await?;
        MIGRATIONS.run(&mut *tx).await?;
        Ok(tx.commit().await?)
    };
    finish(result.await, conn).await
}

/// Undoes what is above version `to`.
pub(crate) async fn migrate_down(writer: &SqlitePool, to: i64) -> Result<()> {
    let mut conn = patient_connection(writer).await?;
    let result = async {
        let mut tx = conn.begin_with(Dialect::Sqlite.begin()).await?;
        MIGRATIONS.undo(&mut *tx, to).await?;
        Ok(tx.commit().await?)
    };
    finish(result.await, conn).await
}

/// By the result code and, as in `mysql`, `Other` only for what is plainly about a value: a worker would
/// reject good orders one by one for what a full disk or a failing one answers.
pub(crate) fn fault(error: &SqliteError) -> Fault {
    use sqlx::error::DatabaseError as _;
    const CHECK: i32 = 275;
    let code: i32 = error.code().and_then(|code| code.parse().ok()).unwrap_or_default();
    match (code, code & 0xff) {
        // A CHECK on what a column can hold, where other databases have its type.
        (CHECK, _) if error.message().ends_with("_fits") => Fault::Other,
        (CHECK, _) => Fault::Check,
        // Busy, locked.
        (_, 5 | 6) => Fault::Locked,
        // Too big; any other constraint, such as a value of another type; a value that fits no column; and a
        // file that never was a database, which waiting does not make one.
        (_, 18 | 19 | 20 | 26) => Fault::Other,
        _ => Fault::Away,
    }
}

fn path_of(url: &str) -> Result<&Path, String> {
    let path = url.strip_prefix(SCHEME).unwrap_or_default();
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.starts_with(':') || path.contains('?') {
        return Err(format!("{url:?} is not sqlite://<path of a file>"));
    }
    let path = Path::new(path);
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) if !folder.is_dir() => {
            Err(format!("the folder of the database file {} does not exist", path.display()))
        }
        _ => Ok(path),
    }
}

/// A connection of its own, outside the pool, that waits for another process' transaction. All migrations
/// run in one, so that processes take turns and none sees half of them.
async fn patient_connection(writer: &SqlitePool) -> Result<SqliteConnection> {
    let mut conn = writer.acquire().await?.detach();
    let wait = format!("PRAGMA busy_timeout = {}", MIGRATION_WAIT.as_millis());
    sqlx::raw_sql(sqlx::AssertSqlSafe(wait)).execute(&mut conn).await?;
    Ok(conn)
}

async fn finish(result: Result<(), MigrateError>, conn: SqliteConnection) -> Result<()> {
    conn.close().await?;
    result.map_err(of_migration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_the_path_of_a_file() {
        for (url, want) in [
            ("sqlite:///tmp/a b%20#.db", Some("/tmp/a b%20#.db")),
            ("sqlite://spike.db", Some("spike.db")),
            ("sqlite:spike.db", Some("spike.db")),
            ("sqlite://", None),
            ("sqlite::memory:", None),
            ("sqlite://spike.db?mode=rwc", None),
            ("sqlite:///no/such/folder/spike.db", None),
        ] {
            assert_eq!(path_of(url).ok(), want.map(Path::new), "{url}");
        }
    }
}
