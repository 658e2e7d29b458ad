//! What a test calls to get servers.
//!
//! Redis is cheap, so every test has its own. MariaDB and RabbitMQ take seconds to start: one of each serves a whole
//! test process, or, when `SPIKE_TEST_STACK` names a folder written by `devstack up`, a whole `make test`. Tests are kept
//! apart by a database and a virtual host each. A test that plants a fault in MariaDB or RabbitMQ starts its own
//! instance in a [`folder`]. These functions panic instead of returning errors: without servers there is no test.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::folder::fresh;
use crate::{MariaDbServer, RabbitServer, RedisCluster, RedisOptions, RedisServer};

/// The folder of a running stack to use instead of starting servers.
const SHARED_STACK: &str = "SPIKE_TEST_STACK";

static MARIADB: OnceLock<MariaDbServer> = OnceLock::new();
static RABBIT: OnceLock<RabbitServer> = OnceLock::new();

/// A Redis for this test alone, with the shipped profile; it ends when the value is dropped.
pub fn redis() -> RedisServer {
    RedisServer::start(&folder("redis"), RedisOptions::default()).expect("a private Redis")
}

/// A Redis Cluster for this test alone, of three masters with a replica each; it ends when the value is dropped.
pub fn redis_cluster() -> RedisCluster {
    RedisCluster::start(&folder("redis-cluster")).expect("a private Redis Cluster")
}

/// The MariaDB that every test of this process shares: do not stop it.
pub fn mariadb() -> &'static MariaDbServer {
    MARIADB.get_or_init(|| {
        let server = match shared_stack() {
            Some(stack) => MariaDbServer::find(&stack.join("mariadb")),
            None => MariaDbServer::start(&folder("mariadb")),
        };
        server.expect("a shared MariaDB")
    })
}

/// The RabbitMQ that every test of this process shares: do not stop it.
pub fn rabbit() -> &'static RabbitServer {
    RABBIT.get_or_init(|| {
        let server = match shared_stack() {
            Some(stack) => RabbitServer::find(&stack.join("rabbitmq")),
            None => RabbitServer::start(&folder("rabbitmq")),
        };
        server.expect("a shared RabbitMQ")
    })
}

/// The URL of a new empty database on [`mariadb`].
pub fn database() -> String {
    mariadb().create_database(&unique()).expect("a database for this test")
}

/// The URL of a new virtual host on [`rabbit`].
pub fn vhost() -> String {
    rabbit().create_vhost(&unique()).expect("a virtual host for this test")
}

/// A new empty folder, removed when the test process ends without a panic.
pub fn folder(name: &str) -> PathBuf {
    fresh(name).expect("a folder for this test")
}

/// Ends this process's own shared servers; statics are never dropped, and their folders are about to be removed.
pub(crate) fn stop_shared() {
    if shared_stack().is_none() {
        MARIADB.get().inspect(|server| server.kill9());
        RABBIT.get().inspect(|server| server.kill9());
    }
}

fn shared_stack() -> Option<PathBuf> {
    std::env::var_os(SHARED_STACK).map(PathBuf::from)
}

/// A name for a database or virtual host that no other test of any process has.
fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    format!("t{seconds}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
