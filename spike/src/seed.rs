//! `spike serve --seed`: something to buy on a fresh installation, and the lines that buy it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use loadtest::http::Json;
use spike_arena::stage::{self, OnSale};
use spike_config::Config;
use spike_domain::EventId;
use spike_store::Store;
use tokio::time::{Instant, sleep};

/// From the announcement to the opening.
const LEAD_MS: u64 = 10_000;
/// The longest wait for the gateway and the worker.
const READY: Duration = Duration::from_secs(60);
/// What is on sale.
const ON_SALE: OnSale = OnSale { units: 100, quantity: 1 };

/// Puts a demo sale up once the gateway answers, and prints how to buy. What goes wrong is logged: the process serves anyway.
pub async fn sow(config: Arc<Config>, store: Store) {
    if let Err(error) = plant(&config, &store).await {
        tracing::error!(error = format!("{error:#}"), "--seed has failed");
    }
}

async fn plant(config: &Config, store: &Store) -> anyhow::Result<()> {
    let at = crate::health::reachable(config.http.listen);
    let base = format!("http://{at}/api/v1");
    listening(&base).await?;
    let admin = stage::create_admin(store, &config.auth).await?;
    let token = stage::log_in(&base, &admin).await?;
    let sale = stage::open(&base, &token, ON_SALE, LEAD_MS).await?;
    let ops = crate::health::reachable(config.http.ops_listen);
    println!("admin         {} with password {}", admin.email, admin.password);
    println!(
        "on sale       {} units, event {}, opening in about {} s",
        ON_SALE.units,
        sale.event,
        LEAD_MS / 1000
    );
    println!("\n{}", how_to_buy(&at.to_string(), &ops.to_string(), Some(sale.event)));
    Ok(())
}

async fn listening(base: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + READY;
    loop {
        let mut api = Json::new(base, Duration::from_secs(5)).await?;
        match api.get("/spike/events", None).await.and_then(loadtest::http::JsonAnswer::data) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => bail!("the gateway does not answer: {error}"),
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Lines for a shell: an account, a token, an order, its state, the metrics.
pub fn how_to_buy(http: &str, ops: &str, event: Option<EventId>) -> String {
    let event = event.map_or_else(|| "EVENT".to_owned(), |event| event.to_string());
    let base = format!("http://{http}/api/v1");
    let account = r#"'{"email":"you@example.com","password":"a sentence of your own"}'"#;
    let json = "-H 'Content-Type: application/json'";
    [
        "buy by hand:".to_owned(),
        format!("  curl -s {base}/auth/register {json} -d {account}"),
        format!("  TOKEN=$(curl -s {base}/auth/login {json} -d {account} | sed 's/.*\"access_token\":\"\\([^\"]*\\).*/\\1/')"),
        format!("  curl -si -X POST {base}/spike/events/{event}/orders -H \"Authorization: Bearer $TOKEN\" -H 'Idempotency-Key: first'"),
        format!("  curl -s {base}/spike/orders -H \"Authorization: Bearer $TOKEN\""),
        format!("  curl -s {base}/spike/events/{event}/stats"),
        format!("  curl -s http://{ops}/metrics"),
    ]
    .join("\n")
}
