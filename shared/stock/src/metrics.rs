//! What is measured of Redis off the hot cores: commands by their kind, and those without an answer.

use std::time::Duration;

use redis::{Arg, Cmd};
use spike_metrics::catalogue::common::{REDIS_BREAKER_OPEN, REDIS_COMMAND_DURATION, REDIS_ERRORS};
use spike_metrics::words::RedisCommand;
use spike_metrics::{Counts, Page, Spreads};

use crate::Stock;

/// The instruments of one connection and its clones.
#[derive(Debug)]
pub struct RedisMetrics {
    commands: Spreads,
    errors: Counts,
}

impl Default for RedisMetrics {
    fn default() -> Self {
        Self { commands: Spreads::new(&REDIS_COMMAND_DURATION), errors: Counts::new(&REDIS_ERRORS) }
    }
}

impl RedisMetrics {
    pub(crate) fn called(&self, command: RedisCommand, took: Duration) {
        self.commands.took_at(command as usize, took);
    }

    pub(crate) fn failed(&self) {
        self.errors.add(1);
    }

    fn write(&self, page: &mut Page) {
        self.commands.write(page);
        self.errors.write(page);
    }
}

impl Stock {
    /// Shows what is measured of Redis; of an embedded ledger there is nothing.
    pub fn write_metrics(&self, page: &mut Page) {
        match self.guarded() {
            Some(guarded) => guarded.metrics().write(page),
            None => RedisMetrics::default().write(page),
        }
        page.value(&REDIS_BREAKER_OPEN, u8::from(self.breaker_open()));
    }
}

/// The kind of a command, by its name.
pub(crate) fn kind_of(command: &Cmd) -> RedisCommand {
    match command.args_iter().next() {
        Some(Arg::Simple(name)) => kind_of_name(name),
        _ => RedisCommand::Read,
    }
}

fn kind_of_name(name: &[u8]) -> RedisCommand {
    match name {
        b"EVALSHA" | b"EVAL" | b"SCRIPT" => RedisCommand::Script,
        b"SET" | b"DEL" | b"HDEL" | b"PUBLISH" | b"SADD" | b"SREM" | b"EXPIRE" | b"PEXPIRE" => {
            RedisCommand::Write
        }
        name if name.starts_with(b"X") => RedisCommand::Stream,
        _ => RedisCommand::Read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_known_by_its_name() {
        for (name, kind) in [
            ("EVALSHA", RedisCommand::Script),
            ("XREADGROUP", RedisCommand::Stream),
            ("HMGET", RedisCommand::Read),
            ("TIME", RedisCommand::Read),
            ("PUBLISH", RedisCommand::Write),
        ] {
            assert_eq!(kind_of(redis::cmd(name).arg("key")), kind, "{name}");
        }
    }
}
