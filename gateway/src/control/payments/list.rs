//! `GET /admin/payments`: attempts to pay of everybody, so that refunds that are due or have failed are seen.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use serde_json::{Value, json};
use spike_domain::{AttemptId, AttemptStatus};
use spike_store::PaymentAttempt;

use crate::control::order_history::payment_view;
use crate::control::query::Parameters;
use crate::control::{Admin, Answer, Control, Refusal, Result};

/// `cursor`, `page_size`, and `status`: only attempts that stand so.
#[derive(Debug)]
pub(in crate::control) struct PaymentsQuery {
    cursor: Option<AttemptId>,
    page_size: u32,
    status: Option<AttemptStatus>,
}

impl<S: Sync> FromRequestParts<S> for PaymentsQuery {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let mut query = Parameters::of(parts)?;
        let page_size = query.page_size();
        let cursor = query.order("cursor").map(|order| AttemptId(order.0));
        let words = AttemptStatus::ALL.map(|status| (status.as_str(), status));
        let status = query.one_of("status", &words);
        query.finish(Self { cursor, page_size, status })
    }
}

/// Newest first; `next_cursor` is null on the last page.
pub(in crate::control) async fn list(
    _: Admin,
    State(control): State<Arc<Control>>,
    query: PaymentsQuery,
) -> Result<Answer> {
    let PaymentsQuery { cursor, page_size, status } = query;
    // One more than asked for tells whether there is a next page.
    let mut rows = control.store.payments(status, cursor, page_size + 1).await?;
    let shown = usize::try_from(page_size).unwrap_or(usize::MAX);
    let more = rows.len() > shown;
    rows.truncate(shown);
    let next_cursor = rows.last().filter(|_| more).map(|row| row.attempt);
    let items: Vec<Value> = rows.iter().map(view).collect();
    Ok(Answer::ok(json!({ "items": items, "page_size": page_size, "next_cursor": next_cursor })))
}

/// What its buyer sees, and whose it is.
fn view(row: &PaymentAttempt) -> Value {
    let mut view = payment_view(row);
    view["order_id"] = json!(row.order);
    view["event_id"] = json!(row.event);
    view["user_id"] = json!(row.user);
    view
}
