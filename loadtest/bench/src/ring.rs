//! Where contenders meet: private servers, the release build of Spike, sales that are open, buyers with tokens.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context, bail};
use loadtest::Buyer;
use loadtest::http::{Connection, Request};
use redis::aio::MultiplexedConnection;
use spike_arena::process::{Launch, Process};
use spike_arena::stage::{self, Admin, OnSale, Opening};
use spike_config::Config;
use spike_devstack::Stack;
use spike_domain::clock::now_ms;
use spike_domain::{EventId, EventState, Role, SessionId, UserId};
use spike_gateway::tokens::Tokens;
use spike_stock::Ledger;
use spike_store::Store;

use crate::contender::{OUR_CPU, THEIR_CPU};
use crate::cpu::{self, Pids};

/// What every contender is told. The buckets of all dimensions are asked, and wide enough to refuse nobody.
const SETTINGS: [(&str, &str); 12] = [
    ("SPIKE_HOT_CORES", "1"),
    ("SPIKE_HOT_PIN", "false"),
    ("SPIKE_HOT_REDIS_TIMEOUT_MS", "5000"),
    ("SPIKE_LIMITS_GLOBAL_PER_S", "10000000"),
    ("SPIKE_LIMITS_GLOBAL_BURST", "10000000"),
    ("SPIKE_LIMITS_EVENT_PER_S", "10000000"),
    ("SPIKE_LIMITS_EVENT_BURST", "10000000"),
    ("SPIKE_LIMITS_ADDRESS_PER_S", "10000000"),
    ("SPIKE_LIMITS_ADDRESS_BURST", "10000000"),
    ("SPIKE_OUTBOX_INFLIGHT_MAX", "100000000"),
    ("SPIKE_LOG_LEVEL", "warn"),
    // Nobody logs in while a token must hold through a whole comparison.
    ("SPIKE_AUTH_ACCESS_TTL_S", "7200"),
];

/// Processes of Spike, and the accounts they have in the database.
pub const ROLES: [&str; 2] = ["gateway", "worker"];

/// The servers and what runs on them.
pub struct Ring {
    /// Redis, MariaDB and RabbitMQ.
    pub stack: Stack,
    /// The settings of every Spike process, and of the peers.
    pub env: BTreeMap<String, String>,
    /// The same, read.
    pub config: Arc<Config>,
    /// The database.
    pub store: Store,
    /// Where the executables are.
    pub programs: PathBuf,
    /// Where the logs are.
    pub logs: PathBuf,
    redis: redis::Client,
    tokens: Tokens,
    admin: Admin,
    next_user: AtomicI64,
}

/// A gateway on ports of its own.
pub struct Beside {
    /// It.
    pub process: Process,
    /// Where it answers.
    pub at: SocketAddr,
    /// Its operations port.
    pub ops: SocketAddr,
}

impl Ring {
    /// Starts the servers in `dir`, whose servers and logs of an earlier run are removed; they end with this process. Everybody is
    /// told what a comparison needs.
    ///
    /// # Errors
    /// When a server does not start, or an executable is missing.
    pub async fn open(dir: &Path) -> anyhow::Result<Self> {
        let settings = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self::open_with(dir, settings.into()).await
    }

    /// The same with these settings.
    ///
    /// # Errors
    /// As [`Ring::open`].
    pub async fn open_with(dir: &Path, mut env: BTreeMap<String, String>) -> anyhow::Result<Self> {
        let programs =
            std::env::current_exe()?.parent().context("an executable without a folder")?.to_owned();
        if !programs.join("spike").exists() {
            bail!("{} is missing: build it with cargo build --release", programs.join("spike").display());
        }
        let (servers, logs) = (dir.join("servers"), dir.join("logs"));
        for old in [&servers, &logs].into_iter().filter(|old| old.exists()) {
            std::fs::remove_dir_all(old).with_context(|| format!("remove {}", old.display()))?;
        }
        let stack = tokio::task::spawn_blocking(move || Stack::start(&servers)).await??;
        let database = stack.mariadb.create_database("spike")?;
        for role in ROLES {
            // Accounts of their own, so that the database can tell the two apart.
            stack.mariadb.query(&format!(
                "CREATE USER '{role}'@'%' IDENTIFIED BY 'spike'; GRANT ALL PRIVILEGES ON *.* TO '{role}'@'%'"
            ))?;
        }
        let amqp = stack.rabbit.create_vhost("spike")?;
        env.insert("SPIKE_REDIS_URL".into(), stack.redis.url());
        env.insert("SPIKE_AMQP_URL".into(), amqp);
        env.insert("SPIKE_DATABASE_URL".into(), database);
        for name in ["SPIKE_HTTP_LISTEN", "SPIKE_HTTP_OPS_LISTEN", "SPIKE_WORKER_OPS_LISTEN"] {
            env.insert(name.into(), format!("127.0.0.1:{}", spike_devstack::free_port()?));
        }
        let config = Arc::new(Config::load(None, env.clone())?);
        let store = Store::connect(&spike_backends::database_settings(&config)).await?;
        store.migrate().await?;
        let admin = stage::create_admin(&store, &config.auth).await?;
        Ok(Self {
            redis: redis::Client::open(stack.redis.url())?,
            tokens: Tokens::new(&config.auth),
            logs,
            stack,
            env,
            config,
            store,
            programs,
            admin,
            next_user: AtomicI64::new(1_000_000),
        })
    }

    /// Where the gateway answers.
    pub fn base(&self) -> SocketAddr {
        self.config.http.listen
    }

    /// Starts the gateway and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn gateway(&self, cpu: Option<usize>) -> anyhow::Result<Process> {
        self.gateway_with(cpu, &[]).await
    }

    /// The same with settings of its own.
    ///
    /// # Errors
    /// As [`Ring::gateway`].
    pub async fn gateway_with(
        &self,
        cpu: Option<usize>,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Process> {
        let env = settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut gateway = self.start_with("spike", &["gateway".into()], cpu, env)?;
        gateway.wait_ready(self.config.http.ops_listen, "/readyz").await?;
        Ok(gateway)
    }

    /// Starts the worker and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn worker(&self, cpu: Option<usize>) -> anyhow::Result<Process> {
        let mut worker = self.start("spike", &["worker".into()], cpu)?;
        worker.wait_ready(self.config.worker.ops_listen, "/readyz").await?;
        Ok(worker)
    }

    /// The same on ports of its own, beside another one.
    ///
    /// # Errors
    /// As [`Ring::gateway`].
    pub async fn gateway_beside(
        &self,
        cpu: Option<usize>,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Beside> {
        let port = || anyhow::Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, spike_devstack::free_port()?)));
        let (at, ops) = (port()?, port()?);
        let (listen, ops_listen) = (at.to_string(), ops.to_string());
        let mut settings = settings.to_vec();
        settings.extend([("SPIKE_HTTP_LISTEN", &*listen), ("SPIKE_HTTP_OPS_LISTEN", &*ops_listen)]);
        let env = settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut gateway = self.start_with("spike", &["gateway".into()], cpu, env)?;
        gateway.wait_ready(ops, "/readyz").await?;
        Ok(Beside { process: gateway, at, ops })
    }

    /// Puts `count` sales of `units` each up, one unit a buyer, open in half a second, with a gateway and a worker that leave
    /// when it is done.
    ///
    /// # Errors
    /// When they refuse.
    pub async fn sales(&self, count: usize, units: u32) -> anyhow::Result<Vec<EventId>> {
        let worker = self.worker(None).await?;
        let gateway = self.gateway(None).await?;
        let mut events = Vec::with_capacity(count);
        for _ in 0..count {
            events.push(self.open_sale(units, 1, 500).await?.event);
        }
        gateway.leave().await;
        worker.leave().await;
        Ok(events)
    }

    /// Starts one of our executables.
    ///
    /// # Errors
    /// When it is not there.
    pub fn start(&self, program: &str, args: &[String], cpu: Option<usize>) -> anyhow::Result<Process> {
        self.start_with(program, args, cpu, BTreeMap::new())
    }

    fn start_with(
        &self,
        program: &str,
        args: &[String],
        cpu: Option<usize>,
        env: BTreeMap<String, String>,
    ) -> anyhow::Result<Process> {
        let name = if program == "spike" { args[0].clone() } else { program.to_owned() };
        let mut env: BTreeMap<_, _> = self.env.clone().into_iter().chain(env).collect();
        if ROLES.contains(&name.as_str()) {
            let url = env["SPIKE_DATABASE_URL"].replace("//spike:", &format!("//{name}:"));
            env.insert("SPIKE_DATABASE_URL".into(), url);
        }
        Process::spawn(&Launch {
            name,
            program: self.programs.join(program),
            args: args.to_vec(),
            env,
            logs: self.logs.clone(),
            cpu,
        })
    }

    /// Puts `units` on sale through the running gateway, to open in `lead_ms`.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn open_sale(&self, units: u32, quantity: u32, lead_ms: u64) -> anyhow::Result<Opening> {
        let base = format!("http://{}/api/v1", self.base());
        let token = self.admin_token().await?;
        stage::open(&base, &token, OnSale { units, quantity }, lead_ms).await
    }

    /// An access token of the administrator, from a login.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn admin_token(&self) -> anyhow::Result<String> {
        stage::log_in(&format!("http://{}/api/v1", self.base()), &self.admin).await
    }

    /// So many buyers that nobody has seen before. They have no accounts: a press asks for a token only.
    pub fn buyers(&self, count: usize) -> Vec<Buyer> {
        let first = self.next_user.fetch_add(i64::try_from(count).expect("small"), Ordering::Relaxed);
        let now = now_ms();
        (first..).take(count).map(|user| self.buyer(UserId(user), now, Ipv4Addr::UNSPECIFIED)).collect()
    }

    /// A buyer who is `user`.
    pub fn buyer(&self, user: UserId, now_ms: u64, source: Ipv4Addr) -> Buyer {
        let token = self.tokens.mint(user, Role::User, SessionId::new(now_ms), 0, now_ms / 1000);
        Buyer { user, token, source }
    }

    /// The ledgers, on a connection of our own.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn ledger(&self) -> anyhow::Result<Ledger<MultiplexedConnection>> {
        Ok(Ledger::new(self.redis.get_multiplexed_async_connection().await?))
    }

    /// Puts an event away as one that is over: archived in the database, so that no later worker rebuilds its ledger, and out
    /// of Redis before this returns, so that no later round pays for it.
    ///
    /// # Errors
    /// When the database or Redis refuses.
    pub async fn forget(&self, event: EventId) -> anyhow::Result<()> {
        let closed = EventState::Closed.code();
        let now = now_ms();
        self.stack.mariadb.query(&format!(
            "UPDATE spike.spike_events SET state = {closed}, archived_at_ms = {now} WHERE id = {event}"
        ))?;
        let mut connection = self.redis.get_multiplexed_async_connection().await?;
        let keys: Vec<String> =
            redis::cmd("KEYS").arg(format!("spike:{{{event}}}*")).query_async(&mut connection).await?;
        if !keys.is_empty() {
            // Not UNLINK, whose work goes on behind its answer.
            let () = redis::cmd("DEL").arg(keys).query_async(&mut connection).await?;
        }
        Ok(())
    }

    /// The sum of a metric of the running gateway.
    ///
    /// # Errors
    /// When the gateway does not answer or has no such metric.
    pub async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let ops = self.config.http.ops_listen;
        let mut connection = Connection::new(ops, None, std::time::Duration::from_secs(5));
        let answer = connection.send(&Request::new("GET", "/metrics", &ops.to_string(), &[], None)).await?;
        let text = String::from_utf8_lossy(answer.body);
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.with_context(|| format!("the gateway shows no {name}"))?.trim().parse()?)
    }

    /// Redis beside whoever is measured, the other servers beside the generator.
    ///
    /// # Errors
    /// When one does not run, or there is no such CPU.
    pub fn pin_servers(&self) -> anyhow::Result<()> {
        let place = |name: &str| if name == "redis" { THEIR_CPU } else { OUR_CPU };
        self.servers()?.iter().try_for_each(|(name, &pid)| cpu::pin(pid, &[place(name)]))
    }

    /// The servers' processes.
    ///
    /// # Errors
    /// When one does not run.
    pub fn servers(&self) -> anyhow::Result<Pids> {
        let pid = |name: &str, pid: Option<u32>| {
            pid.map(|pid| (name.to_owned(), pid)).with_context(|| format!("{name} does not run"))
        };
        Ok(Pids::from([
            pid("redis", self.stack.redis.pid())?,
            pid("mariadb", self.stack.mariadb.pid())?,
            pid("rabbitmq", self.stack.rabbit.pid())?,
        ]))
    }
}
