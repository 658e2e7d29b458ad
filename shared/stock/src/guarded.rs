//! A connection behind a circuit breaker: while Redis does not answer, commands fail at once instead of each waiting for
//! its time limit.

use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Instant;

use redis::aio::{ConnectionLike, ConnectionManager};
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, Value};
use spike_domain::Breaker;
use spike_metrics::words::RedisCommand;

use crate::metrics::RedisMetrics;

/// Failures in a row after which Redis is taken for away.
const THRESHOLD: u32 = 5;
const FIRST_REST_MS: u64 = 100;
const REST_MAX_MS: u64 = 1000;

/// The connection of a ledger that reconnects by itself; clones share the breaker and the metrics.
#[derive(Clone)]
pub struct Guarded {
    connection: ConnectionManager,
    breaker: Arc<Breaker>,
    metrics: Arc<RedisMetrics>,
}

impl Guarded {
    /// Guards `connection`.
    pub fn new(connection: ConnectionManager) -> Self {
        let breaker = Arc::new(Breaker::new(THRESHOLD, FIRST_REST_MS, REST_MAX_MS));
        Self { connection, breaker, metrics: Arc::default() }
    }

    /// What is measured of its commands.
    pub fn metrics(&self) -> &RedisMetrics {
        &self.metrics
    }

    /// What is known of Redis.
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }
}

impl ConnectionLike for Guarded {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            self.admit()?;
            let since = Instant::now();
            let result = self.connection.req_packed_command(cmd).await;
            self.metrics.called(crate::metrics::kind_of(cmd), since.elapsed());
            self.judge(result)
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            self.admit()?;
            let since = Instant::now();
            let result = self.connection.req_packed_commands(pipeline, offset, count).await;
            self.metrics.called(RedisCommand::Pipeline, since.elapsed());
            self.judge(result)
        })
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}

impl Guarded {
    fn admit(&self) -> RedisResult<()> {
        if self.breaker.admits(now_ms()) {
            return Ok(());
        }
        self.metrics.failed();
        Err(RedisError::from((ErrorKind::Io, "Redis has not answered lately; it is tried again in a moment")))
    }

    fn judge<T>(&self, result: RedisResult<T>) -> RedisResult<T> {
        match &result {
            // An error that Redis sent is an answer.
            Err(error) if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() => {
                self.metrics.failed();
                self.breaker.failed(now_ms(), fastrand::f64());
            }
            _ => self.breaker.succeeded(),
        }
        result
    }
}

fn now_ms() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}
