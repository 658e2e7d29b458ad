//! Requests with an `Idempotency-Key` (IETF draft, as Stripe does it): one effect and one answer, however often they
//! are sent.
//!
//! [`Keyed`] reads key and body; a body that is wrong in itself is refused before the key is touched, so a corrected
//! one may use the same key. [`Keyed::claim`] then takes the turn in the database. What has been decided (success, or
//! a refusal below 500) is kept for `orders.key_ttl_s` and replayed with `Idempotent-Replayed: true`: the same status,
//! `Location` and data, byte for byte; only the request id is the replay's own, so that two requests never share one in
//! a log. An answer of 500 or above, or a refusal that passes by itself, is not kept: the next request with the key runs
//! again, under the id of the first one's effect. A request that ends in any other way (its deadline, a client that hung
//! up, a panic) gives its turn back, so that the next one runs at once; only where a whole process died is the lease
//! waited for. Until then 409 `request-in-flight` says when to come again.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::header::LOCATION;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use spike_domain::{OrderId, Reason, UserId};
use spike_store::{KeyTurn, KeyedRequest};
use tracing::Instrument;

use super::fields::object_or_nothing;
use super::refusal::{Refusal, Result};
use super::{Answer, Control, Fields};
use crate::envelope::FieldError;
use crate::idempotency_key;

/// Tells a client that its answer is a replay.
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// How much longer than a request may last its turn is nobody else's.
const LEASE_MARGIN: Duration = Duration::from_secs(2);

/// A request with a key, whose body is an object or nothing.
pub(super) struct Keyed {
    key: Box<str>,
    payload: [u8; 32],
    /// The body.
    pub fields: Fields,
}

/// What a request is to do.
pub(super) enum Turn {
    /// Do it.
    Run(Claim),
    /// Give the answer of the one that did it.
    Replay(Response),
}

/// The turn of a request. Dropped without an answer, it is given back.
pub(super) struct Claim {
    control: Arc<Control>,
    user: UserId,
    route: &'static str,
    key: Box<str>,
    payload: [u8; 32],
    effect: [u8; 16],
    /// Names the turn; 0 when there is none, or none any more.
    locked_until_ms: u64,
}

/// A success.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Done {
    status: u16,
    location: Option<String>,
    data: Value,
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
enum Kept {
    Done(Done),
    Refused { code: u32, errors: Vec<FieldError>, data: Option<Value> },
}

impl FromRequest<Arc<Control>> for Keyed {
    type Rejection = Refusal;

    async fn from_request(request: Request, control: &Arc<Control>) -> Result<Self> {
        let bad = |_| Refusal::new(Reason::Malformed).detail(idempotency_key::SYNTAX);
        let key = idempotency_key::digest(request.headers()).map_err(bad)?;
        let key = key.ok_or(Refusal::new(Reason::IdempotencyKeyMissing))?;
        let path = request.uri().path().to_owned();
        let body = object_or_nothing(request, control.config.http.body_bytes_max).await?;
        // Of the object, not of its bytes: spaces and the order of names mean nothing.
        let canonical = serde_json::to_vec(&body).map_err(Refusal::internal)?;
        let payload = Sha256::new().chain_update(path).chain_update([0]).chain_update(canonical).finalize();
        Ok(Self { key, payload: payload.into(), fields: Fields::new(body) })
    }
}

impl Keyed {
    /// Takes the turn, for a route of the table, if every field was asked for and right. Errors: 422; 409
    /// `request-in-flight`, 422 `idempotency-mismatch`.
    pub async fn claim(self, control: &Arc<Control>, user: UserId, route: &'static str) -> Result<Turn> {
        let Self { key, payload, fields } = self;
        fields.finish()?;
        let claim = Claim {
            control: control.clone(),
            user,
            route,
            key,
            payload,
            effect: *OrderId::new((control.now_ms)()).bytes(),
            locked_until_ms: 0,
        };
        // A task of its own: a request that is cut off meanwhile would not know whether the turn is its own.
        tokio::spawn(claim.take().in_current_span()).await.map_err(Refusal::internal)?
    }
}

impl Claim {
    async fn take(mut self) -> Result<Turn> {
        match self.control.store.claim_key(&self.request()).await? {
            KeyTurn::Run { effect, locked_until_ms } => {
                (self.effect, self.locked_until_ms) = (effect, locked_until_ms);
                Ok(Turn::Run(self))
            }
            KeyTurn::Replay(bytes) => replay(&bytes).map(Turn::Replay),
            KeyTurn::InFlight => Err(Refusal::new(Reason::InFlight)),
            KeyTurn::Mismatch => Err(Refusal::new(Reason::IdempotencyMismatch)),
        }
    }

    /// The id that the effect of this request has, whoever does it.
    pub fn effect(&self) -> [u8; 16] {
        self.effect
    }

    /// Keeps the answer, if it decides anything, and gives it.
    pub async fn finish(mut self, result: Result<Done>) -> Response {
        fail::fail_point!("idempotency-answer");
        let kept = match &result {
            Ok(done) => Some(Kept::Done(done.clone())),
            Err(refusal) if decides(refusal.reason) => {
                debug_assert!(refusal.detail.is_none(), "a replay has the dictionary's words only");
                let Refusal { reason, errors, data, .. } = refusal.clone();
                Some(Kept::Refused { code: reason.code(), errors, data })
            }
            Err(_) => None,
        };
        let store = &self.control.store;
        let noted = match kept {
            Some(kept) => {
                let bytes = serde_json::to_vec(&kept).expect("answers have string keys and so always encode");
                store.finish_key(&self.request(), self.effect, &bytes).await
            }
            None => store.release_key(&self.request(), self.locked_until_ms).await,
        };
        match noted {
            Ok(()) => self.locked_until_ms = 0,
            // The effect stands; a retry finds it by its id.
            Err(error) => {
                tracing::warn!(%error, route = self.route, "an answer was given and could not be kept");
            }
        }
        result.map_or_else(IntoResponse::into_response, Done::into_response)
    }

    fn request(&self) -> KeyedRequest<'_> {
        let config = &self.control.config;
        let lease = Duration::from_millis(config.http.request_timeout_ms) + LEASE_MARGIN;
        KeyedRequest {
            user: self.user,
            route: self.route,
            key: &self.key,
            payload: &self.payload,
            effect: self.effect,
            lease_ms: u64::try_from(lease.as_millis()).unwrap_or(u64::MAX),
            keep_ms: config.orders.key_ttl_s * 1000,
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.locked_until_ms == 0 {
            return;
        }
        // What the request had begun is rolled back, or is found by the next one under the same id.
        let left = Self { control: self.control.clone(), key: self.key.clone(), locked_until_ms: 0, ..*self };
        let locked_until_ms = self.locked_until_ms;
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = left.control.store.release_key(&left.request(), locked_until_ms).await {
                tracing::warn!(%error, route = left.route, "the turn of a request that was cut off ends with its lease");
            }
        });
    }
}

impl Done {
    /// 200.
    pub fn ok(data: Value) -> Self {
        Self { status: StatusCode::OK.as_u16(), location: None, data }
    }

    /// 201 with the place of what was made.
    pub fn created(location: String, data: Value) -> Self {
        Self { status: StatusCode::CREATED.as_u16(), location: Some(location), data }
    }

    fn into_response(self) -> Response {
        let mut response = Answer::ok(self.data).into_response();
        if let Ok(status) = StatusCode::from_u16(self.status) {
            *response.status_mut() = status;
        }
        if let Some(place) = self.location.and_then(|place| HeaderValue::from_str(&place).ok()) {
            response.headers_mut().insert(LOCATION, place);
        }
        response
    }
}

/// Whether a refusal is the last word on its request. What passes by itself is not: a payment beside another one that
/// is still open may be tried again with its key, as after an answer of 500 or above.
fn decides(reason: Reason) -> bool {
    let momentary = matches!(
        reason,
        Reason::PaymentInProgress | Reason::InFlight | Reason::RequestTimeout | Reason::TooManyRequests
    );
    reason.status() < 500 && !momentary
}

/// A kept answer, marked as such.
fn replay(bytes: &[u8]) -> Result<Response> {
    let kept: Kept = serde_json::from_slice(bytes).map_err(Refusal::internal)?;
    let mut response = match kept {
        Kept::Done(done) => done.into_response(),
        Kept::Refused { code, errors, data } => {
            let reason = Reason::from_code(code)
                .ok_or_else(|| Refusal::internal(format!("a kept answer has the unknown code {code}")))?;
            Refusal { errors, data, ..Refusal::new(reason) }.into_response()
        }
    };
    response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}
