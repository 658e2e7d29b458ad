//! nginx with Lua: its configuration for one event, written into a folder. The answers in it are the gateway's own bytes.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};
use spike_config::{AuthConfig, LimitsConfig};
use spike_domain::{ClaimState, EventId, OrderId, Reason};
use spike_gateway::envelope::{self, FieldError};
use spike_gateway::hot::answer::Answer;
use spike_gateway::idempotency_key;
use spike_gateway::local::Quota;
use spike_gateway::local::page::sold_out_body;
use spike_stock::{EventKeys, scripts};

const CONFIG: &str = include_str!("../nginx/nginx.conf.in");
const PROGRAM: &str = include_str!("../nginx/buy.lua");
/// Where Debian puts nginx, which is not in everybody's path.
const NGINX: &str = "/usr/sbin/nginx";
/// Where Debian puts its modules.
const MODULES: &str = "/usr/lib/nginx/modules";

/// What nginx sells, and over which Redis.
#[derive(Debug, Clone)]
pub struct NginxOptions<'a> {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// The ledger's Redis: an address, because Lua's sockets do not read `/etc/hosts`.
    pub redis: SocketAddr,
    /// Longest wait for a reply of Redis, in milliseconds.
    pub redis_timeout_ms: u64,
    /// The event, whose ledger stands.
    pub event: EventId,
    /// The ledger's epoch.
    pub epoch: u64,
    /// Units that one user may hold.
    pub per_user_limit: u32,
    /// Secret (HS256), issuer, audience, life and leeway of access tokens.
    pub auth: &'a AuthConfig,
    /// Rates and bursts.
    pub limits: &'a LimitsConfig,
}

/// Writes `nginx.conf`, `buy.lua` and `settings.json` into `dir`, which exists, and returns the path of the first.
///
/// # Errors
/// The folder cannot be written to, or its path holds a character that nginx or Lua would read as its own.
pub fn write_config(dir: &Path, options: &NginxOptions<'_>) -> io::Result<PathBuf> {
    let dir = dir.canonicalize()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let Some(folder) = dir.to_str().filter(|path| path.chars().all(plain)) else {
        let what = format!("{} must be letters, digits and / . _ - only", dir.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    };
    let config = CONFIG
        .replace("@DIR@", folder)
        .replace("@MODULES@", MODULES)
        .replace("@LISTEN@", &options.listen.to_string())
        .replace("@EVENT@", &options.event.to_string());
    let path = dir.join("nginx.conf");
    std::fs::write(&path, config)?;
    std::fs::write(dir.join("buy.lua"), PROGRAM)?;
    std::fs::write(dir.join("settings.json"), settings(options).to_string())?;
    Ok(path)
}

/// nginx, where it is installed with its Lua module.
pub fn find() -> Option<PathBuf> {
    let there = Path::new(NGINX).is_file() && Path::new(MODULES).join("ngx_http_lua_module.so").is_file();
    there.then(|| NGINX.into())
}

/// A command that runs `nginx` with `config` in the foreground, one process, until SIGTERM.
pub fn command(nginx: &Path, config: &Path) -> Command {
    let mut command = Command::new(nginx);
    command.arg("-c").arg(config);
    if let Some(folder) = config.parent() {
        // Without these it would write its first lines into the system's folders.
        command.arg("-p").arg(folder).arg("-e").arg(folder.join("error.log"));
    }
    command
}

fn settings(options: &NginxOptions<'_>) -> Value {
    let NginxOptions { event, auth, .. } = options;
    json!({
        "path": format!("/api/v1/spike/events/{event}/orders"),
        "epoch": options.epoch.to_string(),
        "sha": scripts::reserve(*event, options.epoch).sha,
        "keys": EventKeys::new(*event).reserve(),
        "redis": {
            "host": options.redis.ip().to_string(),
            "port": options.redis.port(),
            "timeout_ms": options.redis_timeout_ms,
        },
        "per_user_limit": options.per_user_limit,
        "secret": auth.secret.expose(),
        "issuer": auth.issuer,
        "audience": auth.audience,
        "leeway_s": auth.leeway_s,
        "ttl_s": auth.access_ttl_s,
        "limits": limits(options.limits),
        "answers": answers(*event, options.per_user_limit),
        "states": states(),
        "refused": {
            "full": "outbox_full",
            "paused": "paused",
            "closed": "ended",
            "recovering": "recovering",
            "not_ready": "recovering",
            "stale": "recovering",
        },
    })
}

/// The limits that are on, as the Lua code counts: milliseconds between two requests, and how early one may come.
fn limits(limits: &LimitsConfig) -> Map<String, Value> {
    let mut on = Map::new();
    let mut limit = |name: &'static str, quota: Quota, period_ms: f64, burst: u32| {
        if quota.on() {
            let [(_, policy), _] = quota.policy(name).headers(1);
            on.insert(
                name.to_owned(),
                json!({
                    "name": name,
                    "policy": policy.to_str().expect("a policy is ASCII"),
                    "period_ms": period_ms,
                    "tolerance_ms": period_ms * f64::from(burst - 1),
                }),
            );
        }
    };
    let rates =
        [("address", limits.address), ("user", limits.user), ("all", limits.global), ("event", limits.event)];
    for (name, rate) in rates {
        limit(name, Quota::new(rate.per_s, rate.burst), 1000.0 / f64::from(rate.per_s), rate.burst);
    }
    limit("press", Quota::every_ms(limits.debounce_ms.into()), f64::from(limits.debounce_ms), 1);
    on
}

/// The words of a claim's letters.
fn states() -> Map<String, Value> {
    let letters = (b'a'..=b'z').filter_map(|letter| Some((letter, ClaimState::from_letter(letter)?)));
    letters.map(|(letter, state)| (char::from(letter).to_string(), state.as_str().into())).collect()
}

/// Every answer: status, body, and when to come back.
fn answers(event: EventId, per_user_limit: u32) -> Map<String, Value> {
    let order = OrderId::new(0);
    let queued = text(&Answer::queued(event, order, false).body).replace(&order.to_string(), "@ORDER@");
    let refusals = PLAIN.map(|(name, reason)| (name, reason, envelope::error(reason, None, &[], None, None)));
    let refusals = refusals.into_iter().chain(of_event(event)).chain(of_press(per_user_limit));
    let mut all: Map<String, Value> = refusals
        .map(|(name, reason, body)| {
            let mut answer = json!({ "status": reason.status(), "body": text(&body) });
            if let Some(seconds) = envelope::retry_after_s(reason) {
                answer["retry_after_s"] = seconds.into();
            }
            (name.to_owned(), answer)
        })
        .collect();
    all.insert("queued".to_owned(), json!({ "status": 202, "body": queued }));
    all
}

/// The Lua code's name, the reason, the body.
type Refusal = (&'static str, Reason, Vec<u8>);

/// Refusals without further words.
const PLAIN: [(&str, Reason); 11] = [
    ("unauthorized", Reason::Unauthorized),
    ("too_many_requests", Reason::TooManyRequests),
    ("body_too_large", Reason::BodyTooLarge),
    ("unsupported_media_type", Reason::UnsupportedMediaType),
    ("idempotency_mismatch", Reason::IdempotencyMismatch),
    ("recovering", Reason::Recovering),
    ("paused", Reason::Paused),
    ("ended", Reason::Ended),
    ("outbox_full", Reason::OutboxFull),
    ("unavailable", Reason::Unavailable),
    ("not_found", Reason::NotFound),
];

/// Refusals that name the event, an order or the stock.
fn of_event(event: EventId) -> [Refusal; 4] {
    /// No stock of a sale; its digits stand where the Lua code writes the real one.
    const STOCK: u64 = u64::MAX;
    let with = |reason, data: Value| envelope::error(reason, None, &[], Some(data), None);
    let naming = |status: Option<&str>| json!({ "order_id": "@ORDER@", "event_id": event, "status": status });
    let short = text(&with(Reason::InsufficientStock, json!({ "stock": STOCK })));
    let short = short.replace(&STOCK.to_string(), "@STOCK@").into_bytes();
    [
        ("sold_out", Reason::SoldOut, sold_out_body(event)),
        ("already_bought", Reason::AlreadyBought, with(Reason::AlreadyBought, naming(Some("@STATUS@")))),
        ("outcome_unknown", Reason::OutcomeUnknown, with(Reason::OutcomeUnknown, naming(None))),
        ("insufficient_stock", Reason::InsufficientStock, short),
    ]
}

/// Refusals of what a press says.
fn of_press(per_user_limit: u32) -> [Refusal; 6] {
    let malformed = |detail| envelope::error(Reason::Malformed, Some(detail), &[], None, None);
    let field = |name: &str, fault: &str| {
        envelope::error(Reason::Validation, None, &[FieldError::new(name, fault)], None, None)
    };
    let over_limit = format!("must be an integer from 1 to {per_user_limit}");
    let bad_quantity = "must be an integer from 1 to the sale's per-user limit";
    [
        ("not_an_object", Reason::Malformed, malformed("The body must be a JSON object.")),
        ("not_json", Reason::Malformed, malformed("The body is not JSON.")),
        ("bad_key", Reason::Malformed, malformed(idempotency_key::SYNTAX)),
        ("unknown_field", Reason::Validation, field("@FIELD@", "is not known here")),
        ("bad_quantity", Reason::Validation, field("quantity", bad_quantity)),
        ("over_limit", Reason::Validation, field("quantity", &over_limit)),
    ]
}

fn text(body: &[u8]) -> String {
    String::from_utf8(body.to_vec()).expect("JSON is UTF-8")
}
