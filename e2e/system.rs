//! A gateway and a worker on servers of their own, and what a test does with them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use spike_config::Config;
use spike_devstack::{RedisCluster, RedisServer, fixture, free_port};
use spike_domain::clock::{now_ms, rfc3339};
use spike_domain::{EventId, OrderId, Role, SessionId, UserId};
use spike_gateway::tokens::Tokens;
use spike_store::{DatabaseSettings, Store};
use tokio::runtime::Runtime;

use crate::http::{self, Answer};
use crate::poll::until;
use crate::process::{Env, Process, command_of, spike};

/// The administrator of every system.
pub const ADMIN: &str = "admin@e2e.invalid";
/// And their password.
pub const PASSWORD: &str = "correct horse battery staple";

/// The system under test.
pub struct System {
    /// Its Redis, to be killed at will.
    pub redis: RedisServer,
    /// The other nodes, where `redis` is one of a cluster.
    pub cluster: Option<RedisCluster>,
    /// Its gateway.
    pub gateway: Process,
    /// Its worker.
    pub worker: Process,
    /// Where buyers connect.
    pub http: SocketAddr,
    /// Where operators ask the gateway.
    pub gateway_ops: SocketAddr,
    /// Where operators ask the worker.
    pub worker_ops: SocketAddr,
    /// Its database, seen from outside.
    pub store: Store,
    /// What the test's own asynchronous work runs on.
    pub runtime: Runtime,
    tokens: Tokens,
    admin: String,
}

/// A sale to announce.
#[derive(Clone, Copy)]
pub struct Sale {
    /// Units.
    pub total: u32,
    /// Units a buyer may hold.
    pub per_user_limit: u32,
    /// Milliseconds from now.
    pub opens_in_ms: i64,
    /// Milliseconds from now.
    pub ends_in_ms: i64,
    /// Seconds an order may stay unpaid.
    pub pay_timeout_s: u32,
}

impl Sale {
    /// A sale that is open, for an hour.
    pub fn of(total: u32) -> Self {
        Self { total, per_user_limit: 1, opens_in_ms: -1000, ends_in_ms: 3_600_000, pay_timeout_s: 3600 }
    }
}

/// One system for all tests that plant no faults.
pub fn shared() -> &'static System {
    static SHARED: OnceLock<System> = OnceLock::new();
    SHARED.get_or_init(|| System::start(&[]))
}

/// The servers' addresses as variables.
pub fn servers(redis: &RedisServer, amqp: &str, database: &str) -> Env {
    let addresses =
        Addresses { redis: redis.url(), amqp: amqp.into(), database: database.into(), migration: None };
    addresses.variables()
}

/// Where the processes under test find their servers.
#[derive(Clone)]
pub struct Addresses {
    /// URL of Redis.
    pub redis: String,
    /// URL of the broker.
    pub amqp: String,
    /// URL of the database.
    pub database: String,
    /// The same for a user who may change tables, where that is another.
    pub migration: Option<String>,
}

impl Addresses {
    fn variables(&self) -> Env {
        let pairs = [
            ("SPIKE_REDIS_URL", &self.redis),
            ("SPIKE_AMQP_URL", &self.amqp),
            ("SPIKE_DATABASE_URL", &self.database),
        ];
        pairs.map(|(name, url)| (name.to_owned(), url.clone())).into()
    }
}

impl System {
    /// On a Redis, a virtual host and a database of its own, with these settings besides.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_on(&fixture::vhost(), &fixture::database(), settings)
    }

    /// On a broker and a database that the test brings.
    pub fn start_on(amqp: &str, database: &str, settings: &[(&str, &str)]) -> Self {
        let redis = fixture::redis();
        let addresses =
            Addresses { redis: redis.url(), amqp: amqp.into(), database: database.into(), migration: None };
        Self::start_with(redis, &addresses, database, settings)
    }

    /// On servers that its processes reach at `addresses`, perhaps through proxies; the test itself asks `database`.
    pub fn start_with(
        redis: RedisServer,
        addresses: &Addresses,
        database: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        Self::start_of(spike(), redis, addresses, database, settings)
    }

    /// The same of another build.
    pub fn start_of(
        binary: &Path,
        redis: RedisServer,
        addresses: &Addresses,
        database: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let mut env = addresses.variables();
        let [http, gateway_ops, worker_ops] = [loopback(), loopback(), loopback()];
        let chosen: BTreeMap<&str, String> = [
            ("SPIKE_HTTP_LISTEN", http.to_string()),
            ("SPIKE_HTTP_OPS_LISTEN", gateway_ops.to_string()),
            ("SPIKE_WORKER_OPS_LISTEN", worker_ops.to_string()),
            // Tests of one user press as fast as they can, and share the machine.
            ("SPIKE_LIMITS_DEBOUNCE_MS", "0".into()),
            ("SPIKE_LIMITS_USER_PER_S", "0".into()),
            ("SPIKE_LIMITS_ADDRESS_PER_S", "0".into()),
            ("SPIKE_HOT_PIN", "false".into()),
            // A machine that compiles beside the tests may keep Redis waiting for its disk.
            ("SPIKE_HOT_REDIS_TIMEOUT_MS", "10000".into()),
        ]
        .into();
        env.extend(chosen.into_iter().map(|(name, value)| (name.to_owned(), value)));
        env.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));

        let dir: PathBuf = fixture::folder("system");
        let mut migration = env.clone();
        migration.extend(addresses.migration.clone().map(|url| ("SPIKE_DATABASE_URL".to_owned(), url)));
        for (words, env) in [
            (&["migrate"][..], &migration),
            (&["admin", "create-user", "--email", ADMIN, "--role", "admin", "--password", PASSWORD], &env),
        ] {
            let output = command_of(binary, words, env, &dir).output().expect("the binary starts");
            assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let worker = Process::start_of(binary, "worker", &env, &dir, worker_ops);
        let gateway = Process::start_of(binary, "gateway", &env, &dir, gateway_ops);
        let runtime = Runtime::new().expect("a runtime");
        let store =
            runtime.block_on(Store::connect(&database_settings(database))).expect("the database answers");
        let config = Config::load(None, env).expect("settings the gateway has taken");
        let tokens = Tokens::new(&config.auth);
        let login = json!({ "email": ADMIN, "password": PASSWORD }).to_string();
        let session = http::call(http, "POST", "/api/v1/auth/login", &[], Some(&login));
        assert_eq!(session.status, 200, "{session:?}");
        let admin = session.json()["data"]["access_token"].as_str().expect("a token").to_owned();
        Self {
            redis,
            cluster: None,
            gateway,
            worker,
            http,
            gateway_ops,
            worker_ops,
            store,
            runtime,
            tokens,
            admin,
        }
    }

    /// Asks Redis about a key, from outside.
    pub fn ask_redis(&self, words: &[&str]) -> anyhow::Result<String> {
        let own = || self.redis.command(words);
        self.cluster.as_ref().map_or_else(own, |cluster| cluster.command(words).or_else(|_| own()))
    }

    /// Another worker on the same servers.
    pub fn second_worker(&self) -> Process {
        self.worker_of(self.worker.binary())
    }

    /// The same of another build.
    pub fn worker_of(&self, binary: &Path) -> Process {
        let ops = loopback();
        self.worker.beside(binary, &[("SPIKE_WORKER_OPS_LISTEN", ops.to_string())], ops)
    }

    /// Another gateway on the same servers, and where its buyers connect.
    pub fn second_gateway(&self) -> (Process, SocketAddr) {
        self.gateway_of(self.gateway.binary())
    }

    /// The same of another build.
    pub fn gateway_of(&self, binary: &Path) -> (Process, SocketAddr) {
        self.gateway_as(binary, &[])
    }

    /// A gateway like this one with other settings.
    pub fn gateway_with(&self, settings: &[(&str, String)]) -> (Process, SocketAddr) {
        self.gateway_as(self.gateway.binary(), settings)
    }

    fn gateway_as(&self, binary: &Path, settings: &[(&str, String)]) -> (Process, SocketAddr) {
        let [http, ops] = [loopback(), loopback()];
        let mut variables = settings.to_vec();
        variables.push(("SPIKE_HTTP_LISTEN", http.to_string()));
        variables.push(("SPIKE_HTTP_OPS_LISTEN", ops.to_string()));
        (self.gateway.beside(binary, &variables, ops), http)
    }

    /// Announces a sale of a new product, warms it up, and waits until the gateway shows it.
    pub fn open(&self, sale: Sale) -> EventId {
        let price = json!({ "minor": 100, "currency": "EUR" });
        let sku = OrderId::new(now_ms()).to_string();
        let product = json!({ "sku": sku, "name": "Thing", "price": price, "stock": sale.total });
        let product = self.as_admin("/api/v1/products", &product);
        let moment = |in_ms: i64| rfc3339(now_ms().checked_add_signed(in_ms).expect("a time after 1970"));
        let event = json!({
            "product_id": product["id"], "name": "Sale", "price": price, "total": sale.total,
            "per_user_limit": sale.per_user_limit, "pay_timeout_s": sale.pay_timeout_s,
            "starts_at": moment(sale.opens_in_ms), "ends_at": moment(sale.ends_in_ms),
        });
        let event =
            EventId(self.as_admin("/api/v1/admin/spike/events", &event)["id"].as_i64().expect("an id"));
        self.as_admin(&format!("/api/v1/admin/spike/events/{event}/warmup"), &json!({}));
        until("the gateway takes the event for one that is warmed up", || {
            let answer = self.buy(event, "no token", &[], None);
            (answer.status != 404 && answer.reason() != "recovering").then_some(())
        });
        event
    }

    /// A press of buy.
    pub fn buy(&self, event: EventId, token: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [&[("Authorization", &*bearer)], headers].concat();
        http::call(self.http, "POST", &orders_path(event), &headers, body)
    }

    /// A GET with a token.
    pub fn get(&self, path: &str, token: &str) -> Answer {
        http::call(self.http, "GET", path, &[("Authorization", &format!("Bearer {token}"))], None)
    }

    /// New accounts with their tokens.
    pub fn users(&self, count: usize) -> Vec<(UserId, String)> {
        let prefix = OrderId::new(now_ms()).to_string();
        let ids =
            self.runtime.block_on(self.store.bulk_insert_users(&prefix, count, "no hash: nobody logs in"));
        ids.expect("accounts").into_iter().map(|user| (user, self.token(user))).collect()
    }

    /// One new account with its token.
    pub fn user(&self) -> (UserId, String) {
        self.users(1).remove(0)
    }

    /// A token of a user, as a login gives it.
    pub fn token(&self, user: UserId) -> String {
        self.mint(user, Role::User, SessionId::new(now_ms()), 0)
    }

    /// A token of that session and generation.
    pub fn mint(&self, user: UserId, role: Role, session: SessionId, ver: u32) -> String {
        self.tokens.mint(user, role, session, ver, now_ms() / 1000)
    }

    /// The administrator's token.
    pub fn admin_token(&self) -> &str {
        &self.admin
    }

    fn as_admin(&self, path: &str, body: &Value) -> Value {
        let bearer = format!("Bearer {}", self.admin);
        let body = body.to_string();
        let answer = http::call(self.http, "POST", path, &[("Authorization", &bearer)], Some(&body));
        assert!((200..300).contains(&answer.status), "{path}: {} {}", answer.head, answer.json());
        answer.json()["data"].take()
    }
}

/// Where an event's orders are.
pub fn orders_path(event: EventId) -> String {
    format!("/api/v1/spike/events/{event}/orders")
}

/// The order that an answer names.
#[track_caller]
pub fn order_of(answer: &Answer) -> OrderId {
    let body = answer.json();
    let order = body["data"]["order_id"].as_str().and_then(OrderId::parse);
    order.unwrap_or_else(|| panic!("no order: {} {body}", answer.head))
}

/// A free loopback address.
pub fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, free_port().expect("a free port")))
}

fn database_settings(url: &str) -> DatabaseSettings {
    DatabaseSettings {
        url: url.to_owned(),
        connections_min: 0,
        connections_max: 4,
        acquire_timeout: Duration::from_secs(10),
        statement_timeout: Duration::from_secs(10),
    }
}
