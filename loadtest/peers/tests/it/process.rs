//! Peers as processes, as a runner starts them.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use spike_config::Config;
use spike_devstack::{RedisServer, fixture, spawn_bound};
use spike_peers::nginx::{self, NginxOptions};

use super::client::until;
use super::shop::{EPOCH, EVENT, PER_USER_LIMIT};

/// A running peer; dropping it ends it by SIGTERM and looks at how it ended.
pub struct Peer {
    /// Where it listens, or what it reads.
    pub listens: String,
    child: Child,
}

impl Peer {
    /// Starts a binary and waits until it says that it listens.
    pub fn start(program: &str, arguments: &[&str], env: &[(String, String)]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).envs(env.iter().cloned()).stdout(Stdio::piped());
        let mut child = spawn_bound(command).unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let listens = line.trim_end().strip_prefix("listening on ");
        let listens = listens.unwrap_or_else(|| panic!("{program} said {line:?}")).to_owned();
        Self { listens, child }
    }

    /// The conventional service, with the pipeline's queue if there is a broker.
    pub fn axum(
        redis: &RedisServer,
        env: &[(String, String)],
        event: &str,
        epoch: u64,
        amqp: Option<&str>,
    ) -> Self {
        let (url, epoch) = (redis.url(), epoch.to_string());
        let mut arguments =
            vec!["--listen", "127.0.0.1:0", "--redis", &url, "--event", event, "--epoch", &epoch];
        arguments.extend(amqp.iter().flat_map(|url| ["--amqp", url]));
        Self::start(env!("CARGO_BIN_EXE_peer-axum"), &arguments, env)
    }

    /// nginx with the event's configuration.
    pub fn nginx(redis: &RedisServer, config: &Config) -> Self {
        let nginx = nginx::find().expect("nginx with Lua: deploy/devstack/install-peers.sh installs it");
        let listen = SocketAddr::from(([127, 0, 0, 1], spike_devstack::free_port().unwrap()));
        let options = NginxOptions {
            listen,
            redis: SocketAddr::from(([127, 0, 0, 1], redis.port())),
            redis_timeout_ms: config.hot.redis_timeout_ms,
            event: EVENT,
            epoch: EPOCH,
            per_user_limit: PER_USER_LIMIT,
            auth: &config.auth,
            limits: &config.limits,
        };
        let file = nginx::write_config(&fixture::folder("nginx"), &options).unwrap();
        let mut child = spawn_bound(nginx::command(&nginx, &file)).unwrap();
        until("nginx listens", || {
            assert_eq!(child.try_wait().unwrap(), None, "nginx has ended: {}", file.display());
            std::net::TcpStream::connect(listen).is_ok()
        });
        Self { listens: listen.to_string(), child }
    }

    pub fn address(&self) -> SocketAddr {
        self.listens.parse().unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let killed = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        let ended = self.child.wait().unwrap();
        if !std::thread::panicking() {
            assert!(killed.success() && ended.success(), "a peer ends with 0 at SIGTERM: {ended}");
        }
    }
}
