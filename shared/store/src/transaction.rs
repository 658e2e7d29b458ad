//! How statements run: one connection for a read, a retried transaction for a write, and the protocol's
//! transactions under their event's lock. Whatever ends otherwise than by an answer closes its connection, so
//! that no half-done transaction ever returns to the pool.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use spike_domain::{Breaker, EventId};
use spike_metrics::words::Statements;

use crate::backend::{Access, Conn};
use crate::events::{self, EventRow};
use crate::metrics::DatabaseMetrics;
use crate::mysql::NO_STATEMENT_LIMIT;
use crate::sql::{rows_of_text, run_text, u64_at};
use crate::{Result, Store, StoreError, breaker};

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

/// What the body of a locked transaction goes back to when its fast way fails: the moment after the lock.
pub(crate) const BACK_TO_LOCK: &str = "ROLLBACK TO SAVEPOINT locked";

// The three ways to run a body are macros, because a function that takes an async closure gives a future that
// cannot be spawned (rust-lang/rust#110338: "implementation of `Send` is not general enough"). `return` and
// `?` in a body end the body.

/// `read!(store, |conn| { … })`: single statements on one connection, outside any transaction. `whole_event`
/// before the store gives a body that visits every row of an event its time.
macro_rules! read {
    (@run $session:expr, $limit:expr, |$conn:ident| $body:block) => {{
        let mut session = $session.await?.about($crate::metrics::about(module_path!()));
        let result = $crate::transaction::within($limit, async {
            let $conn: &mut $crate::backend::Conn = &mut session;
            $body
        })
        .await;
        session.release_after(&result);
        result
    }};
    (whole_event $store:expr, |$conn:ident| $body:block) => {
        $crate::transaction::read!(@run $store.patient_session($crate::backend::Access::Read), $store.limit_whole_event(), |$conn| $body)
    };
    ($store:expr, |$conn:ident| $body:block) => {
        $crate::transaction::read!(@run $store.session($crate::backend::Access::Read), $store.limit(), |$conn| $body)
    };
}

/// `transact!(store, |tx| { … })`: a transaction, run again when a lock conflict rolled it back.
macro_rules! transact {
    ($store:expr, |$tx:ident| $body:block) => {{
        let mut attempts = $crate::transaction::Attempts::begin($store.limit());
        loop {
            let session = $store.session($crate::backend::Access::Write).await?;
            let mut session = session.about($crate::metrics::about(module_path!()));
            let result = $crate::transaction::within($store.limit(), async {
                let result = async {
                    $crate::transaction::begin(&mut session).await?;
                    let $tx: &mut $crate::backend::Conn = &mut session;
                    $body
                }
                .await;
                session.end(result).await
            })
            .await;
            session.release_after(&result);
            if let Some(result) = attempts.judge(result).await {
                break result;
            }
        }
    }};
}

/// `under_lock!(store, event, |tx, locked| { … })`: a transaction that holds the lock of the event's row.
/// Errors beside the body's: `NotFound` (no such event). `whole_event` as for `read!`.
macro_rules! under_lock {
    (@run $session:expr, $limit:expr, $event:expr, |$tx:ident, $locked:ident| $body:block) => {{
        let mut attempts = $crate::transaction::Attempts::begin($limit);
        loop {
            let mut session = $session.await?.about($crate::metrics::about(module_path!()));
            let result = $crate::transaction::within($limit, async {
                let result = async {
                    let locked = $crate::transaction::begin_locked(&mut session, $event).await?;
                    let $locked: &$crate::transaction::LockedEvent = &locked;
                    let $tx: &mut $crate::backend::Conn = &mut session;
                    $body
                }
                .await;
                session.end(result).await
            })
            .await;
            session.release_after(&result);
            if let Some(result) = attempts.judge(result).await {
                break result;
            }
        }
    }};
    (whole_event $store:expr, $event:expr, |$tx:ident, $locked:ident| $body:block) => {
        $crate::transaction::under_lock!(@run $store.patient_session($crate::backend::Access::Write), $store.limit_whole_event(), $event,
            |$tx, $locked| $body)
    };
    ($store:expr, $event:expr, |$tx:ident, $locked:ident| $body:block) => {
        $crate::transaction::under_lock!(@run $store.session($crate::backend::Access::Write), $store.limit(), $event,
            |$tx, $locked| $body)
    };
}

pub(crate) use {read, transact, under_lock};

impl Store {
    /// How long one call may last, all its statements together.
    pub(crate) fn limit(&self) -> Duration {
        self.statement_timeout * TRANSACTION_TIMEOUTS
    }

    /// The same for a call that visits every row of an event.
    pub(crate) fn limit_whole_event(&self) -> Duration {
        self.statement_timeout * WHOLE_EVENT_TIMEOUTS
    }

    pub(crate) async fn session(&self, access: Access) -> Result<Session> {
        self.admit().inspect_err(|error| self.metrics.failed(error))?;
        let asked = Instant::now();
        let acquired = self.backend.acquire(access).await.map_err(StoreError::from);
        self.metrics.acquired(asked.elapsed());
        if let Err(error) = &acquired {
            self.metrics.failed(error);
            breaker::judge(&self.breaker, &acquired);
        }
        let (breaker, metrics) = (self.breaker.clone(), self.metrics.clone());
        let (about, since) = (Statements::Health, Instant::now());
        Ok(Session { connection: Some(acquired?), for_the_pool: true, breaker, metrics, about, since })
    }

    /// A session whose statements may take as long as the call. A server's is closed after it, rather than
    /// set back; SQLite knows no limit on a statement.
    pub(crate) async fn patient_session(&self, access: Access) -> Result<Session> {
        let mut session = self.session(access).await?;
        if matches!(*session, Conn::MySql(_)) {
            session.for_the_pool = false;
            within(self.limit(), async { Ok(run_text(&mut session, NO_STATEMENT_LIMIT.to_owned()).await?) })
                .await?;
        }
        Ok(session)
    }
}

/// Begins a transaction.
pub(crate) async fn begin(conn: &mut Conn) -> Result<()> {
    run_text(conn, conn.dialect().begin().to_owned()).await?;
    Ok(())
}

/// Begins a transaction and locks the event's row; both and the savepoint travel together, in one round trip.
pub(crate) async fn begin_locked(conn: &mut Conn, event: EventId) -> Result<LockedEvent> {
    let dialect = conn.dialect();
    let text = format!(
        "{begin}; SELECT {columns}, {now} AS now_ms FROM spike_events WHERE id = {event} {for_update}; SAVEPOINT locked",
        begin = dialect.begin(),
        columns = events::COLUMNS,
        now = dialect.now_ms(),
        for_update = dialect.for_update(),
    );
    let rows = rows_of_text(conn, text).await?;
    let row = rows.first().ok_or(StoreError::NotFound)?;
    Ok(LockedEvent { row: EventRow::read(row)?, now_ms: u64_at(row, "now_ms")? })
}

pub(crate) async fn within<T>(limit: Duration, run: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(limit, run).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::Unavailable(format!("no answer within {limit:?}").into())),
    }
}

/// Counts the runs of one transaction.
pub(crate) struct Attempts {
    made: u32,
    last_start: Instant,
}

impl Attempts {
    /// No further run starts later than `patience` from now.
    pub fn begin(patience: Duration) -> Self {
        Self { made: 0, last_start: Instant::now() + patience }
    }

    /// What to return to the caller; `None` to run again, after a random pause, so that two that met do not
    /// meet again.
    pub async fn judge<T>(&mut self, result: Result<T>) -> Option<Result<T>> {
        self.made += 1;
        match result {
            Err(StoreError::Retry(cause)) if self.made < ATTEMPTS_MAX && Instant::now() < self.last_start => {
                tracing::debug!(made = self.made, %cause, "rolled back by a lock conflict, running it again");
                let longest = PAUSE_MS_MAX << self.made;
                tokio::time::sleep(Duration::from_millis(fastrand::u64(1..=longest))).await;
                None
            }
            result => Some(result),
        }
    }
}

/// A connection that goes back to the pool only by [`Session::release_after`]; dropped otherwise, it is
/// closed and the server rolls back what it had begun.
pub(crate) struct Session {
    connection: Option<Conn>,
    for_the_pool: bool,
    breaker: Arc<Breaker>,
    metrics: Arc<DatabaseMetrics>,
    about: Statements,
    since: Instant,
}

impl Session {
    /// Says what the call is about, for the metrics.
    pub fn about(mut self, about: Statements) -> Self {
        self.about = about;
        self
    }

    /// COMMIT after a success, else ROLLBACK: a lock timeout alone ends only its statement. A session that
    /// fails to end its transaction is closed, because nobody knows whether one is still open. (SQLite rolls
    /// some failures back by itself, and one that never got its lock never began.)
    pub async fn end<T>(&mut self, result: Result<T>) -> Result<T> {
        if matches!(result, Err(StoreError::Unavailable(_))) {
            return result;
        }
        let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = run_text(self, end.to_owned()).await;
        self.for_the_pool &= ended.is_ok();
        match (result, ended) {
            (Ok(_), Err(error)) => Err(error.into()),
            (result, _) => result,
        }
    }

    /// Gives the connection back, unless the server has stopped answering on it.
    pub fn release_after<T>(mut self, result: &Result<T>) {
        breaker::judge(&self.breaker, result);
        self.metrics.called(self.about, self.since.elapsed(), result);
        if self.for_the_pool && !matches!(result, Err(StoreError::Unavailable(_))) {
            drop(self.connection.take());
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.discard();
        }
    }
}

impl Deref for Session {
    type Target = Conn;
    fn deref(&self) -> &Conn {
        self.connection.as_ref().expect("taken only when the session ends")
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Conn {
        self.connection.as_mut().expect("taken only when the session ends")
    }
}
