//! A shop in one process: `spike serve` with its data in a folder, and nothing else.
//!
//! While it runs the folder is its own: a test asks it over HTTP, and reads the files when it has left.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use loadtest::{Buyer, OrderRow, PressPlan, Progress, SaleSpec};
use serde_json::{Value, json};
use spike_config::Config;
use spike_devstack::fixture;
use spike_domain::clock::{now_ms, rfc3339};
use spike_domain::{Conservation, EventId, OrderId, Role, SessionId, UserId};
use spike_gateway::tokens::Tokens;
use spike_store::Store;
use tokio::runtime::Runtime;

use crate::books::Running;
use crate::http::{self, Answer};
use crate::poll::until;
use crate::process::{Env, Process, run};
use crate::system::{Sale, loopback, orders_path};

const ADMIN: &str = "admin@shop.invalid";
const PASSWORD: &str = "correct horse battery staple";
const CONNECTIONS: usize = 16;

/// The process, its folder and its buyers.
pub struct Shop {
    /// The process.
    pub serve: Process,
    /// Where it was started; its data is in `data`.
    pub dir: PathBuf,
    /// Its variables.
    pub env: Env,
    config: Config,
    /// Where it serves buyers.
    pub http: SocketAddr,
    runtime: Runtime,
    buyers: Vec<(UserId, String)>,
    admin: String,
}

impl Shop {
    /// With so many buyers who have an account.
    pub fn start(buyers: usize) -> Self {
        Self::start_with(buyers, &[])
    }

    /// The same with settings besides.
    pub fn start_with(buyers: usize, settings: &[(&str, &str)]) -> Self {
        let dir = fixture::folder("shop");
        let [http, ops, worker_ops] = [loopback(), loopback(), loopback()];
        let mut env: Env = [
            ("SPIKE_HTTP_LISTEN", http.to_string()),
            ("SPIKE_HTTP_OPS_LISTEN", ops.to_string()),
            ("SPIKE_WORKER_OPS_LISTEN", worker_ops.to_string()),
            ("SPIKE_DATA_DIR", dir.join("data").display().to_string()),
            ("SPIKE_LIMITS_DEBOUNCE_MS", "0".into()),
            ("SPIKE_LIMITS_USER_PER_S", "0".into()),
            ("SPIKE_LIMITS_ADDRESS_PER_S", "0".into()),
            ("SPIKE_HOT_PIN", "false".into()),
            ("SPIKE_HOT_REDIS_TIMEOUT_MS", "10000".into()),
            // A disk that many tests share may keep a file's first connection waiting.
            ("SPIKE_DATABASE_ACQUIRE_TIMEOUT_MS", "60000".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        env.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let words = ["admin", "create-user", "--email", ADMIN, "--role", "admin", "--password", PASSWORD];
        let output = run(&words, &env, &dir);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        let config = Config::load(None, env.clone()).expect("settings a command has taken");
        let runtime = Runtime::new().expect("a runtime");
        let tokens = Tokens::new(&config.auth);
        let users = runtime.block_on(async {
            let store = open(&config).await;
            let users = store.bulk_insert_users("buyer", buyers, "no hash: nobody logs in").await;
            store.close().await;
            users.expect("accounts")
        });
        let token =
            |user| (user, tokens.mint(user, Role::User, SessionId::new(now_ms()), 0, now_ms() / 1000));
        let buyers = users.into_iter().map(token).collect();

        let serve = Process::start("serve", &env, &dir, ops);
        let login = json!({ "email": ADMIN, "password": PASSWORD }).to_string();
        let session = http::call(http, "POST", "/api/v1/auth/login", &[], Some(&login));
        assert_eq!(session.status, 200, "{session:?}");
        let admin = session.json()["data"]["access_token"].as_str().expect("a token").to_owned();
        Self { serve, dir, env, config, http, runtime, buyers, admin }
    }

    /// Announces a sale of a new product, warms it up, and waits until it sells.
    pub fn open(&self, sale: Sale) -> EventId {
        let price = json!({ "minor": 100, "currency": "EUR" });
        let product = json!({ "sku": "THING", "name": "Thing", "price": price, "stock": sale.total });
        let product = self.as_admin("POST", "/api/v1/products", &product);
        let moment = |in_ms: i64| rfc3339(now_ms().checked_add_signed(in_ms).expect("a time after 1970"));
        let event = json!({
            "product_id": product["id"], "name": "Sale", "price": price, "total": sale.total,
            "per_user_limit": sale.per_user_limit, "pay_timeout_s": 3600,
            "starts_at": moment(sale.opens_in_ms), "ends_at": moment(sale.ends_in_ms),
        });
        let event = self.as_admin("POST", "/api/v1/admin/spike/events", &event);
        let event = EventId(event["id"].as_i64().expect("an id"));
        self.as_admin("POST", &format!("/api/v1/admin/spike/events/{event}/warmup"), &json!({}));
        self.wait_selling(event);
        event
    }

    /// Waits until the ledger has been compared with the database and reserves.
    pub fn wait_selling(&self, event: EventId) {
        until("the event sells", || {
            let stats = self.get(&format!("/api/v1/spike/events/{event}/stats"))?;
            let answer = self.buy(event, "no token", None)?;
            let recovering = answer.status == 404 || answer.reason() == "recovering";
            (stats.json()["data"]["stock"].is_u64() && !recovering).then_some(())
        });
    }

    /// A press of buy; `None` when nobody answers.
    pub fn buy(&self, event: EventId, token: &str, key: Option<&str>) -> Option<Answer> {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("Authorization", &*bearer)];
        headers.extend(key.map(|key| ("Idempotency-Key", key)));
        http::try_call(self.http, "POST", &orders_path(event), &headers, None)
    }

    /// Takes buyers who have not pressed yet.
    pub fn take_buyers(&mut self, count: usize) -> Vec<(UserId, String)> {
        self.buyers.split_off(self.buyers.len() - count)
    }

    /// Lets new buyers press once each, from now on.
    pub fn storm(&mut self, event: EventId, buyers: usize) -> Running {
        let sources: Vec<_> = loadtest::loopback_sources(CONNECTIONS).collect();
        let buyer = |(at, (user, token))| Buyer { user, token, source: sources[at % sources.len()] };
        let buyers: Vec<Buyer> = self.take_buyers(buyers).into_iter().enumerate().map(buyer).collect();
        let spec = SaleSpec {
            base: self.http,
            host: self.http.to_string(),
            event,
            start_at_ms: now_ms() + 100,
            requests: buyers.len() as u64,
            buyers,
            connections: CONNECTIONS,
            presses: PressPlan { early: 0.0, ..PressPlan::default() },
            quantity: 1,
            deadline: Duration::from_secs(10),
            seed: 1,
        };
        let progress = Arc::new(Progress::default());
        let task = self.runtime.spawn(loadtest::run(spec.clone(), progress.clone()));
        Running::new(spec, progress, task)
    }

    /// What a storm came to.
    pub fn result(&self, running: Running) -> loadtest::SaleResult {
        self.runtime.block_on(running.into_result())
    }

    /// Waits until nothing is under way, then takes the figures.
    pub fn at_rest(&self, event: EventId) -> Conservation {
        until("nothing is under way", || {
            let answer =
                self.as_admin("POST", &format!("/api/v1/admin/spike/events/{event}/warmup"), &json!({}));
            let figure = |name: &str| answer["conservation"][name].as_i64().expect("a figure");
            let [s, r, l, f, k] = ["S", "R", "L", "F", "K"].map(figure);
            let stats = self.get(&format!("/api/v1/spike/events/{event}/stats"))?.json();
            let rest = f == 0 && k == 0 && answer["exact"] == true && stats["data"]["in_flight"] == 0;
            rest.then_some(Conservation { S: s, R: r, L: l, F: f, K: k })
        })
    }

    /// Stops the process as an operator does, then reads every order out of its database.
    pub fn leave(mut self, event: EventId) -> Vec<OrderRow> {
        self.serve.signal(libc::SIGTERM);
        let status = self.serve.ended();
        assert!(status.success(), "{status}");
        let rows = self.runtime.block_on(async {
            let store = open(&self.config).await;
            let report = store.audit_event(event).await.expect("its report");
            assert!(report.holds(), "{report:?}");
            let rows = store.all_orders(event).await.expect("its orders");
            store.close().await;
            rows
        });
        let row = |row: spike_store::SnapshotRow| OrderRow {
            order: row.order,
            user: row.user,
            status: row.status,
            quantity: row.quantity,
        };
        rows.into_iter().map(row).collect()
    }

    /// The order a user was told of, by its id.
    pub fn order_status(&self, event: EventId, order: OrderId, token: &str) -> Option<String> {
        let path = format!("{}/{order}", orders_path(event));
        let bearer = format!("Bearer {token}");
        let answer = http::try_call(self.http, "GET", &path, &[("Authorization", &bearer)], None)?;
        answer.json()["data"]["status"].as_str().map(str::to_owned)
    }

    /// A figure of the gateway's metrics.
    pub fn metric(&self, name: &str) -> u64 {
        self.serve.metric(name)
    }

    /// Memory that the process holds, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.serve.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// What anybody may see; `None` unless it is a 200.
    pub fn get(&self, path: &str) -> Option<Answer> {
        http::try_call(self.http, "GET", path, &[], None).filter(|answer| answer.status == 200)
    }

    /// The data of an administrator's request that must succeed, whatever version of a thing it changes.
    pub fn as_admin(&self, method: &str, path: &str, body: &Value) -> Value {
        let bearer = format!("Bearer {}", self.admin);
        let body = body.to_string();
        let headers = [("Authorization", &*bearer), ("If-Match", "*")];
        let answer = http::call(self.http, method, path, &headers, Some(&body));
        assert!((200..300).contains(&answer.status), "{path}: {} {}", answer.head, answer.json());
        answer.json()["data"].take()
    }
}

async fn open(config: &Config) -> Store {
    Store::connect(&spike_backends::database_settings(config)).await.expect("its database")
}
