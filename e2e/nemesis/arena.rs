//! The system under attack: two gateways, two workers, and a proxy between them and each server.

use std::net::{Ipv4Addr, SocketAddr};

use spike_devstack::{ChaosProxy, MariaDbServer, RabbitServer, RedisOptions, RedisServer, fixture};
use spike_domain::EventId;
use spike_stock::Stock;
use spike_stock::stock::Timeouts;

use crate::process::Process;
use crate::system::{Addresses, Sale, System};

/// Which servers are the arena's own, so that they may be killed; the others are shared with other tests.
#[derive(Debug, Clone, Copy)]
pub struct Own {
    /// RabbitMQ.
    pub broker: bool,
    /// MariaDB.
    pub database: bool,
}

/// A process or a server of which there are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

/// Everything a fault can strike.
pub struct Arena {
    /// The first gateway, the first worker, Redis, and what a test asks.
    pub system: System,
    /// Where the buyers of each gateway connect.
    pub gateways: [SocketAddr; 2],
    /// The broker, when it may be killed.
    pub rabbit: Option<RabbitServer>,
    /// The database, when it may be killed.
    pub mariadb: Option<MariaDbServer>,
    /// The way to Redis.
    pub redis_net: ChaosProxy,
    /// The way to the broker.
    pub broker_net: ChaosProxy,
    /// The way to the database.
    pub database_net: ChaosProxy,
    /// The events so far, the newest last.
    pub events: Vec<EventId>,
    /// The ledger, seen from outside and past the proxy.
    pub ledger: Stock,
    /// The broker's address past the proxy.
    pub amqp: String,
    gateway_b: Process,
    worker_b: Process,
    database: String,
}

impl Arena {
    /// Starts all of it, with these settings besides the shipped ones.
    pub fn start(own: Own, settings: &[(&str, &str)]) -> Self {
        let redis = RedisServer::start(&fixture::folder("redis"), RedisOptions::default()).expect("a Redis");
        let rabbit = own.broker.then(|| RabbitServer::start(&fixture::folder("rabbit")).expect("a broker"));
        let mariadb =
            own.database.then(|| MariaDbServer::start(&fixture::folder("mariadb")).expect("a database"));
        let amqp = rabbit
            .as_ref()
            .map_or_else(fixture::vhost, |rabbit| rabbit.create_vhost("sale").expect("a vhost"));
        let database = mariadb
            .as_ref()
            .map_or_else(fixture::database, |mariadb| mariadb.create_database("sale").expect("a database"));

        let [redis_net, broker_net, database_net] = [&redis.url(), &amqp, &database].map(|url| proxy(url));
        let through = |url: &str, net: &ChaosProxy| {
            url.replace(&format!(":{}/", port(url)), &format!(":{}/", net.address().port()))
        };
        let addresses = Addresses {
            redis: through(&redis.url(), &redis_net),
            amqp: through(&amqp, &broker_net),
            database: through(&database, &database_net),
            migration: None,
        };
        let ledger_url = redis.url();
        let mut all = vec![
            // A user presses as fast as they like, from one address, with a token for the whole run.
            ("SPIKE_LIMITS_DEBOUNCE_MS", "0"),
            ("SPIKE_LIMITS_USER_PER_S", "0"),
            ("SPIKE_LIMITS_ADDRESS_PER_S", "0"),
            ("SPIKE_AUTH_ACCESS_TTL_S", "86400"),
            // Two gateways share two cores.
            ("SPIKE_HOT_CORES", "1"),
            ("SPIKE_HOT_REDIS_TIMEOUT_MS", "1000"),
        ];
        all.extend_from_slice(settings);
        let system = System::start_with(redis, &addresses, &database, &all);
        let (gateway_b, http_b) = system.second_gateway();
        let worker_b = system.second_worker();
        let ledger = {
            let _inside = system.runtime.enter();
            Stock::redis(&ledger_url, Timeouts::default()).expect("a URL")
        };
        let gateways = [system.http, http_b];
        Self {
            system,
            gateways,
            rabbit,
            mariadb,
            redis_net,
            broker_net,
            database_net,
            events: Vec::new(),
            ledger,
            amqp,
            gateway_b,
            worker_b,
            database,
        }
    }

    /// Opens one more sale.
    pub fn open(&mut self, sale: Sale) -> EventId {
        let event = self.system.open(sale);
        self.events.push(event);
        event
    }

    /// A gateway.
    pub fn gateway(&mut self, side: Side) -> &mut Process {
        match side {
            Side::A => &mut self.system.gateway,
            Side::B => &mut self.gateway_b,
        }
    }

    /// A worker.
    pub fn worker(&mut self, side: Side) -> &mut Process {
        match side {
            Side::A => &mut self.system.worker,
            Side::B => &mut self.worker_b,
        }
    }

    /// Whether all four processes say that they are ready.
    pub fn ready(&self) -> bool {
        let System { gateway, worker, .. } = &self.system;
        [gateway, &self.gateway_b, worker, &self.worker_b].into_iter().all(Process::ready)
    }

    /// The answer of the database itself to a statement: rows by line, columns by tab.
    pub fn sql(&self, statement: &str) -> anyhow::Result<String> {
        let (_, name) = self.database.rsplit_once('/').expect("a URL with a database");
        let text = format!("USE `{name}`; {statement}");
        self.mariadb.as_ref().map_or_else(|| fixture::mariadb().query(&text), |own| own.query(&text))
    }

    /// `rabbitmqctl` on the virtual host of the sale.
    pub fn broker_ctl(&self, words: &[&str]) -> anyhow::Result<String> {
        let (_, vhost) = self.amqp.rsplit_once('/').expect("a URL with a virtual host");
        let words = [&["--quiet", "--vhost", vhost][..], words].concat();
        self.rabbit.as_ref().map_or_else(|| fixture::rabbit().ctl(&words), |own| own.ctl(&words))
    }
}

fn proxy(url: &str) -> ChaosProxy {
    ChaosProxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port(url)))).expect("a proxy")
}

/// The port of `scheme://…@host:port/…`.
fn port(url: &str) -> u16 {
    let (before, _) = url.rsplit_once('/').expect("a path");
    let (_, port) = before.rsplit_once(':').expect("a port");
    port.parse().expect("a number")
}
