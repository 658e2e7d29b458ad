//! `POST /payments/callback`: the provider's word, believed by its signature.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::json;
use spike_domain::Reason;
use spike_payments::{BadCallback, SIGNATURE_HEADER, receive};

use crate::control::{Answer, Control, Refusal, Result};

/// Longest body of a callback, in bytes; what is longer cannot be one.
const BODY_BYTES_MAX: usize = 4096;

/// Header `Spike-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`; body `attempt_id` and `outcome`
/// (`captured` or `declined`). 200 with the attempt's status, also when it is sent again. 400 `bad-signature`.
pub(in crate::control) async fn callback(
    State(control): State<Arc<Control>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer> {
    let mut signatures = headers.get_all(SIGNATURE_HEADER).iter();
    let one = signatures.next().filter(|_| signatures.next().is_none());
    let signature = one.and_then(|value| value.to_str().ok()).ok_or(Refusal::new(Reason::BadSignature))?;
    let body = to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| Refusal::new(Reason::BodyTooLarge))?;
    let (store, ledger, config) = (&control.store, &control.ledger, &control.config.payments);
    let settled = receive(store, ledger, config, control.now_s(), signature, &body).await;
    let payment = settled.map_err(|error| match error {
        BadCallback::Signature => Refusal::new(Reason::BadSignature),
        BadCallback::Body(_) => Refusal::new(Reason::Malformed)
            .detail("The body must be an object of attempt_id and outcome (captured or declined)."),
        BadCallback::Store(error) => error.into(),
    })?;
    Ok(Answer::ok(json!({ "attempt_id": payment.attempt, "status": payment.status })))
}
