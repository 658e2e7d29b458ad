//! The three servers together.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};

use crate::process::{end, is_ours};
use crate::record::Record;
use crate::{Lifetime, MariaDbOptions, MariaDbServer, RabbitServer, RedisOptions, RedisServer};

/// What the application's own database and virtual host are called.
const NAME: &str = "spike";
/// Time to finish after SIGTERM, before SIGKILL.
const GRACE: Duration = Duration::from_secs(20);
/// Pids in the order they are ended: the broker's port mapper after the broker.
const PIDS: [(&str, &str); 4] =
    [("rabbitmq", "pid"), ("rabbitmq", "epmd_pid"), ("mariadb", "pid"), ("redis", "pid")];

/// Redis, MariaDB and RabbitMQ, each in a folder below the stack's.
#[derive(Debug)]
pub struct Stack {
    /// Stock, buyers and outbox.
    pub redis: RedisServer,
    /// Orders.
    pub mariadb: MariaDbServer,
    /// What is between them.
    pub rabbit: RabbitServer,
    dir: PathBuf,
}

/// One line of `devstack status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// `redis`, `mariadb` or `rabbitmq`.
    pub server: &'static str,
    /// The pid, when it runs.
    pub pid: Option<u32>,
    /// The port it has or had.
    pub port: Option<u16>,
}

impl Stack {
    /// Starts all three in parallel; they end with this process.
    ///
    /// # Errors
    /// When one cannot start; the others are ended.
    pub fn start(dir: &Path) -> anyhow::Result<Stack> {
        Stack::start_with(dir, Lifetime::Bound)
    }

    /// Starts what is not running in `dir` so that it outlives this process, creates the database and the virtual host
    /// `spike`, and writes `<dir>/env`. Doing it twice changes nothing.
    ///
    /// # Errors
    /// When a server cannot start; those that did go on until [`down`].
    pub fn up(dir: &Path) -> anyhow::Result<Stack> {
        let stack = Stack::start_with(dir, Lifetime::Daemon)?;
        stack.mariadb.create_database(NAME)?;
        stack.rabbit.create_vhost(NAME)?;
        fs::write(stack.dir.join("env"), stack.env()).context("write the stack's env file")?;
        Ok(stack)
    }

    /// The servers' addresses as `KEY=VALUE` lines, ready for `set -a; . file`.
    pub fn env(&self) -> String {
        let (redis, amqp, database) = (self.redis.url(), self.rabbit.url(NAME), self.mariadb.url(NAME));
        format!("SPIKE_REDIS_URL={redis}\nSPIKE_AMQP_URL={amqp}\nSPIKE_DATABASE_URL={database}\n")
    }

    fn start_with(dir: &Path, lifetime: Lifetime) -> anyhow::Result<Stack> {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let dir = dir.canonicalize()?;
        let options = MariaDbOptions { lifetime, buffer_pool_mb: 256, ..MariaDbOptions::default() };
        thread::scope(|scope| {
            let rabbit = scope.spawn(|| RabbitServer::start_with(&dir.join("rabbitmq"), lifetime));
            let mariadb = scope.spawn(|| MariaDbServer::start_with(&dir.join("mariadb"), &options));
            let redis =
                RedisServer::start(&dir.join("redis"), RedisOptions { lifetime, ..RedisOptions::default() });
            let mariadb = mariadb.join().map_err(|_| anyhow!("the thread that starts MariaDB panicked"))?;
            let rabbit = rabbit.join().map_err(|_| anyhow!("the thread that starts RabbitMQ panicked"))?;
            Ok(Stack { redis: redis?, mariadb: mariadb?, rabbit: rabbit?, dir: dir.clone() })
        })
    }
}

/// Ends what [`Stack::up`] left running in `dir` and returns the names of the processes ended; the data stays.
/// A recorded pid that is not ours any more is left alone.
///
/// # Errors
/// When the folder cannot be read. A folder that does not exist has nothing running.
pub fn down(dir: &Path) -> anyhow::Result<Vec<&'static str>> {
    let mut ended = Vec::new();
    if !dir.exists() {
        return Ok(ended);
    }
    let dir = dir.canonicalize()?;
    for (server, key) in PIDS {
        let folder = dir.join(server);
        if let Some(pid) = Record::load(&folder).get(key)
            && is_ours(pid, &folder)
        {
            end(pid, &folder, GRACE);
            ended.push(if key == "pid" { server } else { "epmd" });
        }
    }
    // Left behind, it would name servers that are gone.
    let _ = fs::remove_file(dir.join("env"));
    Ok(ended)
}

/// What runs in `dir`, by its records and the kernel's word on the pids.
pub fn status(dir: &Path) -> Vec<Health> {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let health = |server| {
        let folder = dir.join(server);
        let record = Record::load(&folder);
        let pid = record.get("pid").filter(|pid| is_ours(*pid, &folder));
        Health { server, pid, port: record.get("port") }
    };
    ["redis", "mariadb", "rabbitmq"].map(health).to_vec()
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pid, self.port) {
            (Some(pid), Some(port)) => write!(f, "{:<9} running  127.0.0.1:{port}  pid {pid}", self.server),
            _ => write!(f, "{:<9} stopped", self.server),
        }
    }
}
