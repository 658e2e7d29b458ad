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
    database: String,
    store: Store,
}

impl Servers {
    async fn start() -> Self {
        let url = fixture::database();
        let database = url.rsplit('/').next().unwrap().to_owned();
        let settings = DatabaseSettings {
            url,
            connections_min: 0,
            connections_max: 4,
            acquire_timeout: PATIENCE,
            statement_timeout: PATIENCE,
        };
        let store = Store::connect(&settings).await.unwrap();
        store.migrate().await.unwrap();
        Self { redis: fixture::redis(), database, store }
    }

    fn sql(&self, statement: &str) {
        fixture::mariadb().query(&format!("USE {}; {statement}", self.database)).unwrap();
    }

    /// What a gateway of these servers knows, followed from now on.
    fn gateway(&self) -> Arc<Shared> {
        self.gateway_with(self.store.clone(), SaleClock::new(now_ms()), 500)
    }

    fn gateway_with(&self, store: Store, clock: SaleClock, poll_ms: u64) -> Arc<Shared> {
        let env = [
            ("SPIKE_REDIS_URL".to_owned(), self.redis.url()),
            ("SPIKE_FOLLOWER_REVOCATIONS_POLL_MS".to_owned(), poll_ms.to_string()),
        ];
        let config = Config::load(None, env).unwrap();
        let shared = Arc::new(Shared {
            embedded: None,
            events: EventTable::default(),
            clock,
            tokens: Arc::new(Tokens::new(&config.auth)),
            limits: Limits::new(&config.limits),
            counters: Counters::new(1),
            bridge: bridge(1).0,
            relay_wake: Arc::new(Notify::new()),
            follower_wake: Arc::new(Notify::new()),
            connections: Seats::new(1),
            drain: Drain::default(),
            traces: None,
            failed_buys: Default::default(),
            config: Arc::new(config),
        });
        let active = watch::channel(Arc::default()).0;
        tokio::spawn(Follower::new(shared.clone(), self.ledger(), store, active).run());
        shared
    }

    fn ledger(&self) -> Stock {
        Stock::redis(&self.redis.url(), Timeouts::default()).unwrap()
    }

    async fn user(&self) -> UserId {
        let user = NewUser {
            email: "ann@shop.example".into(),
            name: "Ann".into(),
            password_hash: "none".into(),
            role: Role::User,
        };
        self.store.create_user(user).await.unwrap()
    }

    /// Ends a session in the database and tells nobody.
    async fn revoke(&self, session: SessionId) {
        let revoke = Revoke { why: Revoked::Logout, token_life_ms: LIFE_MS, by: audit() };
        assert!(self.store.revoke_session(session, &revoke).await.unwrap());
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
    let user = servers.user().await;
    let gateway = servers.gateway();
    until("what is revoked is read once", || gateway.tokens.revocations().loaded()).await;
    let (session, generation) = servers.session(user, 1).await;
    let (kept, kept_generation) = servers.session(user, 2).await;
    let mint = |session, ver| gateway.tokens.mint(user, Role::User, session, ver, now_ms() / 1000);
    let (token, other) = (mint(session, generation), mint(kept, kept_generation));
    assert!(alive(&gateway, &token) && alive(&gateway, &other));

    servers.revoke(session).await;
    let since = Instant::now();
    until("the token is refused", || !alive(&gateway, &token)).await;
    assert!(since.elapsed() <= Duration::from_secs(2), "only after {:?}", since.elapsed());
    assert!(alive(&gateway, &other), "another session of the same user lives");
    assert_eq!(gateway.counters.sum(Counter::RevocationsHeld), 1);

    let later = servers.gateway();
    until("what is revoked is read once", || later.tokens.revocations().loaded()).await;
    assert!(!alive(&later, &token) && alive(&later, &other), "loaded at the start");
}

/// Sessions of one user with a living token each.
async fn sessions(servers: &Servers, gateway: &Shared, user: UserId, count: u8) -> Vec<(SessionId, String)> {
    let mut all = Vec::new();
    for hash in 1..=count {
        let (session, generation) = servers.session(user, hash).await;
        let token = gateway.tokens.mint(user, Role::User, session, generation, now_ms() / 1000);
        assert!(alive(gateway, &token));
        all.push((session, token));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_of_the_sale_that_steps_brings_no_token_back() {
    const STEP_MS: u64 = 3_600_000;
    let servers = Servers::start().await;
    let user = servers.user().await;
    // An hour slow until Redis is asked for the time.
    let gateway = servers.gateway_with(servers.store.clone(), SaleClock::new(now_ms() - STEP_MS), 10);
    until("what is revoked is read once", || gateway.tokens.revocations().loaded()).await;
    let all = sessions(&servers, &gateway, user, 2).await;
    servers.revoke(all[0].0).await;
    until("the first is refused", || !alive(&gateway, &all[0].1)).await;
    servers.revoke(all[1].0).await;
    until("the second is refused, learnt an hour ahead", || {
        let now = Instant::now();
        gateway.clock.learn(now_ms() + STEP_MS, now, now);
        !alive(&gateway, &all[1].1)
    })
    .await;
    for (_, token) in &all {
        assert!(!alive(&gateway, token), "with the clock back where it was");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_of_the_database_that_is_set_back_hides_no_revocation() {
    let servers = Servers::start().await;
    let user = servers.user().await;
    let gateway = servers.gateway();
    until("what is revoked is read once", || gateway.tokens.revocations().loaded()).await;
    let all = sessions(&servers, &gateway, user, 2).await;
    servers.revoke(all[0].0).await;
    // As if the clock had been an hour ahead when this was revoked, and was set right then.
    servers
        .sql("UPDATE revocations SET created_at_ms = created_at_ms + 3600000, until_ms = until_ms + 3600000");
    until("the first is refused", || !alive(&gateway, &all[0].1)).await;
    servers.revoke(all[1].0).await;
    let since = Instant::now();
    until("the second is refused", || !alive(&gateway, &all[1].1)).await;
    assert!(since.elapsed() <= Duration::from_secs(2), "only after {:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hint_is_looked_at_before_the_next_poll() {
    let servers = Servers::start().await;
    let user = servers.user().await;
    let gateway = servers.gateway_with(servers.store.clone(), SaleClock::new(now_ms()), 1000);
    until("what is revoked is read once", || gateway.tokens.revocations().loaded()).await;
    let all = sessions(&servers, &gateway, user, 4).await;
    let ledger = servers.ledger();
    until_subscribed(&servers).await;
    // The look that one hint causes puts the next poll off by a second, so the polls cannot be what is seen.
    for (session, token) in &all {
        servers.revoke(*session).await;
        let since = Instant::now();
        ledger.hint(spike_domain::EventId(1)).await.unwrap();
        until("the token is refused", || !alive(&gateway, token)).await;
        assert!(since.elapsed() <= Duration::from_millis(500), "only after {:?}", since.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_gateway_revokes_is_learnt_without_the_database() {
    let servers = Servers::start().await;
    let user = servers.user().await;
    let gateway = servers.gateway();
    until("what is revoked is read once", || gateway.tokens.revocations().loaded()).await;
    let all = sessions(&servers, &gateway, user, 2).await;
    until_subscribed(&servers).await;
    // Nothing of this is in the database.
    servers.ledger().hint_revoked(&[all[0].0], spike_store::ALL_TOKENS).await.unwrap();
    let since = Instant::now();
    until("the token is refused", || !alive(&gateway, &all[0].1)).await;
    assert!(since.elapsed() <= Duration::from_millis(500), "only after {:?}", since.elapsed());
    assert!(alive(&gateway, &all[1].1), "another session of the same user lives");
}

async fn until_subscribed(servers: &Servers) {
    until("the gateway listens for hints", || {
        // Answered with how many listen.
        servers.redis.command(&["PUBLISH", "spike:hints", "1"]).is_ok_and(|reply| reply.contains('1'))
    })
    .await;
}
