//! What is sold in a test: an event whose ledger stands in a Redis of its own, and the presses on it.

use spike_config::Config;
use spike_devstack::RedisServer;
use spike_domain::{
    Currency, EventDef, EventId, LedgerState, Money, ProductId, Role, SessionId, UserId, Window, clock,
};
use spike_gateway::tokens::Tokens;
use spike_stock::stock::Timeouts;
use spike_stock::{Opening, Stock};

pub const EVENT: EventId = EventId(7);
pub const EPOCH: u64 = 1_763_800_000_000;
pub const PER_USER_LIMIT: u32 = 2;

/// Settings for a Redis: no limits but those that `env` sets.
pub fn settings(redis: &RedisServer, env: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut all = vec![
        ("SPIKE_REDIS_URL".to_owned(), redis.url()),
        ("SPIKE_LIMITS_USER_PER_S".to_owned(), "0".to_owned()),
        ("SPIKE_LIMITS_ADDRESS_PER_S".to_owned(), "0".to_owned()),
        ("SPIKE_LIMITS_DEBOUNCE_MS".to_owned(), "0".to_owned()),
        // A disk that the whole machine writes to may keep Redis waiting.
        ("SPIKE_HOT_REDIS_TIMEOUT_MS".to_owned(), "10000".to_owned()),
    ];
    for (name, value) in env {
        all.retain(|(known, _)| known != name);
        all.push(((*name).to_owned(), (*value).to_owned()));
    }
    all
}

pub fn config(settings: &[(String, String)]) -> Config {
    Config::load(None, settings.to_vec()).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The event as it is sold: started a minute ago, for an hour.
pub fn def(total: u32) -> EventDef {
    let now = clock::now_ms();
    EventDef {
        id: EVENT,
        product_id: ProductId(1),
        name: "Sale".into(),
        price: Money { minor: 100, currency: Currency::parse("EUR").unwrap() },
        total,
        per_user_limit: PER_USER_LIMIT,
        pay_timeout_s: 60,
        window: Window { starts_at_ms: now - 60_000, ends_at_ms: now + 3_600_000 },
    }
}

/// Opens the ledger of `def` as a rebuild does.
pub async fn open(redis: &RedisServer, def: &EventDef, epoch: u64) -> Stock {
    let ledger = Stock::redis(&redis.url(), Timeouts::default()).unwrap();
    ledger.begin(def.id, epoch).await.unwrap();
    ledger.load(def.id, epoch, &[], &[]).await.unwrap();
    let stock = u64::from(def.total);
    let opening = Opening { state: LedgerState::Open, stock, inflight: 0, cap: 1_000_000, def };
    ledger.open(def.id, epoch, &opening).await.unwrap();
    ledger.load_fenced(def.id, epoch).await.unwrap();
    ledger
}

/// A token of `user`, minted `age_s` seconds ago.
pub fn token(config: &Config, user: i64, age_s: u64) -> String {
    let now_ms = clock::now_ms();
    Tokens::new(&config.auth).mint(UserId(user), Role::User, SessionId::new(now_ms), 0, now_ms / 1000 - age_s)
}

/// A press of the event; `headers` are whole lines with their ends.
pub fn press(event: EventId, token: &str, headers: &str, body: &str) -> String {
    let authorization = match token {
        "" => String::new(),
        token => format!("Authorization: Bearer {token}\r\n"),
    };
    format!(
        "POST /api/v1/spike/events/{event}/orders HTTP/1.1\r\nHost: t\r\n{authorization}Content-Length: {}\r\n\
         {headers}\r\n{body}",
        body.len()
    )
}
