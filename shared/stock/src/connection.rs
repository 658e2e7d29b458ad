//! How Redis is reached off the hot cores: one server, or a cluster whose masters share the slots.
//!
//! A pipeline on a cluster holds keys of one slot only, and is sent there as a whole; a script is loaded by a pipeline
//! that also names a key of its event, so it never reaches another master than the event's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig, MultiplexedConnection, PubSub};
use redis::cluster::{ClusterClient, ClusterClientBuilder, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    Pipeline, ProtocolVersion, RedisError, RedisFuture, RedisResult, Value,
};

use crate::stock::Timeouts;

/// Longest rest between two tries to connect.
const DELAY_MAX: Duration = Duration::from_secs(1);
/// Tries of one command on a cluster after the first: a redirection is one.
const RETRIES: u32 = 3;
/// Longest wait for a connection to subscribe on: of a cluster another node is asked then.
const SUBSCRIBE_WAIT: Duration = Duration::from_secs(2);
/// A cluster's connections are made anew at most this often.
const RENEW_GAP: Duration = Duration::from_secs(1);

/// Where Redis is.
#[derive(Clone)]
pub struct Servers(Kind);

#[derive(Clone)]
enum Kind {
    One(Client),
    /// Any nodes of it; they name the others.
    Cluster(Arc<[ConnectionInfo]>),
}

impl Servers {
    /// The server at `url`.
    ///
    /// # Errors
    /// The URL is none.
    pub fn one(url: &str) -> RedisResult<Self> {
        Client::open(address(url)?).map(|client| Self(Kind::One(client)))
    }

    /// The cluster that the nodes at `urls` belong to; one that answers is enough.
    ///
    /// # Errors
    /// A URL is none, names another database than 0, or there is no URL.
    pub fn cluster(urls: &[String]) -> RedisResult<Self> {
        let seeds: Vec<_> = urls.iter().map(|url| address(url)).collect::<RedisResult<_>>()?;
        if seeds.is_empty() || seeds.iter().any(|seed| seed.redis_settings().db() != 0) {
            let what = "a Redis Cluster is named by at least one node and has database 0 only";
            return Err((ErrorKind::InvalidClientConfig, what).into());
        }
        Ok(Self(Kind::Cluster(seeds.into())))
    }

    /// Whether events are spread over several masters.
    pub fn sharded(&self) -> bool {
        matches!(self.0, Kind::Cluster(_))
    }

    /// A connection that is made when first used, and again when lost. Call it on a tokio runtime.
    ///
    /// # Errors
    /// The client cannot be set up.
    pub fn connection(&self, timeouts: Timeouts) -> RedisResult<Connection> {
        match &self.0 {
            Kind::One(client) => {
                let config = ConnectionManagerConfig::new()
                    .set_connection_timeout(Some(timeouts.connect))
                    .set_response_timeout(Some(timeouts.command))
                    .set_max_delay(DELAY_MAX)
                    .set_number_of_retries(1);
                client.get_connection_manager_lazy(config).map(|manager| Connection(Way::One(manager)))
            }
            Kind::Cluster(seeds) => Cluster::new(seeds, timeouts).map(|way| Connection(Way::Cluster(way))),
        }
    }

    /// A connection that never reconnects and follows nobody, to the server, or to the master of `slot` as `connection`
    /// knows it now.
    ///
    /// # Errors
    /// Redis cannot be reached, or nobody is known to have the slot.
    pub async fn master_of(
        &self,
        slot: u16,
        connection: &Connection,
        timeouts: Timeouts,
    ) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeouts.connect))
            .set_response_timeout(Some(timeouts.command));
        let client = match (&self.0, &connection.0) {
            (Kind::Cluster(seeds), Way::Cluster(cluster)) => {
                let (host, port) = cluster.master_of(slot).await?;
                Client::open(seeds[0].clone().set_addr(ConnectionAddr::Tcp(host, port)))?
            }
            (Kind::One(client), _) => client.clone(),
            (Kind::Cluster(_), Way::One(_)) => unreachable!("a cluster's connections are a cluster's"),
        };
        client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// A subscription to `channel`, which ends with its connection. In a cluster any node hears what any other is told.
    ///
    /// # Errors
    /// Redis cannot be reached.
    pub async fn subscribe(&self, channel: &str) -> RedisResult<PubSub> {
        let client = match &self.0 {
            Kind::One(client) => client.clone(),
            // One that is away is not asked again and again.
            Kind::Cluster(seeds) => Client::open(seeds[fastrand::usize(..seeds.len())].clone())?,
        };
        let silent = |_| RedisError::from((ErrorKind::Io, "Redis takes no subscription"));
        let taken = tokio::time::timeout(SUBSCRIBE_WAIT, client.get_async_pubsub());
        let mut subscription = taken.await.map_err(silent)??;
        subscription.subscribe(channel).await?;
        Ok(subscription)
    }
}

/// Left to the library's default, a call that follows another would wait for its acknowledgement (Nagle).
fn address(url: &str) -> RedisResult<ConnectionInfo> {
    let address = url.into_connection_info()?;
    let at_once = address.tcp_settings().clone().set_nodelay(true);
    Ok(address.set_tcp_settings(at_once))
}

/// A connection of [`Servers`]; clones share it.
#[derive(Clone)]
pub struct Connection(Way);

#[derive(Clone)]
enum Way {
    One(ConnectionManager),
    Cluster(Cluster),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.0 {
            Way::One(manager) => manager.req_packed_command(cmd),
            Way::Cluster(cluster) => Box::pin(async move {
                let mut connection = cluster.present();
                cluster.judge(connection.req_packed_command(cmd).await)
            }),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.0 {
            Way::One(manager) => manager.req_packed_commands(pipeline, offset, count),
            Way::Cluster(cluster) => Box::pin(async move {
                let mut connection = cluster.present();
                cluster.judge(connection.req_packed_commands(pipeline, offset, count).await)
            }),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.0 {
            Way::One(manager) => manager.get_db(),
            Way::Cluster(_) => 0,
        }
    }
}

/// The connections to a cluster's nodes.
#[derive(Clone)]
struct Cluster {
    client: Arc<ClusterClient>,
    present: Arc<Mutex<Present>>,
}

struct Present {
    connection: ClusterConnection,
    since: Instant,
}

impl Cluster {
    fn new(seeds: &[ConnectionInfo], timeouts: Timeouts) -> RedisResult<Self> {
        let client = ClusterClientBuilder::new(seeds.iter().cloned())
            .use_protocol(ProtocolVersion::RESP2)
            .tcp_settings(seeds[0].tcp_settings().clone())
            .connection_timeout(timeouts.connect)
            .response_timeout(timeouts.command)
            .retries(RETRIES)
            .retry_wait_formula(10, 4)
            .min_retry_wait(10)
            .max_retry_wait(200)
            .build()?;
        let connection = client.get_pending_async_connection_with_config(ClusterConfig::new());
        let present = Present { connection, since: Instant::now() };
        Ok(Self { client: Arc::new(client), present: Arc::new(Mutex::new(present)) })
    }

    fn present(&self) -> ClusterConnection {
        self.present.lock().unwrap_or_else(PoisonError::into_inner).connection.clone()
    }

    /// The library learns of a new master from the old one's answer or from its broken connection. One that is silent
    /// gives neither, so after a silence everything is made anew, from the seeds.
    fn judge<T>(&self, result: RedisResult<T>) -> RedisResult<T> {
        if result.as_ref().is_err_and(|error| error.is_timeout() || error.is_io_error()) {
            let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
            if present.since.elapsed() >= RENEW_GAP {
                let connection = self.client.get_pending_async_connection_with_config(ClusterConfig::new());
                *present = Present { connection, since: Instant::now() };
            }
        }
        result
    }

    async fn master_of(&self, slot: u16) -> RedisResult<(String, u16)> {
        let mut ask = redis::cmd("CLUSTER");
        ask.arg("SLOTS");
        let any = RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
        let reply = self.judge(self.present().route_command(ask, any).await)?;
        let nobody = "no node is known to have the slot of the event";
        master_in(&reply, slot)
            .ok_or_else(|| RedisError::from((ErrorKind::ClusterConnectionNotFound, nobody)))
    }
}

/// The master of `slot` in a reply of CLUSTER SLOTS: host and port.
fn master_in(reply: &Value, slot: u16) -> Option<(String, u16)> {
    let Value::Array(ranges) = reply else { return None };
    ranges.iter().find_map(|range| {
        let Value::Array(parts) = range else { return None };
        let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = &parts[..] else { return None };
        if !(*first..=*last).contains(&i64::from(slot)) {
            return None;
        }
        let [Value::BulkString(host), Value::Int(port), ..] = &master[..] else { return None };
        let host = std::str::from_utf8(host).ok().filter(|host| !host.is_empty())?;
        Some((host.to_owned(), u16::try_from(*port).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_master_of_a_slot_is_read_of_its_range() {
        let node = |host: &str, port| {
            Value::Array(vec![
                Value::BulkString(host.into()),
                Value::Int(port),
                Value::BulkString("id".into()),
            ])
        };
        let range = |first, last, nodes: Vec<Value>| {
            Value::Array([vec![Value::Int(first), Value::Int(last)], nodes].concat())
        };
        let reply = Value::Array(vec![
            range(0, 99, vec![node("a", 1), node("b", 2)]),
            range(100, 16_383, vec![node("c", 3)]),
            Value::Int(1),
        ]);
        for (slot, host, port) in [(0, "a", 1), (99, "a", 1), (100, "c", 3), (16_383, "c", 3)] {
            assert_eq!(master_in(&reply, slot), Some((host.to_owned(), port)));
        }
        let gap = Value::Array(vec![range(5, 6, vec![node("a", 1)]), range(0, 0, vec![node("", 1)])]);
        assert_eq!((master_in(&gap, 0), master_in(&gap, 4), master_in(&Value::Nil, 4)), (None, None, None));
    }

    #[test]
    fn a_cluster_is_named_by_nodes_of_database_0() {
        for urls in [&[][..], &["redis://h/1"], &["redis://h", "redis://h/2"], &["h"]] {
            let urls: Vec<_> = urls.iter().map(|&url| url.to_owned()).collect();
            assert!(Servers::cluster(&urls).is_err(), "{urls:?}");
        }
        assert!(Servers::cluster(&["redis://h/0".to_owned()]).is_ok_and(|servers| servers.sharded()));
    }
}
