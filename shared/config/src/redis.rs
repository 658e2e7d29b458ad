//! Redis, which holds the stock, the claims and the outbox, unless the embedded ledger does.

use crate::backend::Backend;
use crate::reader::Reader;
use crate::secret::Secret;
use crate::server_url::{self, ServerUrl, UrlForm};

/// Section `[redis]`.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// Secret. The server, its credentials and its database number; empty: the embedded ledger.
    ///
    /// `SPIKE_REDIS_URL`: `redis://[[user]:password@]host[:port][/database]`, or empty
    pub url: Backend,
    /// The parts of `url`, for the hot cores' own client; `None` for the embedded ledger.
    pub endpoint: Option<RedisEndpoint>,
    /// `url` is a node of a Redis Cluster: events are on the masters of their slots.
    ///
    /// `SPIKE_REDIS_CLUSTER`: true or false
    pub cluster: bool,
    /// More nodes of the cluster, asked where the others are when the one in `url` is away; credentials as in `url`.
    ///
    /// `SPIKE_REDIS_NODES`: a list of `host:port`
    pub nodes: Vec<HostPort>,
    /// Replicas that must have a buy before it is answered 202; fewer in time: outcome unknown. 0: the master alone.
    ///
    /// `SPIKE_REDIS_WAIT_REPLICAS`: 0 to 5
    pub wait_replicas: u32,
    /// Longest wait for a connection, in milliseconds.
    ///
    /// `SPIKE_REDIS_CONNECT_TIMEOUT_MS`: 10 to 60000
    pub connect_timeout_ms: u64,
    /// Longest wait for one reply on the sidecar and in the worker, in milliseconds; the hot cores have
    /// `hot.redis_timeout_ms`.
    ///
    /// `SPIKE_REDIS_COMMAND_TIMEOUT_MS`: 10 to 60000
    pub command_timeout_ms: u64,
}

/// A host and its TCP port; an IPv6 address without brackets.
pub type HostPort = (String, u16);

/// Where Redis is and what to say first: AUTH, then SELECT. `Debug` hides the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisEndpoint {
    /// Host name or address, an IPv6 one without brackets.
    pub host: String,
    /// TCP port, 6379 where the URL has none.
    pub port: u16,
    /// Database number, 0 where the URL has none.
    pub database: u32,
    /// ACL user; `None` with a password means the default user.
    pub user: Option<String>,
    /// Password, decoded; `None`: no AUTH.
    pub password: Option<Secret>,
}

impl RedisConfig {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let mut s = reader.section("redis");
        let url = s.backend("url", &REDIS);
        let endpoint = url.server().map(|url| RedisEndpoint::of(url).expect("the form accepted it"));
        Self {
            endpoint,
            url,
            cluster: s.flag("cluster"),
            nodes: s.host_ports("nodes"),
            wait_replicas: s.number("wait_replicas", 0..=5),
            connect_timeout_ms: s.number("connect_timeout_ms", 10..=60_000),
            command_timeout_ms: s.number("command_timeout_ms", 10..=60_000),
        }
    }
}

impl RedisConfig {
    /// Every node of the cluster that the settings name, the one in `url` first. Empty for the embedded ledger.
    pub fn seeds(&self) -> Vec<RedisEndpoint> {
        let Some(first) = &self.endpoint else { return Vec::new() };
        let others = self.nodes.iter().map(|(host, port)| first.at(host.clone(), *port));
        std::iter::once(first.clone()).chain(others).collect()
    }
}

impl RedisEndpoint {
    /// Another server with the same credentials.
    pub fn at(&self, host: String, port: u16) -> Self {
        Self { host, port, ..self.clone() }
    }

    /// The URL, with its password; for the client that connects, never for a log.
    pub fn expose(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let encode = server_url::encode;
        let credentials = match &self.password {
            None => String::new(),
            Some(password) => {
                format!("{}:{}@", encode(self.user.as_deref().unwrap_or("")), encode(password.expose()))
            }
        };
        format!("redis://{credentials}{host}:{}/{}", self.port, self.database)
    }

    /// The parts of a Redis URL; `None` where the path is no database number or a user has no password.
    fn of(url: &ServerUrl) -> Option<Self> {
        let digits_only = url.path.bytes().all(|b| b.is_ascii_digit());
        let database = match url.path.as_str() {
            "" => 0,
            digits if digits_only => digits.parse().ok()?,
            _ => return None,
        };
        if (!url.user.is_empty() && url.password.is_none()) || url.has_query {
            return None;
        }
        Some(Self {
            host: url.host.clone(),
            port: url.port.unwrap_or(6379),
            database,
            user: Some(url.user.clone()).filter(|user| !user.is_empty()),
            password: url.password.clone().filter(|password| !password.expose().is_empty()),
        })
    }
}

const REDIS: UrlForm = UrlForm {
    scheme: "redis",
    allowed: "`redis://[[user]:password@]host[:port][/database]`, or empty",
    hint: |scheme| match scheme {
        "rediss" => {
            "TLS is not spoken yet: run a TLS proxy such as stunnel beside this process and name it here \
             (redis://127.0.0.1:port)"
        }
        _ => "",
    },
    accepts: |url| RedisEndpoint::of(url).map(drop).ok_or(""),
};

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Option<RedisEndpoint> {
        RedisEndpoint::of(&ServerUrl::parse(url)?)
    }

    #[test]
    fn the_parts_of_a_url() {
        let cases = [
            ("redis://127.0.0.1", "127.0.0.1", 6379, 0, None, None),
            ("redis://127.0.0.1:7000/", "127.0.0.1", 7000, 0, None, None),
            ("redis://cache.example/15", "cache.example", 6379, 15, None, None),
            ("redis://:p%40ss@[::1]:1/2", "::1", 1, 2, None, Some("p@ss")),
            ("redis://app:p:w@h", "h", 6379, 0, Some("app"), Some("p:w")),
        ];
        for (url, host, port, database, user, password) in cases {
            let parts = endpoint(url).expect(url);
            assert_eq!((parts.host.as_str(), parts.port, parts.database), (host, port, database), "{url}");
            assert_eq!(parts.user.as_deref(), user, "{url}");
            assert_eq!(parts.password.as_ref().map(Secret::expose), password, "{url}");
            assert!(!format!("{parts:?}").contains("p@ss"), "{parts:?}");
        }
    }

    #[test]
    fn a_url_made_of_the_parts_reads_back() {
        for url in ["redis://h:1/2", "redis://:p%40s%2Fs%25@[::1]:1/0", "redis://app:p%3Aw@h:6379/0"] {
            let parts = endpoint(url).expect(url);
            assert_eq!(endpoint(&parts.expose()), Some(parts), "{url}");
        }
    }

    #[test]
    fn what_the_hot_client_could_not_honour_is_refused() {
        for url in ["redis://app@h", "redis://h/-1", "redis://h/+1", "redis://h/x", "redis://h/0?protocol=3"]
        {
            assert_eq!(endpoint(url), None, "{url}");
        }
    }
}
