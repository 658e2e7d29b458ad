//! The two databases behind one store: which pool serves whom, and a connection and a row of either.
//!
//! Everything above this file is written once. What the two differ in is here (who may write), in `dialect`
//! (their SQL), and in `mysql` and `sqlite` (connecting, migrating, the meaning of their errors).

use sqlx::mysql::{MySqlPool, MySqlRow};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Connection as _, Decode, MySql, Sqlite, Type};

use crate::dialect::Dialect;

/// Pools of one database.
#[derive(Clone, Debug)]
pub(crate) enum Backend {
    /// Any connection may do anything: rows are locked by the server.
    MySql(MySqlPool),
    /// One connection writes, so that whoever holds it holds every lock there is.
    Sqlite {
        /// Connections that cannot write.
        readers: SqlitePool,
        /// A pool of one.
        writer: SqlitePool,
    },
}

/// What a connection is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Statements that change nothing.
    Read,
    /// Transactions.
    Write,
}

/// A connection of a pool.
#[derive(Debug)]
pub(crate) enum Conn {
    MySql(PoolConnection<MySql>),
    Sqlite(PoolConnection<Sqlite>),
}

/// A row of an answer.
pub(crate) enum Row {
    MySql(MySqlRow),
    Sqlite(SqliteRow),
}

/// What a column can be read as.
pub(crate) trait Column<'r>:
    Decode<'r, MySql> + Type<MySql> + Decode<'r, Sqlite> + Type<Sqlite>
{
}

impl<'r, T> Column<'r> for T where T: Decode<'r, MySql> + Type<MySql> + Decode<'r, Sqlite> + Type<Sqlite> {}

impl Backend {
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::MySql(_) => Dialect::MySql,
            Self::Sqlite { .. } => Dialect::Sqlite,
        }
    }

    pub async fn acquire(&self, access: Access) -> Result<Conn, sqlx::Error> {
        match (self, access) {
            (Self::MySql(pool), _) => pool.acquire().await.map(Conn::MySql),
            (Self::Sqlite { readers, .. }, Access::Read) => readers.acquire().await.map(Conn::Sqlite),
            (Self::Sqlite { writer, .. }, Access::Write) => writer.acquire().await.map(Conn::Sqlite),
        }
    }

    /// Connections that rest, and connections in use.
    pub fn connections(&self) -> (u64, u64) {
        let of = |all: u32, idle: usize| (idle as u64, u64::from(all).saturating_sub(idle as u64));
        match self {
            Self::MySql(pool) => of(pool.size(), pool.num_idle()),
            Self::Sqlite { readers, writer } => {
                let (read, write) =
                    (of(readers.size(), readers.num_idle()), of(writer.size(), writer.num_idle()));
                (read.0 + write.0, read.1 + write.1)
            }
        }
    }

    /// Waits for the connections in use.
    pub async fn close(&self) {
        match self {
            Self::MySql(pool) => pool.close().await,
            Self::Sqlite { readers, writer } => {
                // The writer last: whoever closes last folds the write-ahead log into the database.
                readers.close().await;
                writer.close().await;
            }
        }
    }
}

impl Conn {
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::MySql(_) => Dialect::MySql,
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }

    pub async fn ping(&mut self) -> Result<(), sqlx::Error> {
        match self {
            Self::MySql(conn) => conn.ping().await,
            Self::Sqlite(conn) => conn.ping().await,
        }
    }

    /// Closes it rather than give it back; the database rolls back what it had begun.
    pub fn discard(self) {
        match self {
            Self::MySql(conn) => drop(conn.detach()),
            Self::Sqlite(conn) => drop(conn.detach()),
        }
    }
}

impl Row {
    /// A column by its name.
    pub fn get<'r, T: Column<'r>>(&'r self, column: &str) -> Result<T, sqlx::Error> {
        use sqlx::Row as _;
        match self {
            Self::MySql(row) => row.try_get(column),
            Self::Sqlite(row) => row.try_get(column),
        }
    }
}
