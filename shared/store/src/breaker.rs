//! The circuit breaker before a database server: while it does not answer, calls fail at once instead of each waiting for a
//! connection, so that requests which need no database find room. The embedded database has none: it is this process.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use spike_domain::Breaker;

use crate::backend::Backend;
use crate::{Cause, Result, Store, StoreError};

/// Failures in a row, with no success of anybody in between, after which the server is taken for away.
const THRESHOLD: u32 = 5;
const FIRST_REST_MS: u64 = 100;
const REST_MAX_MS: u64 = 1000;

pub(crate) fn closed() -> Arc<Breaker> {
    Arc::new(Breaker::new(THRESHOLD, FIRST_REST_MS, REST_MAX_MS))
}

impl Store {
    /// Whether calls are refused at once because the server does not answer.
    pub fn breaker_open(&self) -> bool {
        self.breaker.open()
    }

    pub(crate) fn admit(&self) -> Result<()> {
        if matches!(self.backend, Backend::Sqlite { .. }) || self.breaker.admits(now_ms()) {
            return Ok(());
        }
        Err(StoreError::Unavailable(
            "the server has not answered lately; it is tried again in a moment".into(),
        ))
    }
}

/// Tells the breaker how a call ended: only no answer is a failure. A server that says what troubles it (a full disk, a
/// missing right on one table) has answered.
pub(crate) fn judge<T>(breaker: &Breaker, result: &Result<T>) {
    match result {
        Err(StoreError::Unavailable(cause)) if !from_the_server(cause) => {
            breaker.failed(now_ms(), fastrand::f64());
        }
        _ => breaker.succeeded(),
    }
}

fn from_the_server(cause: &Cause) -> bool {
    matches!(cause.downcast_ref::<sqlx::Error>(), Some(sqlx::Error::Database(_)))
}

fn now_ms() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}
