//! A person's spike orders, from the database: the list, and one order that Redis no longer shows. What is no longer shown
//! there does not change soon: a wished wait is over at once, a stream has one event.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use spike_domain::clock::rfc3339;
use spike_domain::{ClaimState, EventId, OrderId, Reason};
use spike_store::SpikeOrderRow;

use super::{Answer, Control, CursorQuery, Identity, Named, NamedPair, Refusal, Result};
use crate::sse;
use crate::wait::wait_of;

/// Newest first; `next_cursor` is null on the last page.
pub(super) async fn list(
    State(control): State<Arc<Control>>,
    identity: Identity,
    query: CursorQuery,
) -> Result<Answer> {
    // One more than asked for tells whether there is a next page.
    let mut rows = control.store.orders_of_user(identity.user, query.cursor, query.page_size + 1).await?;
    let shown = usize::try_from(query.page_size).unwrap_or(usize::MAX);
    let more = rows.len() > shown;
    rows.truncate(shown);
    let next_cursor = rows.last().filter(|_| more).map(|row| row.order);
    let items: Vec<Value> = rows.iter().map(order_view).collect();
    Ok(Answer::ok(json!({ "items": items, "page_size": query.page_size, "next_cursor": next_cursor })))
}

/// One order. Another user's, another event's and an unknown one are the same 404.
pub(super) async fn one(
    State(control): State<Arc<Control>>,
    identity: Identity,
    NamedPair(event, order): NamedPair<EventId, OrderId>,
    _: Patience,
) -> Result<Answer> {
    Ok(Answer::ok(order_view(&found(&control, &identity, event, order).await?)))
}

/// The person's live order in an event that no gateway watches any more, else the last one that ended.
pub(super) async fn mine(
    State(control): State<Arc<Control>>,
    identity: Identity,
    Named(event): Named<EventId>,
    _: Patience,
) -> Result<Answer> {
    let row = control.store.order_in_event(event, identity.user).await?;
    Ok(Answer::ok(order_view(&row.ok_or(Refusal::new(Reason::NotFound))?)))
}

/// The order's state as a stream of one event; 204 to a client that has seen it and nothing follows.
pub(super) async fn events(
    State(control): State<Arc<Control>>,
    identity: Identity,
    NamedPair(event, order): NamedPair<EventId, OrderId>,
    headers: HeaderMap,
) -> Result<Response> {
    let row = found(&control, &identity, event, order).await?;
    let status = ClaimState::from(row.status).as_str();
    if sse::heard_the_end(&headers, status) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let head = [(CONTENT_TYPE, sse::MEDIA_TYPE), (CACHE_CONTROL, "no-store")];
    Ok((head, sse::first(status, &order_view(&row))).into_response())
}

async fn found(
    control: &Control,
    identity: &Identity,
    event: EventId,
    order: OrderId,
) -> Result<SpikeOrderRow> {
    let row = control.store.order_for_user(order, identity.user).await?;
    row.filter(|row| row.event == event).ok_or(Refusal::new(Reason::NotFound))
}

/// A well-formed `?wait=`, or none; it is over at once.
pub(super) struct Patience;

impl<S: Sync> FromRequestParts<S> for Patience {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        wait_of(parts.uri.query()).map(|_| Self).map_err(|field| Refusal::fields(vec![field]))
    }
}

/// An order as its buyer sees it.
pub fn order_view(row: &SpikeOrderRow) -> Value {
    json!({
        "order_id": row.order,
        "event_id": row.event,
        "status": row.status,
        "quantity": row.quantity,
        "price": row.price,
        "amount": row.amount,
        "accepted_at": rfc3339(row.accepted_at_ms),
        "created_at": rfc3339(row.created_at_ms),
        "expires_at": rfc3339(row.expires_at_ms),
        "updated_at": rfc3339(row.updated_at_ms),
    })
}
