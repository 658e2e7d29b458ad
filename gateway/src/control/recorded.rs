//! The one place where administrators' actions are put on record: around every route of the table that is theirs and
//! changes something, so that a new one is recorded without a line in its handler.
//!
//! The row is written before the action, of an outcome that is not known, and completed after it: a gateway that dies in
//! between leaves a row that says so, never an action without a row. What cannot be put on record is not done. A route that
//! records its change in the change's own transaction needs no row before; what it refuses is recorded after.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::LOCATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use serde_json::{Map, Value, json};
use spike_domain::UserId;
use spike_store::{AuditTarget, NewAudit, Outcome};
use spike_telemetry::Arrow;
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
    let wish = wish(route, actor, &origin, request.uri().path());
    let work = async move {
        let row = match route.in_its_transaction() {
            true => None,
            false => match control.store.begin_audit(&wish).await {
                Ok(row) => Some(row),
                Err(error) => return Ok(Refusal::from(error).into_response()),
            },
        };
        let outcome = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        Arrow::GatewayActed.pass();
        if let Some(ending) = ending(row, &wish, outcome.as_ref().ok()) {
            complete(&control, row, &wish, &ending).await;
        }
        outcome
    };
    match tokio::spawn(work.instrument(tracing::Span::current())).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => resume_unwind(panic),
        Err(error) => Refusal::internal(error).into_response(),
    }
}

/// The row as it is before the action.
fn wish(route: Route, actor: UserId, origin: &Origin, path: &str) -> NewAudit {
    let ids = ids(route.path, path);
    let target = ids.last().filter(|(_, id)| is_id(id)).map(|(kind, id)| AuditTarget::new(*kind, *id));
    let named: Map<String, Value> =
        ids.iter().map(|(kind, id)| ((*kind).to_owned(), cut(id).into())).collect();
    let action = format!("{} {}", route.method, route.path);
    origin.audit(Some(actor), action, target, &json!({ "ids": named }))
}

/// What the row says after the action.
#[derive(Debug)]
struct Ending {
    target: Option<AuditTarget>,
    detail: String,
    outcome: Outcome,
}

/// How it ended, unless that is on record already; `response` is `None` for a handler that panicked.
fn ending(row: Option<i64>, wish: &NewAudit, response: Option<&Response>) -> Option<Ending> {
    let recorded = response.is_some_and(|response| response.extensions().get::<InItsTransaction>().is_some());
    if row.is_none() && recorded {
        return None;
    }
    let (status, reason) = response.map_or((500, None), status_and_reason);
    let target = response.and_then(made).or_else(|| wish.target.clone());
    Some(Ending { target, detail: with_status(&wish.detail, status, reason), outcome: outcome(status) })
}

async fn complete(control: &Control, row: Option<i64>, wish: &NewAudit, ending: &Ending) {
    let store = &control.store;
    let written = async {
        let row = match row {
            Some(row) => row,
            None => store.begin_audit(wish).await?,
        };
        store.finish_audit(row, ending.target.as_ref(), &ending.detail, ending.outcome).await
    };
    if let Err(error) = written.await {
        // The row stays as it is; the log is the next best place for what it does not say.
        tracing::error!(%error, ?wish, ?ending, "how an administrator's action ended could not be recorded");
    }
}

fn with_status(detail: &str, status: u16, reason: Option<&'static str>) -> String {
    let mut detail: Value = serde_json::from_str(detail).expect("what was written a moment ago");
    detail["status"] = status.into();
    if let Some(reason) = reason {
        detail["reason"] = reason.into();
    }
    detail.to_string()
}

fn outcome(status: u16) -> Outcome {
    match status {
        ..400 => Outcome::Done,
        400..500 => Outcome::Refused,
        500.. => Outcome::Failed,
    }
}

/// Status and reason of an answer that has no bytes yet.
fn status_and_reason(response: &Response) -> (u16, Option<&'static str>) {
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
        assert_eq!(status_and_reason(&answer), (201, None));
        let refusal = Refusal::new(spike_domain::Reason::Conflict).into_response();
        assert_eq!((made(&refusal), status_and_reason(&refusal)), (None, (409, Some("conflict"))));
        let template = "/api/v1/a/{event}/b/{order}";
        assert_eq!(ids(template, "/api/v1/a/7/b/x%00"), [("event", "7"), ("order", "x%00")]);
        for (id, want) in [("7", true), ("0190f6f0-0000", true), ("", false), ("a b", false), ("x%00", false)]
        {
            assert_eq!(is_id(id), want, "{id:?}");
        }
        assert!(!is_id(&"7".repeat(65)));
        let wanted = [Outcome::Done, Outcome::Done, Outcome::Refused, Outcome::Failed];
        assert_eq!([201, 304, 499, 500].map(super::outcome), wanted);
        let detail = with_status(r#"{"ids":{"event":"7"}}"#, 409, Some("conflict"));
        assert_eq!(detail, r#"{"ids":{"event":"7"},"reason":"conflict","status":409}"#);
    }
}
