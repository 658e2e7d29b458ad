//! `/spike/events`: announcing sales and looking at them.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};
use spike_domain::clock::rfc3339;
use spike_domain::{EventDef, EventId, ProductId, Reason, Window};
use spike_store::{EventRow, NewEvent, StoreError};

use super::products::PRICE_MINOR_MAX;
use super::{Admin, Answer, Control, Fields, Named, PageQuery, Refusal, Result};

/// Seconds an order may stay unpaid where the creator does not say.
pub(super) const PAY_TIMEOUT_S: u32 = 900;

/// Body: `product_id`, `name`, `price`, `total`, `starts_at`, `ends_at`, `per_user_limit` (optional, 1), `pay_timeout_s`
/// (optional, 900). Takes `total` units out of the product's inventory. 201.
pub(super) async fn create(
    Admin(admin): Admin,
    State(control): State<Arc<Control>>,
    mut body: Fields,
) -> Result<Answer> {
    let event = NewEvent {
        product_id: ProductId(body.integer("product_id", 1..=i64::MAX)),
        name: body.text("name", 1..=200),
        price: body.money("price", PRICE_MINOR_MAX),
        total: body.count("total", 1..=EventDef::TOTAL_MAX),
        per_user_limit: body.optional_count("per_user_limit", 1..=EventDef::PER_USER_LIMIT_MAX).unwrap_or(1),
        pay_timeout_s: body
            .optional_count("pay_timeout_s", 1..=EventDef::PAY_TIMEOUT_S_MAX)
            .unwrap_or(PAY_TIMEOUT_S),
        window: Window { starts_at_ms: body.moment("starts_at"), ends_at_ms: body.moment("ends_at") },
    };
    let Window { starts_at_ms, ends_at_ms } = event.window;
    if ends_at_ms != 0 && ends_at_ms <= starts_at_ms {
        body.wrong::<()>("ends_at", "must be after starts_at");
    }
    body.finish()?;
    let created = control.store.create_event(event, Some(admin.user)).await;
    let id = created.map_err(|error| match error {
        StoreError::NotFound => Refusal::field("product_id", "names no product"),
        other => other.into(),
    })?;
    let row = control.store.event(id).await?;
    let row = row.ok_or_else(|| Refusal::internal("an event just created is not there"))?;
    Ok(Answer::created(&format!("/api/v1/spike/events/{id}"), event_view(&row)))
}

/// Newest first.
pub(super) async fn list(State(control): State<Arc<Control>>, query: PageQuery) -> Result<Answer> {
    let page = control.store.list_events(query.page, query.page_size).await?;
    let items: Vec<Value> = page.items.iter().map(event_view).collect();
    Ok(Answer::ok(query.view(&items, page.total)))
}

/// One event from the database: for those too old for the hot cores' snapshot.
pub(super) async fn one(State(control): State<Arc<Control>>, Named(event): Named<EventId>) -> Result<Answer> {
    Ok(Answer::ok(event_view(&found(&control, event).await?)))
}

/// The sale at this moment: stock from Redis, so never older than the answer. Redis away is 503, never "sold out".
pub(super) async fn stats(
    State(control): State<Arc<Control>>,
    Named(event): Named<EventId>,
) -> Result<Answer> {
    let row = found(&control, event).await?;
    let ledger = control.ledger.meta(event).await?;
    let standing = ledger.as_ref().filter(|meta| meta.state.standing());
    Ok(Answer::ok(json!({
        "event_id": event,
        "state": row.state,
        "ledger": ledger.as_ref().map(|meta| meta.state),
        "total": row.def.total,
        "stock": standing.and_then(|meta| meta.stock),
        "in_flight": standing.and_then(|meta| meta.inflight),
        "reserved": row.reserved,
        "version": standing.map(|meta| meta.version),
    })))
}

/// The event's row. Errors: 404.
pub(super) async fn found(control: &Control, event: EventId) -> Result<EventRow> {
    control.store.event(event).await?.ok_or(Refusal::new(Reason::NotFound))
}

/// An event as everybody sees it, without its stock.
pub fn event_view(row: &EventRow) -> Value {
    let def = &row.def;
    json!({
        "id": def.id,
        "product_id": def.product_id,
        "name": def.name,
        "price": def.price,
        "total": def.total,
        "per_user_limit": def.per_user_limit,
        "pay_timeout_s": def.pay_timeout_s,
        "starts_at": rfc3339(def.window.starts_at_ms),
        "ends_at": rfc3339(def.window.ends_at_ms),
        "state": row.state,
    })
}
