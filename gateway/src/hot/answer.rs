//! A hot answer on its way to bytes: status, body, and the few headers that hot routes send.

use std::cell::Cell;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, CONNECTION,
    CONTENT_TYPE, ETAG, LOCATION, ORIGIN, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use spike_domain::{EventId, OrderId, Reason};

use super::body::HotBody;
use crate::cross_origin::EXPOSED_VALUE;
use crate::envelope::{self, FieldError};
use crate::rate_limit::Policy;

/// Header of the request id, taken or made, always echoed.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Says that an answer is the one given before to the same idempotency key.
pub const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What a hot route answers.
#[derive(Debug, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Why it is a refusal, if it is one.
    pub refused: Option<Reason>,
    /// The body; JSON unless it is empty.
    pub body: Bytes,
    /// `Location`.
    pub location: Option<String>,
    /// `Retry-After`, seconds.
    pub retry_after_s: Option<u32>,
    /// The limit that the request has met, for `RateLimit` and `RateLimit-Policy`.
    pub limit: Option<Box<Policy>>,
    /// `ETag`, with a short public life unless `own`.
    pub etag: Option<String>,
    /// The answer is one person's: no cache shares it.
    pub own: bool,
    /// The answer of an earlier press with the same key.
    pub replayed: bool,
    /// Close the connection after this answer.
    pub close: bool,
    /// Content type when it is not plain JSON.
    pub content_type: Option<&'static str>,
}

/// What of the request's headers the answer depends on.
pub struct Asked {
    request_id: RequestId,
    origin: Option<HeaderValue>,
    /// Other origins may call, so that caches must tell them apart.
    cross_origin: bool,
    problem: bool,
}

impl Answer {
    /// 200 with prebuilt JSON.
    pub fn ok(body: Bytes) -> Self {
        Self { body, ..Self::default() }
    }

    /// A refusal without further data.
    pub fn refuse(reason: Reason, asked: &Asked) -> Self {
        Self::refuse_with(reason, None, &[], None, asked)
    }

    /// A refusal with its details.
    pub fn refuse_with(
        reason: Reason,
        detail: Option<&str>,
        errors: &[FieldError],
        data: Option<Value>,
        asked: &Asked,
    ) -> Self {
        let build = if asked.problem { envelope::problem } else { envelope::error };
        Self {
            content_type: asked.problem.then_some(envelope::PROBLEM_JSON),
            ..Self::prebuilt(reason, build(reason, detail, errors, data, None).into())
        }
    }

    /// A refusal whose JSON is at hand.
    pub fn prebuilt(reason: Reason, body: Bytes) -> Self {
        let status = StatusCode::from_u16(reason.status()).expect("the dictionary holds HTTP statuses");
        let (refused, retry_after_s) = (Some(reason), envelope::retry_after_s(reason));
        Self { status, refused, body, retry_after_s, ..Self::default() }
    }

    /// 202: the order is in the outbox. The same bytes for the same order, however often the key comes.
    pub fn queued(event: EventId, order: OrderId, replayed: bool) -> Self {
        // Joined by hand: this is the answer of every buy that counts.
        let (mut digits, mut text) = (itoa::Buffer::new(), [0; OrderId::TEXT_LEN]);
        let (event, order) = (digits.format(event.0), order.text(&mut text));
        let head = r#"{"code":0,"message":"OK","data":{"order_id":""#;
        let body = [head, order, r#"","event_id":"#, event, r#","status":"queued"}}"#].concat();
        Self {
            status: StatusCode::ACCEPTED,
            body: body.into(),
            location: Some(["/api/v1/spike/events/", event, "/orders/", order].concat()),
            replayed,
            ..Self::default()
        }
    }

    /// A refusal that names an order the user can look up.
    pub fn refuse_naming(
        reason: Reason,
        event: EventId,
        order: OrderId,
        status: Option<&str>,
        asked: &Asked,
    ) -> Self {
        let data = json!({ "order_id": order, "event_id": event, "status": status });
        Self {
            location: Some(order_path(event, order)),
            ..Self::refuse_with(reason, None, &[], Some(data), asked)
        }
    }

    /// Adds the headers and makes it a response.
    pub fn into_response(self, asked: Asked, draining: bool) -> Response<HotBody> {
        let mut headers = HeaderMap::with_capacity(8);
        if !self.body.is_empty() {
            let kind = self.content_type.unwrap_or(envelope::JSON);
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        if let Some(location) = self.location {
            headers.insert(
                LOCATION,
                HeaderValue::try_from(location).expect("a path of digits and hexadecimals"),
            );
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, seconds.into());
            headers.extend(self.limit.iter().flat_map(|limit| limit.headers(seconds)));
        }
        if let Some(etag) = self.etag {
            headers.insert(ETAG, HeaderValue::try_from(etag).expect("quoted ASCII"));
            let life = if self.own { "private, no-cache" } else { "public, max-age=1" };
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(life));
        }
        if self.replayed {
            headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        }
        if let Some(origin) = asked.origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_VALUE);
        }
        if asked.cross_origin {
            headers.insert(VARY, HeaderValue::from_static("origin"));
        }
        if self.close || draining {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        headers.insert(X_REQUEST_ID, asked.request_id.into_value());
        let mut response = Response::new(HotBody::answer(self.body, self.refused));
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}

impl Asked {
    /// Reads what the answer needs. `allowed_origins` as configured: exact, or `*` for every origin.
    pub fn read(headers: &HeaderMap, allowed_origins: &[String], ids: &RequestIds) -> Self {
        let problem = headers.get(ACCEPT).is_some_and(|accept| {
            memchr::memmem::find(accept.as_bytes(), envelope::PROBLEM_JSON.as_bytes()).is_some()
        });
        let origin = headers.get(ORIGIN).filter(|origin| {
            allowed_origins.iter().any(|allowed| allowed == "*" || allowed.as_bytes() == origin.as_bytes())
        });
        let cross_origin = !allowed_origins.is_empty();
        Self { request_id: ids.take_or_make(headers), origin: origin.cloned(), cross_origin, problem }
    }

    /// Whether refusals are to be `application/problem+json`.
    pub fn problem(&self) -> bool {
        self.problem
    }

    /// The request's id, the client's or one made here.
    pub fn request_id(&self) -> &RequestId {
        &self.request_id
    }
}

/// A request's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestId {
    /// The client's.
    Theirs(HeaderValue),
    /// Made here: written out only where it is sent, as 16 hexadecimal digits.
    Ours(u64),
}

impl RequestId {
    /// The header's value.
    pub fn into_value(self) -> HeaderValue {
        match self {
            Self::Theirs(value) => value,
            Self::Ours(id) => HeaderValue::from_bytes(&hex(id)).expect("hexadecimal digits"),
        }
    }
}

/// Sixteen lower case digits.
pub(super) fn hex(id: u64) -> [u8; 16] {
    std::array::from_fn(|at| b"0123456789abcdef"[(id >> (60 - 4 * at)) as usize & 15])
}

/// Makes request ids: a random start a core, then counting.
pub struct RequestIds {
    next: Cell<u64>,
}

impl RequestIds {
    /// Ids from `seed` on.
    pub fn new(seed: u64) -> Self {
        Self { next: Cell::new(seed) }
    }

    /// A fresh one.
    pub fn make(&self) -> u64 {
        let id = self.next.get();
        self.next.set(id.wrapping_add(1));
        id
    }

    fn take_or_make(&self, headers: &HeaderMap) -> RequestId {
        match headers.get(X_REQUEST_ID).filter(|id| acceptable(id.as_bytes())) {
            Some(id) => RequestId::Theirs(id.clone()),
            None => RequestId::Ours(self.make()),
        }
    }
}

fn acceptable(id: &[u8]) -> bool {
    (1..=64).contains(&id.len())
        && id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn order_path(event: EventId, order: OrderId) -> String {
    format!("/api/v1/spike/events/{event}/orders/{order}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&'static str, &'static str)]) -> Asked {
        let headers = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        Asked::read(&headers, &["https://shop.example".into()], &RequestIds::new(0xab))
    }

    #[test]
    fn request_ids_are_taken_when_harmless_and_made_otherwise() {
        let id = |asked: Asked| asked.request_id.into_value().to_str().unwrap().to_owned();
        assert_eq!(id(asked(&[("x-request-id", "Abc-1.2_3")])), "Abc-1.2_3");
        assert_eq!(id(asked(&[("x-request-id", "a b")])), "00000000000000ab");
        assert_eq!(id(asked(&[])), "00000000000000ab");
    }

    #[test]
    fn only_configured_origins_are_allowed() {
        let headers = |origin| {
            let response = Answer::ok("{}".into()).into_response(asked(&[("origin", origin)]), false);
            response
                .headers()
                .get(ACCESS_CONTROL_ALLOW_ORIGIN)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(headers("https://shop.example").as_deref(), Some("https://shop.example"));
        assert_eq!(headers("https://evil.example"), None);
    }

    #[test]
    fn a_replay_has_the_same_bytes() {
        let order = OrderId::new(1);
        let (first, again) =
            (Answer::queued(EventId(1), order, false), Answer::queued(EventId(1), order, true));
        assert_eq!((first.body, first.location), (again.body, again.location));
    }

    #[test]
    fn problems_are_sent_to_those_who_ask() {
        let asked = asked(&[("accept", "application/json;q=0.5, application/problem+json")]);
        let answer = Answer::refuse(Reason::Paused, &asked);
        assert_eq!(answer.content_type, Some(envelope::PROBLEM_JSON));
        assert_eq!(answer.retry_after_s, Some(5));
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["type"], "/errors/paused");
    }
}
