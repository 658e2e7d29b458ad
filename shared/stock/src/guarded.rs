//! A connection behind circuit breakers: while Redis does not answer, commands fail at once instead of each waiting for
//! its time limit. In a cluster the shards fail alone, so the breakers are as many as groups of slots.

use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Instant;

use redis::aio::ConnectionLike;
use redis::{Arg, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, Value};
use spike_domain::Breaker;
use spike_metrics::words::RedisCommand;

use crate::connection::Connection;
use crate::metrics::RedisMetrics;
use crate::slot::{hash_tag, slot_of};

/// Failures in a row after which Redis is taken for away.
const THRESHOLD: u32 = 5;
const FIRST_REST_MS: u64 = 100;
const REST_MAX_MS: u64 = 1000;
/// Groups of slots in a cluster: an event seldom shares one with an event of another master.
const GROUPS: usize = 256;
/// Words after a command's name among which its first key is: XREADGROUP has it seventh.
const KEY_WITHIN: usize = 7;

/// The connection of a ledger that reconnects by itself; clones share the breakers and the metrics.
#[derive(Clone)]
pub struct Guarded {
    connection: Connection,
    breakers: Arc<[Breaker]>,
    metrics: Arc<RedisMetrics>,
}

impl Guarded {
    /// Guards `connection`, which leads to one server, or to a cluster where `sharded`.
    pub fn new(connection: Connection, sharded: bool) -> Self {
        let groups = if sharded { GROUPS } else { 1 };
        let breaker = |_| Breaker::new(THRESHOLD, FIRST_REST_MS, REST_MAX_MS);
        Self { connection, breakers: (0..groups).map(breaker).collect(), metrics: Arc::default() }
    }

    /// What is measured of its commands.
    pub fn metrics(&self) -> &RedisMetrics {
        &self.metrics
    }

    /// Whether any commands fail at once.
    pub fn breaker_open(&self) -> bool {
        self.breakers.iter().any(Breaker::open)
    }

    /// The connection itself.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The breaker of the event that a command is about; of commands without one, the first.
    fn breaker(&self, command: Option<&Cmd>) -> &Breaker {
        let group = command.filter(|_| self.breakers.len() > 1).map_or(0, group_of);
        &self.breakers[group % self.breakers.len()]
    }
}

fn group_of(command: &Cmd) -> usize {
    let tagged = |arg: Arg<&[u8]>| match arg {
        Arg::Simple(bytes) => hash_tag(bytes).map(|tag| usize::from(slot_of(tag))),
        _ => None,
    };
    let mut words = command.args_iter();
    // A script's text is full of braces; elsewhere a key comes before any text that may hold one of its own.
    if matches!(words.next(), Some(Arg::Simple(b"SCRIPT"))) {
        return 0;
    }
    words.take(KEY_WITHIN).find_map(tagged).unwrap_or(0)
}

impl ConnectionLike for Guarded {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            self.admit(Some(cmd))?;
            let since = Instant::now();
            let result = self.connection.req_packed_command(cmd).await;
            self.metrics.called(crate::metrics::kind_of(cmd), since.elapsed());
            self.judge(Some(cmd), result)
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let keyed = pipeline.cmd_iter().find(|command| group_of(command) > 0);
            self.admit(keyed)?;
            let since = Instant::now();
            let result = self.connection.req_packed_commands(pipeline, offset, count).await;
            self.metrics.called(RedisCommand::Pipeline, since.elapsed());
            self.judge(keyed, result)
        })
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}

impl Guarded {
    fn admit(&self, command: Option<&Cmd>) -> RedisResult<()> {
        if self.breaker(command).admits(now_ms()) {
            return Ok(());
        }
        self.metrics.failed();
        Err(RedisError::from((ErrorKind::Io, "Redis has not answered lately; it is tried again in a moment")))
    }

    fn judge<T>(&self, command: Option<&Cmd>, result: RedisResult<T>) -> RedisResult<T> {
        match &result {
            // An error that Redis sent is an answer.
            Err(error) if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() => {
                self.metrics.failed();
                self.breaker(command).failed(now_ms(), fastrand::f64());
            }
            _ => self.breaker(command).succeeded(),
        }
        result
    }
}

fn now_ms() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_of_the_group_of_its_event() {
        let of = |words: &[&str]| {
            let mut command = redis::cmd(words[0]);
            command.arg(&words[1..]);
            group_of(&command)
        };
        let group = of(&["HGET", "spike:{7}:meta", "epoch"]);
        assert_eq!(group, usize::from(slot_of(b"7")));
        assert_eq!(of(&["EVALSHA", "sha", "1", "spike:{7}:meta", "{8}"]), group);
        assert_ne!(of(&["HGET", "spike:{8}:meta", "epoch"]), group);
        let read = "XREADGROUP GROUP relay me COUNT 9 STREAMS spike:{7}:outbox >";
        assert_eq!(of(&read.split(' ').collect::<Vec<_>>()), group);
        assert_eq!(of(&["PUBLISH", "spike:hints", "7"]), 0);
        assert_eq!(of(&["SCRIPT", "LOAD", "return {'NO'}"]), 0);
    }
}
