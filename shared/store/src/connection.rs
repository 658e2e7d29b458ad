//! Connecting, migrating, and asking the database for the time.

use std::time::Duration;

use crate::{Result, Store};

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
        let _ = settings;
        Err(crate::unwritten())
    }

    /// Applies every migration that is not applied yet. Processes that start together take turns.
    pub async fn migrate(&self) -> Result<()> {
        Err(crate::unwritten())
    }

    /// Undoes migrations above version `to`; 0 undoes all.
    pub async fn migrate_down(&self, to: i64) -> Result<()> {
        let _ = to;
        Err(crate::unwritten())
    }

    /// One round trip.
    pub async fn ping(&self) -> Result<()> {
        Err(crate::unwritten())
    }

    /// The database's clock, Unix milliseconds: the only one that decides deadlines.
    pub async fn now_ms(&self) -> Result<u64> {
        Err(crate::unwritten())
    }

    /// Closes the pool, waiting for the connections in use.
    pub async fn close(&self) {}
}
