//! The one place where administrators' actions are put on record: around every route of the table that is theirs and
//! changes something, so that a new one is recorded without a line in its handler.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::LOCATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use serde_json::{Map, Value, json};
use spike_domain::UserId;
use spike_store::{AuditTarget, NewAudit};
use tracing::Instrument;

use super::render::Unrendered;
use super::{Control, Origin, Refusal, Route};

/// Marks an answer whose change was recorded in its own transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct InItsTransaction;

/// Characters of an id that is recorded as the target; a longer one names nothing of ours.
const ID_CHARS_MAX: usize = 64;

/// Runs an administrator's request and records it, in a task of its own: a client that hangs up, or a deadline, ends
/// neither the change half way nor the record of it.
pub(super) async fn carry_out(
    control: Arc<Control>,
    route: Route,
    actor: UserId,
    request: Request,
    next: Next,
) -> Response {
    let origin = Origin::of(request.extensions());
    let path = request.uri().path().to_owned();
    let work = async move {
        let outcome = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        let line = line(route, actor, &origin, &path, outcome.as_ref().ok());
        if let Some(line) = line {
            record(&control, line).await;
        }
        outcome
    };
    match tokio::spawn(work.instrument(tracing::Span::current())).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => resume_unwind(panic),
        Err(error) => Refusal::internal(error).into_response(),
    }
}

async fn record(control: &Control, line: NewAudit) {
    if let Err(error) = control.store.record_audit(line.clone()).await {
        // The log is the next best place for it.
        tracing::error!(%error, ?line, "an administrator's action could not be recorded");
    }
}

/// What is to be recorded, if it is not yet; `response` is `None` for a handler that panicked.
fn line(
    route: Route,
    actor: UserId,
    origin: &Origin,
    path: &str,
    response: Option<&Response>,
) -> Option<NewAudit> {
    if response.is_some_and(|response| response.extensions().get::<InItsTransaction>().is_some()) {
        return None;
    }
    let (status, reason) = response.map_or((500, None), outcome);
    let ids = ids(route.path, path);
    let target = response.and_then(made).or_else(|| {
        let (kind, id) = ids.last()?;
        is_id(id).then(|| AuditTarget::new(*kind, *id))
    });
    let named: Map<String, Value> =
        ids.iter().map(|(kind, id)| ((*kind).to_owned(), cut(id).into())).collect();
    let mut detail = json!({ "status": status, "ids": named });
    if let Some(reason) = reason {
        detail["reason"] = reason.into();
    }
    let action = format!("{} {}", route.method, route.path);
    Some(origin.audit(Some(actor), action, target, &detail))
}

/// Status and reason of an answer that has no bytes yet.
fn outcome(response: &Response) -> (u16, Option<&'static str>) {
    match response.extensions().get::<Unrendered>() {
        Some(Unrendered::Refusal(refusal)) => (refusal.reason.status(), Some(refusal.reason.as_str())),
        _ => (response.status().as_u16(), None),
    }
}

/// What an answer says it has made: `…/events/7` is the event 7.
fn made(response: &Response) -> Option<AuditTarget> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let mut parts = location.rsplit('/');
    let (id, kind) = (parts.next()?, parts.next()?);
    is_id(id).then(|| AuditTarget::new(kind.strip_suffix('s').unwrap_or(kind), id))
}

/// The ids of a path by their names in the table's, as the client wrote them.
fn ids<'a>(template: &'static str, path: &'a str) -> Vec<(&'static str, &'a str)> {
    let names =
        template.split('/').map(|part| part.strip_prefix('{').and_then(|part| part.strip_suffix('}')));
    names.zip(path.split('/')).filter_map(|(name, part)| Some((name?, part))).collect()
}

fn is_id(text: &str) -> bool {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plain && (1..=ID_CHARS_MAX).contains(&text.len())
}

fn cut(text: &str) -> String {
    text.chars().take(ID_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Answer;

    #[test]
    fn a_target_is_what_was_made_or_what_the_path_names() {
        let answer = Answer::created("/api/v1/spike/events/12", 0).into_response();
        assert_eq!(made(&answer), Some(AuditTarget::new("event", "12")));
        assert_eq!(outcome(&answer), (201, None));
        let refusal = Refusal::new(spike_domain::Reason::Conflict).into_response();
        assert_eq!((made(&refusal), outcome(&refusal)), (None, (409, Some("conflict"))));
        let template = "/api/v1/a/{event}/b/{order}";
        assert_eq!(ids(template, "/api/v1/a/7/b/x%00"), [("event", "7"), ("order", "x%00")]);
        for (id, want) in [("7", true), ("0190f6f0-0000", true), ("", false), ("a b", false), ("x%00", false)]
        {
            assert_eq!(is_id(id), want, "{id:?}");
        }
        assert!(!is_id(&"7".repeat(65)));
    }
}
