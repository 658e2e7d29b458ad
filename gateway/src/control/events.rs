//! `/spike/events`: announcing sales and looking at them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::IF_MATCH;
use serde_json::{Value, json};
use spike_domain::clock::rfc3339;
use spike_domain::{EventDef, EventId, ProductId, Reason, Window};
use spike_store::{Conflict, EventChange, EventRow, Expected, NewEvent, StoreError};

use super::cache::{Cached, Key, Loaded, Topic};
use super::event_query::EventQuery;
use super::preconditions::{IfMatch, Known, tag_of};
use super::products::{LIST_MAX_AGE_S, PRICE_MINOR_MAX};
use super::{Admin, Answer, Control, Fields, Named, PageQuery, Refusal, Result, inventory};
use crate::local::page::{Shown, event_page};

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
    tell_gateways(&control, id).await;
    inventory::moved(&control, [row.def.product_id]).await;
    let created = Answer::created(&format!("/api/v1/spike/events/{id}"), event_view(&row));
    Ok(created.with_tag(&tag_of(row.version)))
}

/// Body: any of `name`, `price`, `total`, `per_user_limit`, `pay_timeout_s`, `starts_at`, `ends_at`; what is absent or null
/// stays. Only while the event is scheduled and has not started; its product never changes. Needs `If-Match`: the version,
/// or the tag of the event's page.
pub(super) async fn change(
    Admin(admin): Admin,
    State(control): State<Arc<Control>>,
    Named(event): Named<EventId>,
    IfMatch(expected): IfMatch,
    headers: HeaderMap,
    mut body: Fields,
) -> Result<Answer> {
    let change = EventChange {
        name: body.optional_text("name", 1..=200),
        price: body.optional_money("price", PRICE_MINOR_MAX),
        total: body.optional_count("total", 1..=EventDef::TOTAL_MAX),
        per_user_limit: body.optional_count("per_user_limit", 1..=EventDef::PER_USER_LIMIT_MAX),
        pay_timeout_s: body.optional_count("pay_timeout_s", 1..=EventDef::PAY_TIMEOUT_S_MAX),
        starts_at_ms: body.optional_moment("starts_at"),
        ends_at_ms: body.optional_moment("ends_at"),
    };
    body.finish()?;
    let version = seen(&expected, &headers, &found(&control, event).await?)?;
    let changed = control.store.change_event(event, &change, version, Some(admin.user)).await;
    let row = changed.map_err(|error| match error {
        StoreError::Conflict { what: Conflict::Window } => {
            Refusal::field("ends_at", "must be after starts_at")
        }
        other => refused(other, "Only a scheduled event that has not started can be changed."),
    })?;
    tell_gateways(&control, event).await;
    inventory::moved(&control, [row.def.product_id]).await;
    Ok(Answer::ok(event_view(&row)).with_tag(&tag_of(row.version)))
}

/// Deletes an event that was never warmed up; its units go back to the inventory. Needs `If-Match`. 204.
pub(super) async fn delete(
    Admin(admin): Admin,
    State(control): State<Arc<Control>>,
    Named(event): Named<EventId>,
    IfMatch(expected): IfMatch,
    headers: HeaderMap,
) -> Result<Answer> {
    let row = found(&control, event).await?;
    let version = seen(&expected, &headers, &row)?;
    let deleted = control.store.delete_event(event, version, Some(admin.user)).await;
    deleted.map_err(|error| {
        refused(error, "Only an event that was never warmed up can be deleted; close it.")
    })?;
    tell_gateways(&control, event).await;
    inventory::moved(&control, [row.def.product_id]).await;
    Ok(Answer::no_content())
}

/// Newest first unless sorted otherwise.
pub(super) async fn list(
    State(control): State<Arc<Control>>,
    EventQuery(list): EventQuery,
    known: Known,
) -> Result<Answer> {
    let store = control.store.clone();
    let load = move || async move {
        let page = store.list_events(&list).await?;
        let items: Vec<Value> = page.items.iter().map(event_view).collect();
        let query = PageQuery { page: list.page, page_size: list.page_size };
        Ok(Loaded { data: Some(query.view(&items, page.total)), tag: None })
    };
    let cached = control.cache.read(Key::events(&list), load).await?;
    Ok(Answer::cached(&known, cached, Some(LIST_MAX_AGE_S)))
}

/// One event from the database: for those too old for the hot cores' snapshot. Tagged by its version, as where it is
/// created and changed, and kept as long as the hot cores' page.
pub(super) async fn one(
    State(control): State<Arc<Control>>,
    Named(event): Named<EventId>,
    known: Known,
) -> Result<Answer> {
    let row = found(&control, event).await?;
    let answer = Answer::unless_known(&known, &tag_of(row.version), || Answer::ok(event_view(&row)));
    Ok(answer.with_max_age(LIST_MAX_AGE_S))
}

/// How long a client may keep the figures of a sale without asking, in seconds.
pub(super) const STATS_MAX_AGE_S: u32 = 1;

/// The sale at this moment, tagged by what it says: stock from Redis, so never older than the answer. Redis away is 503, never "sold out".
/// `in_flight` is the depth of the queue: units accepted whose orders are not settled yet. `pending` and `sold` are the
/// units of unpaid and of paid orders, `returned` those that went back to the inventory after the end.
pub(super) async fn stats(
    State(control): State<Arc<Control>>,
    Named(event): Named<EventId>,
    known: Known,
) -> Result<Answer> {
    let row = found(&control, event).await?;
    let ledger = control.ledger.meta(event).await?;
    let standing = ledger.as_ref().filter(|meta| meta.state.standing());
    let figures = Cached::of_data(&json!({
        "event_id": event,
        "state": row.state,
        "ledger": ledger.as_ref().map(|meta| meta.state),
        "total": row.def.total,
        "stock": standing.and_then(|meta| meta.stock),
        "in_flight": standing.and_then(|meta| meta.inflight),
        "reserved": row.reserved,
        "pending": row.reserved - row.paid,
        "sold": row.paid,
        "returned": row.returned,
        "version": standing.map(|meta| meta.version),
    }));
    Ok(Answer::cached(&known, figures, Some(STATS_MAX_AGE_S)))
}

/// The event's row. Errors: 404.
pub(super) async fn found(control: &Control, event: EventId) -> Result<EventRow> {
    control.store.event(event).await?.ok_or(Refusal::new(Reason::NotFound))
}

/// The version that the client has seen, if it is the present one; `None` where it wants whatever is there.
fn seen(expected: &Expected, headers: &HeaderMap, row: &EventRow) -> Result<Option<u32>> {
    let Expected::OneOf(versions) = expected else { return Ok(None) };
    // The page that the hot cores show is tagged by what it says.
    let page = event_page(&row.def, Shown { state: row.state, stock: None }).etag;
    let names_page = headers
        .get_all(IF_MATCH)
        .iter()
        .any(|value| value.to_str().is_ok_and(|tags| tags.split(',').any(|tag| tag.trim() == page)));
    match versions.contains(&row.version) || names_page {
        true => Ok(Some(row.version)),
        false => Err(Refusal::new(Reason::PreconditionFailed)),
    }
}

fn refused(error: StoreError, detail: &'static str) -> Refusal {
    match error {
        StoreError::Conflict { what: Conflict::EventState } => Refusal::new(Reason::Conflict).detail(detail),
        other => other.into(),
    }
}

/// A lost hint costs the gateways a poll.
async fn tell_gateways(control: &Control, event: EventId) {
    control.cache.changed(&[Topic::Events]).await;
    if let Err(error) = control.ledger.hint(event).await {
        tracing::debug!(%event, %error, "hint not sent");
    }
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
        "version": row.version,
    })
}
