//! How statements run: one connection for a read, a retried transaction for a write, and the protocol's transactions under
//! their event's lock. Whatever ends otherwise than by an answer closes its connection, so that no half-done transaction
//! ever returns to the pool.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use spike_domain::EventId;
use sqlx::pool::PoolConnection;
use sqlx::{MySql, MySqlConnection};

use crate::events::{self, EventRow};
use crate::sql::{NOW_MS, u64_at};
use crate::{Result, Store, StoreError};

/// Runs of one transaction before a lock conflict is the caller's.
const ATTEMPTS_MAX: u32 = 6;
/// Longest pause before the second run; it doubles with each further one.
const PAUSE_MS_MAX: u64 = 8;
/// Statement timeouts that a whole transaction may last, all its statements together.
const TRANSACTION_TIMEOUTS: u32 = 2;
/// The same for the few that read every row of an event.
const WHOLE_EVENT_TIMEOUTS: u32 = 60;

/// An event, locked until the transaction ends.
pub(crate) struct LockedEvent {
    /// Its row, which nobody else can change now.
    pub row: EventRow,
    /// The database's clock when the lock was asked for, Unix milliseconds.
    pub now_ms: u64,
}

impl LockedEvent {
    pub fn id(&self) -> EventId {
        self.row.def.id
    }
}

/// What the body of a locked transaction takes back to when its fast way fails: the moment after the lock.
pub(crate) const BACK_TO_LOCK: &str = "ROLLBACK TO SAVEPOINT locked";

impl Store {
    /// Runs single statements on one connection, outside any transaction.
    pub(crate) async fn read<T>(
        &self,
        body: impl AsyncFnOnce(&mut MySqlConnection) -> Result<T>,
    ) -> Result<T> {
        let mut session = self.session().await?;
        let result = within(self.statement_timeout * TRANSACTION_TIMEOUTS, body(&mut session)).await;
        session.release_after(&result);
        result
    }

    /// As [`Store::read`], for statements that visit every row of an event.
    pub(crate) async fn read_whole_event<T>(
        &self,
        body: impl AsyncFnOnce(&mut MySqlConnection) -> Result<T>,
    ) -> Result<T> {
        let mut session = self.session().await?;
        let result = within(self.statement_timeout * WHOLE_EVENT_TIMEOUTS, body(&mut session)).await;
        session.release_after(&result);
        result
    }

    /// Runs `body` in a transaction; again, when a lock conflict rolled it back.
    pub(crate) async fn transact<T>(
        &self,
        body: impl AsyncFn(&mut MySqlConnection) -> Result<T>,
    ) -> Result<T> {
        let limit = self.statement_timeout * TRANSACTION_TIMEOUTS;
        let mut attempt = 1;
        loop {
            let run = self.attempt(limit, async |conn| {
                sqlx::raw_sql("BEGIN").execute(&mut *conn).await?;
                body(conn).await
            });
            match run.await {
                Err(StoreError::Retry(cause)) if attempt < ATTEMPTS_MAX => pause(&mut attempt, &cause).await,
                result => return result,
            }
        }
    }

    /// Runs `body` in a transaction that holds the lock of `event`'s row. Errors: `NotFound` (no such event).
    pub(crate) async fn under_lock<T>(
        &self,
        event: EventId,
        body: impl AsyncFn(&mut MySqlConnection, &LockedEvent) -> Result<T>,
    ) -> Result<T> {
        self.under_lock_within(self.statement_timeout * TRANSACTION_TIMEOUTS, event, body).await
    }

    /// As [`Store::under_lock`], for a body that visits every row of the event.
    pub(crate) async fn under_lock_whole_event<T>(
        &self,
        event: EventId,
        body: impl AsyncFn(&mut MySqlConnection, &LockedEvent) -> Result<T>,
    ) -> Result<T> {
        self.under_lock_within(self.statement_timeout * WHOLE_EVENT_TIMEOUTS, event, body).await
    }

    async fn under_lock_within<T>(
        &self,
        limit: Duration,
        event: EventId,
        body: impl AsyncFn(&mut MySqlConnection, &LockedEvent) -> Result<T>,
    ) -> Result<T> {
        let mut attempt = 1;
        loop {
            let run = self.attempt(limit, async |conn| {
                let locked = begin_locked(conn, event).await?;
                body(conn, &locked).await
            });
            match run.await {
                Err(StoreError::Retry(cause)) if attempt < ATTEMPTS_MAX => pause(&mut attempt, &cause).await,
                result => return result,
            }
        }
    }

    /// One run: `body` begins the transaction itself; COMMIT when it succeeds, else ROLLBACK.
    async fn attempt<T>(
        &self,
        limit: Duration,
        body: impl AsyncFnOnce(&mut MySqlConnection) -> Result<T>,
    ) -> Result<T> {
        let mut session = self.session().await?;
        let run = async {
            let result = body(&mut session).await;
            // A lock timeout ends only its statement: the rest must be rolled back by name.
            let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
            if !matches!(result, Err(StoreError::Unavailable(_))) {
                sqlx::raw_sql(end).execute(&mut *session).await?;
            }
            result
        };
        let result = within(limit, run).await;
        session.release_after(&result);
        result
    }

    async fn session(&self) -> Result<Session> {
        Ok(Session { connection: Some(self.pool.acquire().await?) })
    }
}

/// BEGIN, lock and savepoint travel together: one round trip.
async fn begin_locked(conn: &mut MySqlConnection, event: EventId) -> Result<LockedEvent> {
    let text = format!(
        "BEGIN; SELECT {columns}, {NOW_MS} AS now_ms FROM spike_events WHERE id = {event} FOR UPDATE; SAVEPOINT locked",
        columns = events::COLUMNS,
    );
    let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(text)).fetch_all(conn).await?;
    let row = rows.first().ok_or(StoreError::NotFound)?;
    Ok(LockedEvent { row: EventRow::read(row)?, now_ms: u64_at(row, "now_ms")? })
}

async fn within<T>(limit: Duration, run: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(limit, run).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::Unavailable(format!("no answer within {limit:?}").into())),
    }
}

/// Waits before the next run, a random time, so that two that met do not meet again.
async fn pause(attempt: &mut u32, cause: &crate::Cause) {
    let longest = PAUSE_MS_MAX << *attempt;
    tracing::debug!(attempt, %cause, "transaction rolled back by a lock conflict, running it again");
    tokio::time::sleep(Duration::from_millis(fastrand::u64(1..=longest))).await;
    *attempt += 1;
}

/// A connection that goes back to the pool only by [`Session::release_after`]; dropped otherwise, it is closed and
/// the server rolls back what it had begun.
struct Session {
    connection: Option<PoolConnection<MySql>>,
}

impl Session {
    fn release_after<T>(mut self, result: &Result<T>) {
        if !matches!(result, Err(StoreError::Unavailable(_))) {
            drop(self.connection.take());
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

impl Deref for Session {
    type Target = MySqlConnection;
    fn deref(&self) -> &MySqlConnection {
        self.connection.as_deref().expect("taken only when the session ends")
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        self.connection.as_deref_mut().expect("taken only when the session ends")
    }
}
