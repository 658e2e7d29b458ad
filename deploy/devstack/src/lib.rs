//! Private instances of the real servers Spike runs on, from Debian's own binaries.
//!
//! Tests and `make up` need a Redis, a MariaDB and a RabbitMQ that nobody else touches, that can be killed, stopped
//! and started again at will, and that never outlive whoever asked for them. Each server gets a data folder, free
//! loopback ports outside the range the kernel hands to outgoing connections, and a log in its folder.
//!
//! - [`RedisServer`], [`MariaDbServer`], [`RabbitServer`]: one server each, with the faults a test plants
//!   (`kill9`, `restart`, `pause`, `resume`).
//! - [`RedisCluster`]: three Redis masters, each with a replica.
//! - [`RabbitCluster`]: several RabbitMQ nodes that are one broker.
//! - [`Stack`]: all three, started in parallel; [`Stack::up`] starts or finds one that outlives the command.
//! - [`spawn_bound`], [`free_port`]: the same lifetime and ports for other processes of a test or a demo.
//! - [`ChaosProxy`]: a network between a client and a server, which breaks on request.
//! - [`Tmpfs`]: a disk that is full on request.
//! - [`fixture`]: what a test calls; shares the expensive servers within a process or within a `make test`.

mod chaos;
mod cluster;
mod folder;
mod keeper;
mod mariadb;
mod port;
mod process;
mod rabbit;
mod rabbit_cluster;
mod ready;
mod record;
mod redis;
mod stack;
mod tmpfs;

pub mod fixture;

pub use chaos::{ChaosProxy, Fault};
pub use cluster::{RedisCluster, SlotMove};
pub use keeper::spawn_bound;
pub use mariadb::{MariaDbOptions, MariaDbServer};
pub use port::free as free_port;
pub use process::Lifetime;
pub use rabbit::RabbitServer;
pub use rabbit_cluster::RabbitCluster;
pub use redis::{RedisOptions, RedisServer};
pub use stack::{Health, Stack, down, status};
pub use tmpfs::Tmpfs;
