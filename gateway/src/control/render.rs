//! The outermost layer: gives every request an id, and turns what a handler said into bytes.
//!
//! Handlers, extractors, the panic catcher and the fallbacks say *what*, as an [`Unrendered`] in the response's
//! extensions; only here request id and `Accept` are known, so only here bytes are made.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use spike_domain::{Reason, TraceContext};
use spike_trace::{Current, Kind, Span, Traces, new_span_id};
use tracing::Instrument;
use uuid::Uuid;

use super::accept::{Form, form};
use super::cache::Cached;
use super::origin::RequestId;
use super::preconditions::Known;
use super::refusal::Refusal;
use crate::envelope;
use crate::rate_limit::Policy;
use crate::trace_context::{self, TRACERESPONSE};

/// Carries the request id, both ways.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id that is taken over from a client.
const REQUEST_ID_CHARS_MAX: usize = 64;

/// Makes the bytes once the request id is known.
type Build = Arc<dyn Fn(&str) -> Vec<u8> + Send + Sync>;

/// An answer that has no bytes yet.
#[derive(Clone)]
pub(super) enum Unrendered {
    /// Builds the envelope for a request id.
    Answer(Build),
    /// Is built in the form the client accepts.
    Refusal(Arc<Refusal>),
}

/// A handler's success: status, headers and data.
pub struct Answer(Response);

impl Answer {
    /// 200.
    pub fn ok(data: impl Serialize + Send + Sync + 'static) -> Self {
        let build = move |request_id: &str| envelope::ok(&data, Some(request_id));
        Self(Unrendered::Answer(Arc::new(build)).into_response())
    }

    /// 201 with the place of what was made.
    pub fn created(location: &str, data: impl Serialize + Send + Sync + 'static) -> Self {
        let Self(mut response) = Self::ok(data);
        *response.status_mut() = StatusCode::CREATED;
        if let Ok(value) = HeaderValue::from_str(location) {
            response.headers_mut().insert(axum::http::header::LOCATION, value);
        }
        Self(response)
    }

    /// 200 with data from the cache, or 304 for a client that has it. `max_age` seconds are the client's own to keep it.
    pub fn cached(known: &Known, cached: Cached, max_age: Option<u32>) -> Self {
        let tag = cached.tag.clone();
        let Self(response) = Self::unless_known(known, &tag, || {
            let build = move |request_id: &str| envelope::ok_of_json(&cached.json, request_id);
            Self(Unrendered::Answer(Arc::new(build)).into_response())
        });
        let answer = Self(response);
        match max_age {
            Some(seconds) => answer.with_max_age(seconds),
            None => answer,
        }
    }

    /// Anybody may keep it for so many seconds.
    #[must_use]
    pub fn with_max_age(self, seconds: u32) -> Self {
        let Self(mut response) = self;
        if let Ok(value) = HeaderValue::try_from(format!("public, max-age={seconds}")) {
            response.headers_mut().insert(CACHE_CONTROL, value);
        }
        Self(response)
    }

    /// 204, for what is gone.
    pub fn no_content() -> Self {
        Self(StatusCode::NO_CONTENT.into_response())
    }

    /// With the tag of its version, which must be asked for again each time.
    #[must_use]
    pub fn with_tag(self, tag: &str) -> Self {
        let Self(mut response) = self;
        if let Ok(value) = HeaderValue::from_str(tag) {
            response.headers_mut().insert(ETAG, value);
        }
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Self(response)
    }

    /// What `answer` says with its tag, or 304 for a client that has it.
    pub fn unless_known(known: &Known, tag: &str, answer: impl FnOnce() -> Self) -> Self {
        let answer = if known.has(tag) { Self(StatusCode::NOT_MODIFIED.into_response()) } else { answer() };
        answer.with_tag(tag)
    }
}

impl Answer {
    /// Tells the layers around the handler something that no client sees.
    #[must_use]
    pub(super) fn with_extension(self, extension: impl Clone + Send + Sync + 'static) -> Self {
        let Self(mut response) = self;
        response.extensions_mut().insert(extension);
        Self(response)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        self.0
    }
}

impl IntoResponse for Unrendered {
    fn into_response(self) -> Response {
        let mut response = StatusCode::OK.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The layer.
pub(super) async fn render(
    State(traces): State<Option<Arc<Traces>>>,
    path: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Response {
    let request_id = request_id(request.headers());
    let form = form(request.headers());
    let parent = trace_context::of(request.headers());
    let context = match &traces {
        Some(traces) => Some(traces.begin(parent)),
        None => parent.map(|parent| parent.at(new_span_id())),
    };
    let traced = traces.zip(context).map(|(traces, context)| {
        let route = path.as_ref().map_or("none", MatchedPath::as_str);
        (traces, request_span(context, parent, request.method().as_str(), route, &request_id))
    });
    let current = traced.as_ref().and_then(|(traces, span)| Current::new(traces, span.context));
    let (method, path) = (request.method(), request.uri().path());
    let trace_id = context.map(|context| format!("{:032x}", context.trace_id));
    let span = tracing::info_span!("request", %request_id, trace_id, %method, path);
    request.extensions_mut().insert(RequestId(request_id.clone()));
    // Pages and files outside the API are sent as they are, whatever is accepted.
    let strict = request.uri().path().starts_with("/api/");
    let mut response = if strict && form == Form::NotAcceptable {
        Refusal::new(Reason::NotAcceptable).into_response()
    } else {
        Current::within(current, next.run(request).instrument(span.clone())).await
    };
    match response.extensions_mut().remove::<Unrendered>() {
        Some(Unrendered::Answer(build)) => {
            fill(&mut response, envelope::JSON, build(&request_id));
        }
        Some(Unrendered::Refusal(refusal)) => {
            span.in_scope(|| refusal.log());
            refuse(&mut response, &refusal, form, &request_id);
        }
        None => {}
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    if let (Some(context), Some(_)) = (context, parent) {
        response.headers_mut().insert(TRACERESPONSE, trace_context::response(context));
    }
    if let Some((traces, span)) = traced {
        answered(&traces, span, response.status());
    }
    response
}

/// Few names: the route's pattern, and what is in the path is left out.
fn request_span(
    context: TraceContext,
    parent: Option<TraceContext>,
    method: &str,
    route: &str,
    request_id: &str,
) -> Span {
    let parent = parent.map(|parent| parent.span_id);
    let mut span = Span::begin(context, Kind::Server, format!("{method} {route}"))
        .with("http.request.method", method.to_owned())
        .with("http.route", route.to_owned())
        .with("spike.request_id", request_id.to_owned());
    (span.context, span.parent) = (context, parent);
    span
}

/// Kept where its trace is recorded, or it failed or took long; in the latter case without its SQL.
fn answered(traces: &Traces, span: Span, status: StatusCode) {
    let span = span.ended().with("http.response.status_code", i64::from(status.as_u16()));
    let took = span.end.duration_since(span.start).unwrap_or_default();
    if span.context.sampled || traces.keeps(status.is_server_error(), took) {
        let error = status.is_server_error().then(|| format!("status {}", status.as_u16()));
        traces.record(Span { error, ..span });
    }
}

fn refuse(response: &mut Response, refusal: &Refusal, form: Form, request_id: &str) {
    let Refusal { reason, detail, ref errors, ref data, .. } = *refusal;
    *response.status_mut() =
        StatusCode::from_u16(reason.status()).expect("the dictionary has true statuses only");
    let headers = response.headers_mut();
    if let Some(seconds) = refusal.retry_after_s.or(envelope::retry_after_s(reason)) {
        headers.insert(RETRY_AFTER, seconds.into());
        if reason == Reason::TooManyRequests {
            let policy = Policy { name: "tries", quota: 1, window_s: seconds };
            headers.extend(policy.headers(seconds));
        }
    }
    if reason.status() == 401 {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    let data = data.clone();
    let (media_type, body) = match form {
        Form::Problem => {
            (envelope::PROBLEM_JSON, envelope::problem(reason, detail, errors, data, Some(request_id)))
        }
        Form::Envelope | Form::NotAcceptable => {
            (envelope::JSON, envelope::error(reason, detail, errors, data, Some(request_id)))
        }
    };
    fill(response, media_type, body);
}

fn fill(response: &mut Response, media_type: &'static str, body: Vec<u8>) {
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH); // of the empty body the handler's answer had
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    *response.body_mut() = Body::from(body);
}

/// The client's id if it is harmless in logs and headers, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let harmless = |id: &&str| {
        (1..=REQUEST_ID_CHARS_MAX).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok()).filter(harmless);
    given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_request_ids_are_taken_over() {
        let longest = "x".repeat(64);
        let too_long = "x".repeat(65);
        for (given, kept) in [
            ("abc-1.2_Z", true),
            (longest.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            ("a b", false),
            ("a\"b", false),
            ("ä", false),
            ("a\tb", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(given.as_bytes()).unwrap());
            let id = request_id(&headers);
            assert_eq!(id == given, kept, "{given:?}");
            assert!((1..=64).contains(&id.len()));
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }
}
