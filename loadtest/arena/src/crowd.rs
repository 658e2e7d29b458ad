//! The buyers. A password hash costs some 30 ms, so most share one and get their tokens minted here, with the gateway's own
//! key; a few register and log in like people.

use std::net::Ipv4Addr;

use loadtest::http::Json;
use loadtest::{Buyer, loopback_sources};
use serde_json::json;
use spike_config::AuthConfig;
use spike_domain::clock::now_ms;
use spike_domain::{Role, SessionId, UserId};
use spike_gateway::tokens::Tokens;
use spike_store::Store;
use tokio::task::JoinSet;

use super::stage::{CALL, number, password, text};

/// How many register and log in over HTTP.
const REGISTERING: u32 = 50;
/// How many of them at once.
const AT_ONCE: u32 = 8;

/// How many of `users` register over HTTP.
pub fn registering(users: u32) -> u32 {
    users.min(REGISTERING)
}

/// The accounts of a sale's buyers, those that register aside.
pub struct Crowd {
    name: String,
    users: u32,
    inserted: Vec<UserId>,
    password: String,
}

impl Crowd {
    /// E-mail and password of `count` of those that do not register, or of all of them where there are fewer.
    pub fn accounts(&self, count: usize) -> Vec<(String, String)> {
        let account = |number| (Store::load_email(&self.name, number), self.password.clone());
        (0..count.min(self.inserted.len())).map(account).collect()
    }
}

/// Puts all of `users` that do not register into the database, all at once.
///
/// # Errors
/// When the database refuses.
pub async fn insert(store: &Store, auth: &AuthConfig, users: u32) -> anyhow::Result<Crowd> {
    let name = format!("demo-{}-{}", std::process::id(), now_ms());
    let count = (users - registering(users)) as usize;
    let password = password();
    let hash = spike_gateway::control::hash_now(auth, &password)?;
    let inserted = if count > 0 { store.bulk_insert_users(&name, count, &hash).await? } else { Vec::new() };
    Ok(Crowd { name, users, inserted, password })
}

/// Every buyer with a token, spread over `sources` loopback addresses; the others register now.
///
/// # Errors
/// When the gateway refuses.
pub async fn gather(crowd: Crowd, tokens: &Tokens, base: &str, sources: usize) -> anyhow::Result<Vec<Buyer>> {
    let mut known = register_all(base, &crowd.name, registering(crowd.users)).await?;
    let now_s = now_ms() / 1000;
    let token = |id| (id, tokens.mint(id, Role::User, SessionId::new(now_ms()), 0, now_s));
    known.extend(crowd.inserted.into_iter().map(token));
    let sources: Vec<Ipv4Addr> = loopback_sources(sources).collect();
    let buyer = |(at, (user, token)): (usize, _)| Buyer { user, token, source: sources[at % sources.len()] };
    Ok(known.into_iter().enumerate().map(buyer).collect())
}

async fn register_all(base: &str, crowd: &str, count: u32) -> anyhow::Result<Vec<(UserId, String)>> {
    let mut tasks = JoinSet::new();
    for first in 0..AT_ONCE.min(count) {
        let (base, crowd) = (base.to_owned(), crowd.to_owned());
        tasks.spawn(async move {
            let mut api = Json::new(&base, CALL).await?;
            let mut known = Vec::new();
            for number in (first..count).step_by(AT_ONCE as usize) {
                known.push(register(&mut api, &format!("{crowd}-real-{number}@demo.invalid")).await?);
            }
            anyhow::Ok(known)
        });
    }
    let mut all = Vec::new();
    while let Some(known) = tasks.join_next().await {
        all.extend(known??);
    }
    Ok(all)
}

async fn register(api: &mut Json, email: &str) -> anyhow::Result<(UserId, String)> {
    let account = json!({ "email": email, "password": password() });
    api.post("/auth/register", None, &account).await?.data()?;
    let session = api.post("/auth/login", None, &account).await?.data()?;
    Ok((UserId(number(&session["user"], "id")?), text(&session, "access_token")?))
}
