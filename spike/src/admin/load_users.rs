//! `spike admin load-users`: what the load scripts need of a running shop, in one JSON file: accounts with their tokens, ordinary
//! products with stock, and a sale that is open.
//!
//! A password hash costs some 30 ms, so all accounts share one, and their tokens are minted here with the gateway's own key.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use loadtest::http::Json;
use serde_json::{Value, json};
use spike_arena::stage::{self, Admin, CALL, OnSale};
use spike_config::{Config, Profile, Role as Process};
use spike_domain::clock::{now_ms, rfc3339};
use spike_domain::{EventDef, EventId, OrderId, ProductId, Role, SessionId, UserId};
use spike_gateway::control::hash_now;
use spike_gateway::tokens::Tokens;
use spike_store::{Conflict, NewAudit, Store, StoreError, UserChange};
use tokio::runtime::Builder;

use crate::outcome::Misuse;
use crate::{health, settings};

/// How many of what, and where it is written.
#[derive(clap::Args)]
pub struct Args {
    /// Accounts.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,
    /// The file to write. Only its owner may read it: it holds tokens and a password.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where the API is, such as http://127.0.0.1:8080/api/v1; unless given, the address of the settings.
    #[arg(long, value_name = "URL")]
    base: Option<String>,
    /// Units of the sale.
    #[arg(long, value_name = "UNITS", default_value_t = 1_000_000,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(EventDef::TOTAL_MAX)))]
    event_total: u32,
    /// Products for ordinary orders.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    products: u32,
    /// Units of each of them.
    #[arg(long, value_name = "UNITS", default_value_t = 1_000_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000_000))]
    product_stock: u32,
}

/// Makes all of it and writes the file.
pub fn run(file: Option<&Path>, args: &Args) -> anyhow::Result<ExitCode> {
    let config = settings::load(file)?;
    if config.profile == Profile::Prod {
        return Err(Misuse(
            "load-users makes accounts whose password and tokens are in a file; SPIKE_PROFILE is prod, where it refuses".into(),
        )
        .into());
    }
    config.check_role(Process::Gateway)?;
    let out = create(&args.out).with_context(|| args.out.display().to_string())?;
    Builder::new_current_thread().enable_all().build()?.block_on(prepare(&config, args, out))?;
    Ok(ExitCode::SUCCESS)
}

/// Readable by its owner only, also where it was there before.
fn create(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

async fn prepare(config: &Config, args: &Args, out: File) -> anyhow::Result<()> {
    let here = || format!("http://{}/api/v1", health::reachable(config.http.listen));
    let base = args.base.clone().map_or_else(here, |base| base.trim_end_matches('/').to_owned());
    let mut api = Json::new(&base, CALL).await?;
    let answer = api.get("/spike/events", None).await.and_then(loadtest::http::JsonAnswer::data);
    answer.with_context(|| {
        format!("no gateway serves at {base}: start `spike gateway` and `spike worker` first, or name it by --base")
    })?;

    let database = settings::database(config).await?;
    let store = &database.store;
    let (event, products) = shop(&base, &mut api, store, config, args).await?;
    let prefix = format!("load-{}", OrderId::new(now_ms()));
    let password = stage::password();
    let hash = hash_now(&config.auth, &password)?;
    let users = store.bulk_insert_users(&prefix, args.count as usize, &hash).await?;
    store.close().await;

    let minted_at_ms = now_ms();
    let expires_at_ms = minted_at_ms + (config.auth.access_ttl_s * 1000).min(stage::HOUR_MS);
    let product = |id: &ProductId| json!({ "id": id.0, "price": stage::price() });
    let head = json!({
        "base": base,
        "event": event.0,
        "expires_at_ms": expires_at_ms,
        "password": password,
        "products": products.iter().map(product).collect::<Vec<_>>(),
    });
    let tokens = Tokens::new(&config.auth);
    let users = with_tokens(&tokens, &prefix, &users, minted_at_ms);
    write(BufWriter::new(out), &head, users).with_context(|| args.out.display().to_string())?;
    println!(
        "{}: {} users with tokens, {} products, event {event} with {} units, open now",
        args.out.display(),
        args.count,
        products.len(),
        args.event_total
    );
    println!(
        "good until {}: a token lives {} s (SPIKE_AUTH_ACCESS_TTL_S), the sale an hour; make another file after that",
        rfc3339(expires_at_ms),
        config.auth.access_ttl_s
    );
    Ok(())
}

/// The sale and the products, put up by an administrator who is disabled afterwards.
async fn shop(
    base: &str,
    api: &mut Json,
    store: &Store,
    config: &Config,
    args: &Args,
) -> anyhow::Result<(EventId, Vec<ProductId>)> {
    let admin = stage::create_admin(store, &config.auth).await?;
    let token = stage::log_in(base, &admin).await?;
    let mut products = Vec::new();
    for _ in 0..args.products {
        products.push(stage::create_product(api, &token, args.product_stock).await?);
    }
    let on_sale = OnSale { units: args.event_total, quantity: 1 };
    let sale = stage::open(base, &token, on_sale, 0).await?;
    stage::sells(api, sale.event).await?;
    dismiss(store, &admin, config.auth.token_life_ms()).await?;
    Ok((sale.event, products))
}

/// Nobody knows the password, so that nobody misses the account; the last administrator stays.
async fn dismiss(store: &Store, admin: &Admin, token_life_ms: u64) -> anyhow::Result<()> {
    let change = UserChange { disabled: Some(true), ..UserChange::default() };
    match store.change_user(admin.id, change, token_life_ms, &NewAudit::default()).await {
        Ok(_) | Err(StoreError::Conflict { what: Conflict::LastAdministrator }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What the file says of each user; their e-mails are those of [`Store::bulk_insert_users`].
fn with_tokens(
    tokens: &Tokens,
    prefix: &str,
    users: &[UserId],
    minted_at_ms: u64,
) -> impl Iterator<Item = Value> {
    users.iter().enumerate().map(move |(number, &id)| {
        let token = tokens.mint(id, Role::User, SessionId::new(minted_at_ms), 0, minted_at_ms / 1000);
        json!({ "id": id.0, "email": Store::load_email(prefix, number), "token": token })
    })
}

/// One JSON object: the head on a line, then a user a line, so that a reader without a parser of JSON can take lines.
fn write(mut out: impl Write, head: &Value, users: impl Iterator<Item = Value>) -> std::io::Result<()> {
    let head = head.to_string();
    write!(out, "{},\"users\":[", head.strip_suffix('}').expect("an object"))?;
    for (number, user) in users.enumerate() {
        write!(out, "{}\n{user}", if number == 0 { "" } else { "," })?;
    }
    writeln!(out, "\n]}}")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_one_json_object_with_a_user_a_line() {
        let config = Config::load(None, std::iter::empty::<(String, String)>()).expect("the defaults");
        let tokens = Tokens::new(&config.auth);
        let users = [UserId(7), UserId(9)];
        let mut file = Vec::new();
        let head = json!({ "event": 1, "base": "http://h/api/v1" });
        write(&mut file, &head, with_tokens(&tokens, "load-x", &users, now_ms())).expect("memory");

        let text = String::from_utf8(file).expect("UTF-8");
        let whole: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&whole["event"], &whole["base"]), (&head["event"], &head["base"]));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        for (at, (id, email)) in
            [(7, "load-x-00000000@load.invalid"), (9, "load-x-00000001@load.invalid")].into_iter().enumerate()
        {
            let user: Value = serde_json::from_str(lines[at + 1].trim_end_matches(',')).expect("JSON");
            assert_eq!(
                (&user, &user["id"], &user["email"]),
                (&whole["users"][at], &id.into(), &email.into())
            );
            assert_eq!(user["token"].as_str().expect("a token").split('.').count(), 3);
        }
    }
}
