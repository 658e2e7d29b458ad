//! A control API to ask, and a worker's stand-in where a test wants one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, Response, StatusCode};
use serde_json::{Value, json};
use spike_config::Config;
use spike_devstack::{RedisServer, fixture};
use spike_domain::clock::now_ms;
use spike_domain::{EventId, OrderId, ProductId, Role, SessionId, UserId};
use spike_gateway::bridge::ClientAddress;
use spike_gateway::control::{Control, router};
use spike_gateway::tokens::Tokens;
use spike_stock::Stock;
use spike_stock::stock::Timeouts;
use spike_store::{DatabaseSettings, NewAudit, NewSession, NewUser, SessionRules, Store};
use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection};
use tower::ServiceExt;

use crate::contract::conformity;

/// The API with its servers.
pub struct Api {
    pub store: Store,
    pub ledger: Stock,
    pub redis: RedisServer,
    pub config: Arc<Config>,
    pub control: Arc<Control>,
    /// Milliseconds by which the API's clock is ahead of the wall clock.
    pub ahead_ms: Arc<AtomicU64>,
    pub router: Router,
    tokens: Arc<Tokens>,
    database: String,
    database_url: String,
}

/// An answer that has been read.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

/// Runs `probe` until it gives a value, for half a minute at most.
pub async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Api {
    /// An API on an empty, migrated database and an empty Redis.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with settings of its own.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_as(settings, |_| ()).await
    }

    /// The same with values that no operator could set, such as no time at all.
    pub async fn start_changed(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_as(&[], change).await
    }

    async fn start_as(settings: &[(&str, &str)], change: impl FnOnce(&mut Config)) -> Self {
        let redis = fixture::redis();
        let url = fixture::database();
        let env = [("SPIKE_REDIS_URL", redis.url()), ("SPIKE_DATABASE_URL", url.clone())];
        let own = settings.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let env = env.into_iter().chain(own).map(|(name, value)| (name.to_owned(), value));
        let mut config = Config::load(None, env).unwrap();
        change(&mut config);
        let config = Arc::new(config);
        let (database, database_url) = (url.rsplit('/').next().unwrap().to_owned(), url.clone());
        let settings = DatabaseSettings {
            url,
            connections_min: 0,
            connections_max: 4,
            acquire_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(10),
        };
        let store = Store::connect(&settings).await.unwrap();
        store.migrate().await.unwrap();
        let ledger = Stock::redis(&redis.url(), Timeouts::default()).unwrap();
        let tokens = Arc::new(Tokens::new(&config.auth));
        tokens.revocations().mark_loaded();
        let ahead_ms = Arc::new(AtomicU64::new(0));
        let ahead = ahead_ms.clone();
        let clock = move || now_ms() + ahead.load(Ordering::Relaxed);
        let mut control =
            Control::new(config.clone(), store.clone(), ledger.clone(), tokens.clone()).with_clock(clock);
        control.worker_wait = Duration::from_secs(2);
        let control = Arc::new(control);
        let router = router(control.clone());
        Self { store, ledger, redis, config, ahead_ms, tokens, router, control, database, database_url }
    }

    /// Another gateway's control API on the same servers, on a connection of its own.
    pub fn beside(&self) -> Router {
        let ledger = Stock::redis(&self.redis.url(), Timeouts::default()).unwrap();
        router(Arc::new(Control::new(self.config.clone(), self.store.clone(), ledger, self.tokens.clone())))
    }

    /// An account of that role, without a password anybody knows, and its token.
    pub async fn account(&self, name: &str, role: Role) -> (UserId, String) {
        let email = format!("{name}@shop.example");
        let user = NewUser { email, name: name.to_owned(), password_hash: "none".into(), role };
        let id = self.store.create_user(user).await.unwrap();
        (id, self.log_in(id, role).await.1)
    }

    /// A session of an account and its access token, without the way over a password.
    pub async fn log_in(&self, user: UserId, role: Role) -> (SessionId, String) {
        let id = SessionId::new(now_ms());
        let token_version = self.store.user_by_id(user).await.unwrap().unwrap().token_version;
        let mut refresh_hash = [0; 32];
        refresh_hash[..16].copy_from_slice(id.bytes());
        let new = NewSession { id, user, token_version, address: None, refresh_hash };
        let rules = SessionRules {
            refresh_ttl_ms: 3_600_000,
            session_ttl_ms: 3_600_000,
            retry_ms: 0,
            live_max: 100,
            token_life_ms: 900_000,
        };
        let started = self.store.create_session(new, &rules, &NewAudit::default()).await.unwrap().unwrap();
        (id, self.tokens.mint(user, role, id, started.generation, now_ms() / 1000))
    }

    /// A transaction with these statements in it, which ends in nothing when it is dropped.
    pub async fn hold(&self, statement: &str) -> MySqlConnection {
        let mut conn = MySqlConnection::connect(&self.database_url).await.unwrap();
        sqlx::raw_sql("BEGIN").execute(&mut conn).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statement)).fetch_all(&mut conn).await.unwrap();
        conn
    }

    /// What only an operator at the database could do.
    pub fn sql(&self, statement: &str) -> String {
        fixture::mariadb().query(&format!("USE {}; {statement}", self.database)).unwrap()
    }

    pub async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        self.send(Self::request("GET", path, token).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Answer {
        self.post_raw(path, token, "application/json", body.to_string().into_bytes()).await
    }

    pub async fn post_raw(&self, path: &str, token: Option<&str>, media_type: &str, body: Vec<u8>) -> Answer {
        let request = Self::request("POST", path, token).header("content-type", media_type);
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// A request with one more header, and a JSON body where there is one.
    pub async fn with(
        &self,
        (method, path): (&str, &str),
        token: Option<&str>,
        (name, value): (&str, &str),
        body: Option<&Value>,
    ) -> Answer {
        let request = Self::request(method, path, token).header(name, value);
        let request = match body {
            Some(body) => {
                request.header("content-type", "application/json").body(Body::from(body.to_string()))
            }
            None => request.body(Body::empty()),
        };
        self.send(request.unwrap()).await
    }

    pub async fn patch(&self, path: &str, token: Option<&str>, body: &Value) -> Answer {
        let request = Self::request("PATCH", path, token).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// A login or a registration from an address.
    pub async fn post_from(&self, address: &str, path: &str, body: &Value) -> Answer {
        let request = Self::request("POST", path, None).header("content-type", "application/json");
        let request = request.extension(ClientAddress(address.parse().unwrap()));
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// A request to come, below `/api/v1`.
    pub fn request(method: &str, path: &str, token: Option<&str>) -> axum::http::request::Builder {
        let request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    /// The answer to a request, as it is.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Every answer to a request, whatever it is, is an envelope with the request's id, and as the document says.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let answer = self.read(request).await;
        conformity::check(&method, &path, answer.status, &answer.headers, &answer.body);
        answer
    }

    async fn read(&self, request: Request<Body>) -> Answer {
        let shown = format!("{} {}", request.method(), request.uri());
        let answer = self.answer(request).await;
        let (head, body) = answer.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        if matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            assert!(bytes.is_empty() && head.headers.contains_key("x-request-id"), "{shown}");
            return Answer { status: head.status.as_u16(), headers: head.headers, body: Value::Null };
        }
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("{shown}: {bytes:?}"));
        assert_eq!(
            body["request_id"].as_str(),
            Some(head.headers["x-request-id"].to_str().unwrap()),
            "{shown}"
        );
        assert_eq!(head.headers["content-length"], bytes.len().to_string().as_str(), "{shown}");
        assert_eq!(
            head.status == StatusCode::OK || head.status == StatusCode::CREATED,
            body["code"] == 0,
            "{shown} {body}"
        );
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    /// A product of 100 units and an event of `total` of them, by way of the API.
    pub async fn sale(&self, admin: &str, total: u32) -> (ProductId, EventId) {
        let sku = format!("sku-{}", OrderId::new(now_ms()));
        let price = json!({"minor": 1999, "currency": "EUR"});
        let body = json!({"sku": sku, "name": "Lamp", "price": price, "stock": 100});
        let product = self.post("/products", Some(admin), &body).await;
        let product = ProductId(product.data()["id"].as_i64().unwrap());
        let event = self.post("/admin/spike/events", Some(admin), &event_body(product, total)).await;
        (product, EventId(event.data()["id"].as_i64().unwrap()))
    }
}

/// An event that runs for hours around now.
pub fn event_body(product: ProductId, total: u32) -> Value {
    json!({
        "product_id": product, "name": "Night sale", "price": {"minor": 999, "currency": "EUR"}, "total": total,
        "per_user_limit": 2, "pay_timeout_s": 600,
        "starts_at": "2020-01-01T00:00:00Z", "ends_at": "2120-01-01T00:00:00+02:00",
    })
}

impl Answer {
    /// The data of an answer that must be a success.
    pub fn data(&self) -> &Value {
        assert!(self.status < 300, "{} {}", self.status, self.body);
        &self.body["data"]
    }

    pub fn reason(&self) -> &str {
        self.body["reason"].as_str().unwrap_or("")
    }

    /// The names in `errors`.
    pub fn fields(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map_or(&[][..], Vec::as_slice);
        errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
    }

    /// The body without what differs from request to request.
    pub fn without_id(&self) -> Value {
        let mut body = self.body.clone();
        body.as_object_mut().unwrap().remove("request_id");
        body
    }
}
