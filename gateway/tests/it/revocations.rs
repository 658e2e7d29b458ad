//! From a row in the database to a token that is refused: the follower beside a real database, and a second one that starts
//! later.

use std::sync::Arc;
use std::time::{Duration, Instant};

use spike_config::Config;
use spike_devstack::{RedisServer, fixture};
use spike_domain::clock::now_ms;
use spike_domain::{Revoked, Role, SessionId, UserId};
use spike_gateway::bridge::bridge;
use spike_gateway::follower::Follower;
use spike_gateway::local::SaleClock;
use spike_gateway::local::events::EventTable;
use spike_gateway::shared::{Drain, Limits, Seats, Shared};
use spike_gateway::tokens::Tokens;
use spike_stock::Stock;
use spike_stock::stock::Timeouts;
use spike_store::{DatabaseSettings, NewAudit, NewSession, NewUser, Revoke, SessionRules, Store};
use spike_telemetry::{Counter, Counters};
use tokio::sync::{Notify, watch};

const PATIENCE: Duration = Duration::from_secs(30);
const LIFE_MS: u64 = 930_000;

struct Servers {
    redis: RedisServer,
    store: Store,
}

impl Servers {
    async fn start() -> Self {
        let settings = DatabaseSettings {
            url: fixture::database(),
            connections_min: 0,
            connections_max: 4,
            acquire_timeout: PATIENCE,
            statement_timeout: PATIENCE,
        };
        let store = Store::connect(&settings).await.unwrap();
        store.migrate().await.unwrap();
        Self { redis: fixture::redis(), store }
    }

    /// What a gateway of these servers knows, followed from now on.
    fn gateway(&self) -> Arc<Shared> {
        let config = Config::load(None, [("SPIKE_REDIS_URL".to_owned(), self.redis.url())]).unwrap();
        let shared = Arc::new(Shared {
            embedded: None,
            events: EventTable::default(),
            clock: SaleClock::new(now_ms()),
            tokens: Arc::new(Tokens::new(&config.auth)),
            limits: Limits::new(&config.limits),
            counters: Counters::new(1),
            bridge: bridge(1).0,
            relay_wake: Arc::new(Notify::new()),
            follower_wake: Arc::new(Notify::new()),
            connections: Seats::new(1),
            drain: Drain::default(),
            config: Arc::new(config),
        });
        let ledger = Stock::redis(&self.redis.url(), Timeouts::default()).unwrap();
        let active = watch::channel(Arc::default()).0;
        tokio::spawn(Follower::new(shared.clone(), ledger, self.store.clone(), active).run());
        shared
    }

    async fn session(&self, user: UserId, hash: u8) -> (SessionId, u32) {
        let id = SessionId::new(now_ms());
        let rules = SessionRules {
            refresh_ttl_ms: LIFE_MS,
            session_ttl_ms: LIFE_MS,
            retry_ms: 0,
            live_max: 10,
            token_life_ms: LIFE_MS,
        };
        let new = NewSession { id, user, token_version: 0, address: None, refresh_hash: [hash; 32] };
        let started = self.store.create_session(new, &rules, &audit()).await.unwrap();
        (id, started.expect("an account that may log in").generation)
    }
}

fn audit() -> NewAudit {
    let action = "test".to_owned();
    NewAudit { actor: None, action, target: None, detail: String::new(), request_id: None, address: None }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let looked = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looked).await.unwrap_or_else(|_| panic!("{what}: not in time"));
}

fn alive(shared: &Shared, token: &str) -> bool {
    shared.tokens.authenticate(token, now_ms() / 1000).is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_in_the_database_ends_a_token_here_and_in_a_gateway_that_starts_later() {
    let servers = Servers::start().await;
    let user = NewUser {
        email: "ann@shop.example".into(),
        name: "Ann".into(),
        password_hash: "none".into(),
        role: Role::User,
    };
    let user = servers.store.create_user(user).await.unwrap();
    let gateway = servers.gateway();
    until("what is revoked is read once", || gateway.tokens.revocations().loaded()).await;
    let (session, generation) = servers.session(user, 1).await;
    let (kept, kept_generation) = servers.session(user, 2).await;
    let mint = |session, ver| gateway.tokens.mint(user, Role::User, session, ver, now_ms() / 1000);
    let (token, other) = (mint(session, generation), mint(kept, kept_generation));
    assert!(alive(&gateway, &token) && alive(&gateway, &other));

    let revoke = Revoke { why: Revoked::Logout, token_life_ms: LIFE_MS, by: audit() };
    assert!(servers.store.revoke_session(session, &revoke).await.unwrap());
    let since = Instant::now();
    until("the token is refused", || !alive(&gateway, &token)).await;
    assert!(since.elapsed() <= Duration::from_secs(2), "only after {:?}", since.elapsed());
    assert!(alive(&gateway, &other), "another session of the same user lives");
    assert_eq!(gateway.counters.sum(Counter::RevocationsHeld), 1);

    let later = servers.gateway();
    until("what is revoked is read once", || later.tokens.revocations().loaded()).await;
    assert!(!alive(&later, &token) && alive(&later, &other), "loaded at the start");
}
