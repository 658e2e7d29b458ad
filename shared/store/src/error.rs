//! What can go wrong with the store, by what a caller does about it.

use std::error::Error as StdError;

use sqlx::mysql::MySqlDatabaseError;
use sqlx::sqlite::SqliteError;

use crate::{mysql, sqlite};

/// Result of the store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Any error below this crate; kept whole for logs, never for a client.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// Why a statement or transaction did not do what it was asked. Nothing of a failed transaction stays behind,
/// except that the outcome of one whose COMMIT got no answer (`Unavailable`) is unknown: every write of this
/// crate may therefore be repeated.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The present state forbids it; asking again changes nothing.
    #[error("conflict: {what}")]
    Conflict {
        /// What stands in the way.
        what: Conflict,
    },
    /// The user, product, event or order does not exist (or belongs to someone else).
    #[error("not found")]
    NotFound,
    /// No connection, no answer in time, no free connection in the pool, or a server in trouble (stopping, full,
    /// out of memory, not set up right): try later.
    #[error("database unavailable: {0}")]
    Unavailable(#[source] Cause),
    /// Deadlock or lock wait timeout, after this crate's own attempts. Rolled back whole; repeat it.
    #[error("lock conflict, rolled back: {0}")]
    Retry(#[source] Cause),
    /// The data is not what this crate writes: a person must look.
    #[error("corrupt data: {0}")]
    Corrupt(String),
    /// Anything else: a value the schema refuses, a bug of this process.
    #[error("database: {0}")]
    Other(#[source] Cause),
}

/// What stands in the way of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// An account with this e-mail exists.
    Email,
    /// A product with this SKU exists.
    Sku,
    /// The inventory does not hold that many available units.
    Inventory,
    /// An event that is not closed sells the product.
    InUse,
    /// It is no longer in the version the caller has seen.
    Version,
    /// No active administrator would be left.
    LastAdministrator,
    /// The event's state does not go there from where it is.
    EventState,
    /// An event would end before it starts.
    Window,
    /// A uniqueness rule this crate does not expect to meet here.
    Other,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Email => "email",
            Self::Sku => "sku",
            Self::Inventory => "inventory",
            Self::InUse => "in use",
            Self::Version => "version",
            Self::LastAdministrator => "last administrator",
            Self::EventState => "event state",
            Self::Window => "event window",
            Self::Other => "unique key",
        })
    }
}

impl StoreError {
    /// Whether the same call may succeed later without anybody changing anything: what a consumer requeues,
    /// where any other error makes it look for the poison order in its batch.
    pub fn transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Retry(_))
    }

    pub(crate) fn conflict(what: Conflict) -> Self {
        Self::Conflict { what }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt(what.into())
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Database(_) => of_database(error),
            E::Io(_) | E::Tls(_) | E::Protocol(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed => {
                Self::Unavailable(error.into())
            }
            E::RowNotFound => Self::NotFound,
            E::ColumnDecode { .. } | E::Decode(_) => Self::Corrupt(error.to_string()),
            _ => Self::Other(error.into()),
        }
    }
}

/// What a database's own error means, by its number or code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Someone else holds a lock for too long, or a deadlock.
    Locked,
    /// The database cannot answer now.
    Away,
    /// A CHECK constraint: a figure this crate's conditions should have kept right.
    Check,
    /// Anything else.
    Other,
}

fn of_database(error: sqlx::Error) -> StoreError {
    if duplicate(&error) {
        return StoreError::conflict(Conflict::Other);
    }
    match fault(&error) {
        Fault::Locked => StoreError::Retry(error.into()),
        Fault::Away => StoreError::Unavailable(error.into()),
        Fault::Check => StoreError::Corrupt(error.to_string()),
        Fault::Other => StoreError::Other(error.into()),
    }
}

fn fault(error: &sqlx::Error) -> Fault {
    let Some(error) = error.as_database_error() else { return Fault::Other };
    let of_mysql = || error.try_downcast_ref::<MySqlDatabaseError>().map(mysql::fault);
    let of_sqlite = || error.try_downcast_ref::<SqliteError>().map(sqlite::fault);
    of_mysql().or_else(of_sqlite).unwrap_or(Fault::Other)
}

/// Whether an INSERT met a row that is there already.
pub(crate) fn duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
