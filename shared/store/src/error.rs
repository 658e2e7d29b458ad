//! What can go wrong with the store, by what a caller does about it.

use std::error::Error as StdError;

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
    /// The event's state does not go there from where it is.
    EventState,
    /// A uniqueness rule this crate does not expect to meet here.
    Other,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Email => "email",
            Self::Sku => "sku",
            Self::Inventory => "inventory",
            Self::EventState => "event state",
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
            E::Database(_) => of_server(error),
            E::Io(_) | E::Tls(_) | E::Protocol(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed => {
                Self::Unavailable(error.into())
            }
            E::RowNotFound => Self::NotFound,
            E::ColumnDecode { .. } | E::Decode(_) => Self::Corrupt(error.to_string()),
            _ => Self::Other(error.into()),
        }
    }
}

/// By the server's error number, the same in MySQL and MariaDB but where noted. What is not plainly about a value is
/// about the server (a full disk, no memory, a revoked right, a missing table): called transient, because a worker
/// would reject good orders one by one for it.
fn of_server(error: sqlx::Error) -> StoreError {
    let Some(number) = server_number(&error) else { return StoreError::Unavailable(error.into()) };
    match number {
        DUPLICATE_KEY => StoreError::conflict(Conflict::Other),
        // Lock wait timeout, deadlock.
        1205 | 1213 => StoreError::Retry(error.into()),
        // A CHECK constraint, in MySQL and in MariaDB: a figure this crate's conditions should have kept
        // right.
        3819 | 4025 => StoreError::Corrupt(error.to_string()),
        number if about_a_value(number) => StoreError::Other(error.into()),
        _ => StoreError::Unavailable(error.into()),
    }
}

/// Whether the server refused what it was told to write, and would refuse it for ever.
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

/// Error number of a duplicate key.
pub(crate) const DUPLICATE_KEY: u16 = 1062;

/// The server's error number, if the server said it.
pub(crate) fn server_number(error: &sqlx::Error) -> Option<u16> {
    let server = error.as_database_error()?.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()?;
    Some(server.number())
}

/// Whether an INSERT met a row that is there already.
pub(crate) fn duplicate(error: &sqlx::Error) -> bool {
    server_number(error) == Some(DUPLICATE_KEY)
}
