//! What a process can do without: parts that two processes share cannot be inside one of them.

use crate::error::{ConfigError, ConfigErrors};
use crate::reader::env_name;
use crate::{Backend, Config};

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `spike gateway`: buyers, the control API, the relay.
    Gateway,
    /// `spike worker`: everything behind the queue.
    Worker,
    /// `spike serve`: both in one process.
    Serve,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Worker => "worker",
            Self::Serve => "serve",
        }
    }
}

impl Config {
    /// Refuses embedded parts where another process would need them too; `serve` takes any combination.
    ///
    /// # Errors
    /// One for each server that is missing.
    pub fn check_role(&self, role: Role) -> Result<(), ConfigErrors> {
        if role == Role::Serve {
            return Ok(());
        }
        let parts: [(&Backend, &str, &str); 3] = [
            (&self.redis.url, "redis.url", "the ledger"),
            (&self.amqp.url, "amqp.url", "the queue"),
            (&self.database.url, "database.url", "the database"),
        ];
        let missing: Vec<ConfigError> = parts
            .into_iter()
            .filter(|(backend, ..)| backend.is_embedded())
            .map(|(_, key, part)| ConfigError::NeedsServer { name: env_name(key), role: role.word(), part })
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(ConfigErrors(missing)) }
    }
}
