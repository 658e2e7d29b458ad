//! `GET /admin/audit`: who did what, newest first.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use serde_json::{Value, json};
use spike_domain::UserId;
use spike_domain::clock::rfc3339;
use spike_store::{AuditFilter, AuditRow};

use super::query::Parameters;
use super::{Admin, Answer, Control, Refusal, Result};

/// Characters of an action, and of a target with its kind.
const WORD_CHARS_MAX: usize = 128;

/// `cursor`, `page_size` and what to look for: `actor` (a user id), `action`, `target` (`kind` or `kind:id`).
#[derive(Debug)]
pub(super) struct AuditQuery {
    cursor: Option<i64>,
    page_size: u32,
    filter: AuditFilter,
}

impl<S: Sync> FromRequestParts<S> for AuditQuery {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let mut query = Parameters::of(parts)?;
        let page_size = query.page_size();
        let cursor = query.id("cursor", "must be the next_cursor of the page before");
        let actor = query.id("actor", "must be a user id").map(UserId);
        let action = query.text("action", WORD_CHARS_MAX);
        let target = query.text("target", WORD_CHARS_MAX);
        let (target_kind, target_id) = match target.as_deref().map(|target| target.split_once(':')) {
            Some(Some((kind, id))) => (Some(kind.to_owned()), Some(id.to_owned())),
            _ => (target, None),
        };
        query.finish(Self {
            cursor,
            page_size,
            filter: AuditFilter { actor, action, target_kind, target_id },
        })
    }
}

/// Newest first; `next_cursor` is null on the last page.
pub(super) async fn list(_: Admin, State(control): State<Arc<Control>>, query: AuditQuery) -> Result<Answer> {
    let AuditQuery { cursor, page_size, filter } = query;
    // One more than asked for tells whether there is a next page.
    let mut rows = control.store.audit(&filter, cursor, page_size + 1).await?;
    let shown = usize::try_from(page_size).unwrap_or(usize::MAX);
    let more = rows.len() > shown;
    rows.truncate(shown);
    let next_cursor = rows.last().filter(|_| more).map(|row| row.id);
    let items: Vec<Value> = rows.iter().map(view).collect();
    Ok(Answer::ok(json!({ "items": items, "page_size": page_size, "next_cursor": next_cursor })))
}

fn view(row: &AuditRow) -> Value {
    let what = &row.what;
    let target = what.target.as_ref().map(|target| json!({ "kind": target.kind, "id": target.id }));
    // Ours to write, so JSON; were it not, it would still be shown.
    let detail = serde_json::from_str(&what.detail).unwrap_or_else(|_| Value::from(what.detail.as_str()));
    json!({
        "id": row.id,
        "at": rfc3339(row.at_ms),
        "actor": what.actor,
        "action": what.action,
        "target": target,
        "detail": detail,
        "outcome": row.outcome.as_str(),
        "request_id": what.request_id,
        "address": what.address,
    })
}
