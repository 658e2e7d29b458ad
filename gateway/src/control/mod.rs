//! The control API: everything of `/api/v1` that is not on the path of a buy. axum, on the sidecar's runtime.
//!
//! A request passes, in order: [`render`] (request id, span, `Accept`; the only place where bytes are made), CORS, the
//! panic catcher, its deadline, the guard of its row in [`ROUTES`], then extractors ([`Identity`], [`Admin`], [`Fields`], ids
//! and queries) and one handler.
//! Handlers say what they found or refused; they never build a body. What the hot cores answer themselves
//! (`POST …/orders`, `…/orders/mine`) is known here only by its methods.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use spike_config::Config;
use spike_payments::PaymentProvider;
use spike_stock::Stock;
use spike_store::Store;

use crate::tokens::Tokens;

mod accept;
mod audit;
mod auth;
mod cache;
mod contract;
mod credentials;
mod email;
mod event_query;
mod events;
mod fields;
mod idempotency;
mod identity;
mod inventory;
mod layers;
mod limits;
mod logins;
mod me;
mod measured;
mod operations;
mod order_history;
mod orders;
mod origin;
mod password_policy;
mod passwords;
mod payments;
mod preconditions;
mod product_query;
mod products;
mod query;
mod reconcile;
mod recorded;
mod refresh_token;
mod refusal;
mod render;
mod routes;
mod sessions;
mod shop_orders;
mod strict_json;
mod users;

pub use accept::{Form, form};
pub use cache::{Cache, CacheCounts, Cached, Key, Loaded, Topic};
pub use contract::{dictionary_markdown, document as openapi_document};
pub use email::normalise as normalise_email;
pub use events::event_view;
pub use fields::Fields;
pub use identity::{Admin, Identity, Named, NamedPair};
pub use logins::{Attempt, Logins, Wait, network};
pub use measured::ControlMetrics;
pub use orders::order_view;
pub use origin::Origin;
pub use password_policy::{PASSWORD_CHARS, WeakPassword, check_new_password};
pub use passwords::{PasswordMetrics, Passwords, hash_now, verify_now};
pub use preconditions::{IfMatch, Known, MayMatch, tag_of};
pub use query::{CursorQuery, LineQuery, PageQuery};
pub use refresh_token::RefreshToken;
pub use refusal::{Refusal, Result};
pub use render::{Answer, X_REQUEST_ID};
pub use routes::{Access, ROUTES, Route, Side};

/// What the handlers work with.
pub struct Control {
    /// The database.
    pub store: Store,
    /// Redis.
    pub ledger: Stock,
    /// Mints and verifies access tokens.
    pub tokens: Arc<Tokens>,
    /// Hashes passwords.
    pub passwords: Passwords,
    /// Who may try a password now.
    pub logins: Arc<Logins>,
    /// Moves the money.
    pub provider: Arc<dyn PaymentProvider>,
    /// What has been read of the catalogue.
    pub cache: Arc<Cache>,
    /// What is measured of requests.
    pub metrics: Arc<ControlMetrics>,
    /// The settings.
    pub config: Arc<Config>,
    /// How long an operator waits for a worker to carry a wish out; 10 s unless a test says otherwise.
    pub worker_wait: Duration,
    now_ms: Box<dyn Fn() -> u64 + Send + Sync>,
    on_panic: Arc<dyn Fn() + Send + Sync>,
}

impl Control {
    /// A control API on the wall clock. Starts the password threads and, where the ledger is in Redis, the cache's
    /// follower.
    ///
    /// # Panics
    /// With a ledger in Redis, outside of a tokio runtime; where the system has no thread or no randomness left at the start.
    pub fn new(config: Arc<Config>, store: Store, ledger: Stock, tokens: Arc<Tokens>) -> Self {
        let passwords = Passwords::start(&config.auth).expect("threads and randomness for hashing passwords");
        let logins = Arc::new(Logins::new(&config.login));
        let now_ms = Box::new(spike_domain::clock::now_ms);
        let (worker_wait, on_panic) = (operations::WORKER_WAIT, Arc::new(|| ()));
        let provider = payments::provider(&config, &store, &ledger);
        let cache = Cache::new(&config.cache, &ledger);
        Self {
            store,
            ledger,
            tokens,
            provider,
            passwords,
            logins,
            cache,
            metrics: Arc::default(),
            config,
            worker_wait,
            now_ms,
            on_panic,
        }
    }

    /// Another clock, in Unix milliseconds: the one the hot cores check tokens with, or tokens minted here would be
    /// refused there when the wall clock is wrong.
    #[must_use]
    pub fn with_clock(mut self, now_ms: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.now_ms = Box::new(now_ms);
        self
    }

    /// What to do at every panic of a handler, for a counter.
    #[must_use]
    pub fn on_panic(mut self, count: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_panic = Arc::new(count);
        self
    }

    /// Unix milliseconds.
    pub fn now_ms(&self) -> u64 {
        (self.now_ms)()
    }

    /// Unix seconds.
    pub fn now_s(&self) -> u64 {
        self.now_ms() / 1000
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("passwords", &self.passwords).finish_non_exhaustive()
    }
}

/// Every cold route, with its layers.
pub fn router(control: Arc<Control>) -> Router {
    let limit = Duration::from_millis(control.config.http.request_timeout_ms);
    let config = control.config.clone();
    let (on_panic, metrics) = (control.on_panic.clone(), control.metrics.clone());
    let (waiting, others) = routes::routers(&control);
    // These wait for a worker, and say so themselves when none comes.
    let longer = limit + control.worker_wait;
    let waiting = layers::within(waiting.with_state(control.clone()), longer);
    let others = layers::within(others.with_state(control), limit);
    layers::around(others.merge(waiting), &config.http.cors_origins, on_panic)
        .layer(from_fn_with_state(metrics, measured::measured))
}
