//! A person's spike orders, from the database: the list, and one order that Redis no longer shows.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};
use spike_domain::clock::rfc3339;
use spike_domain::{EventId, OrderId, Reason};
use spike_store::SpikeOrderRow;

use super::{Answer, Control, CursorQuery, Identity, NamedPair, Refusal, Result};

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
) -> Result<Answer> {
    let row = control.store.order_for_user(order, identity.user).await?;
    let row = row.filter(|row| row.event == event).ok_or(Refusal::new(Reason::NotFound))?;
    Ok(Answer::ok(order_view(&row)))
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
