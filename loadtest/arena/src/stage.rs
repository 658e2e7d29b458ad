//! What an operator does before a sale, over the same API as everybody.

use std::time::Duration;

use anyhow::{Context, bail};
use loadtest::http::Json;
use serde_json::{Value, json};
use spike_config::AuthConfig;
use spike_domain::clock::{now_ms, rfc3339};
use spike_domain::{EventId, OrderId, ProductId, Role, UserId};
use spike_store::{NewUser, Store};
use tokio::time::{Instant, sleep};

/// The sale's length, and the time to pay: nothing ends by itself while the demo runs.
pub const HOUR_MS: u64 = 3_600_000;
/// What one unit costs, in minor units of [`CURRENCY`].
const PRICE_MINOR: i64 = 4_999;
/// ISO 4217.
const CURRENCY: &str = "EUR";
/// The longest call: a warm-up waits for the worker.
pub const CALL: Duration = Duration::from_secs(20);

/// What is sold.
#[derive(Clone, Copy)]
pub struct OnSale {
    /// Units.
    pub units: u32,
    /// Units one buyer may hold.
    pub quantity: u32,
}

/// An event that will open.
pub struct Opening {
    /// The event.
    pub event: EventId,
    /// When, Unix milliseconds.
    pub start_at_ms: u64,
}

/// With which an administrator logs in.
pub struct Admin {
    /// Its account.
    pub id: UserId,
    /// Its address.
    pub email: String,
    /// Its password.
    pub password: String,
}

/// Creates an administrator in the database, as `spike admin create-user` does.
///
/// # Errors
/// When the database refuses.
pub async fn create_admin(store: &Store, auth: &AuthConfig) -> anyhow::Result<Admin> {
    let email = format!("admin-{}-{}@demo.invalid", std::process::id(), now_ms());
    let password = password();
    let user = NewUser {
        email: email.clone(),
        name: "Demo".to_owned(),
        password_hash: spike_gateway::control::hash_now(auth, &password)?,
        role: Role::Admin,
    };
    let id = store.create_user(user).await?;
    Ok(Admin { id, email, password })
}

/// A token of an administrator.
///
/// # Errors
/// When the gateway refuses.
pub async fn log_in(base: &str, admin: &Admin) -> anyhow::Result<String> {
    let mut api = Json::new(base, CALL).await?;
    let account = json!({ "email": admin.email, "password": admin.password });
    let session = api.post("/auth/login", None, &account).await?.data()?;
    text(&session, "access_token")
}

/// Puts a new product on sale, to open in `lead_ms`, and warms the sale up, until the gateway announces it.
///
/// # Errors
/// When the gateway refuses, or does not announce the event in time.
pub async fn open(base: &str, admin: &str, on_sale: OnSale, lead_ms: u64) -> anyhow::Result<Opening> {
    let mut api = Json::new(base, CALL).await?;
    let product = create_product(&mut api, admin, on_sale.units).await?;
    let start_at_ms = now_ms() + lead_ms;
    let event = json!({
        "product_id": product,
        "name": "Demo sale",
        "price": price(),
        "total": on_sale.units,
        "per_user_limit": on_sale.quantity,
        "pay_timeout_s": HOUR_MS / 1000,
        "starts_at": rfc3339(start_at_ms),
        "ends_at": rfc3339(start_at_ms + HOUR_MS),
    });
    let event = api.post("/admin/spike/events", Some(admin), &event).await?.data()?;
    let event = EventId(number(&event, "id")?);
    api.post(&format!("/admin/spike/events/{event}/warmup"), Some(admin), &json!({})).await?.data()?;
    announced(&mut api, event).await?;
    Ok(Opening { event, start_at_ms })
}

/// Waits until a press of buy comes as far as its token, which is the last question before the stock.
///
/// # Errors
/// When it does not in time.
pub async fn sells(api: &mut Json, event: EventId) -> anyhow::Result<()> {
    let deadline = Instant::now() + CALL;
    loop {
        let answer = api.post(&format!("/spike/events/{event}/orders"), None, &json!({})).await?;
        match answer.status {
            401 => return Ok(()),
            status if Instant::now() >= deadline => {
                bail!("event {event} does not sell: {status} {}", answer.body)
            }
            _ => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Creates a product with `units` in stock.
///
/// # Errors
/// When the gateway refuses.
pub async fn create_product(api: &mut Json, admin: &str, units: u32) -> anyhow::Result<ProductId> {
    let product = json!({
        "sku": format!("DEMO-{}", OrderId::new(now_ms())),
        "name": "A thing everybody wants",
        "price": price(),
        "stock": units,
    });
    let product = api.post("/products", Some(admin), &product).await?.data()?;
    Ok(ProductId(number(&product, "id")?))
}

/// What one unit costs, as the API has it.
pub fn price() -> Value {
    json!({ "minor": PRICE_MINOR, "currency": CURRENCY })
}

/// A password nobody knows.
pub fn password() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(20).collect()
}

/// A text field of an answer.
pub fn text(value: &Value, name: &str) -> anyhow::Result<String> {
    value[name].as_str().map(str::to_owned).with_context(|| format!("an answer without {name}: {value}"))
}

/// An integer field of an answer.
pub fn number(value: &Value, name: &str) -> anyhow::Result<i64> {
    value[name].as_i64().with_context(|| format!("an answer without {name}: {value}"))
}

/// Waits until the hot cores know the event, which they learn a moment after the database.
async fn announced(api: &mut Json, event: EventId) -> anyhow::Result<()> {
    let deadline = Instant::now() + CALL;
    while api.get(&format!("/spike/events/{event}"), None).await?.status != 200 {
        if Instant::now() >= deadline {
            bail!("the gateway does not announce event {event}");
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
