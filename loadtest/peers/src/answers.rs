//! The answers of the conventional service: built by the gateway's own code, so that no difference of figures is a
//! difference of bytes.

use axum::body::Body;
use axum::http::{HeaderMap, Response};
use bytes::Bytes;
use serde_json::json;
use spike_domain::{ClaimState, EventId, OrderId, Reason};
use spike_gateway::envelope::FieldError;
use spike_gateway::hot::answer::{Answer, Asked, RequestIds};
use spike_gateway::hot::body::HotBody;
use spike_gateway::hot::press::BadPress;
use spike_gateway::local::page::sold_out_body;
use spike_gateway::rate_limit::Met;
use spike_stock::reserve::{Decided, Decision};
use spike_stock::{Refused, StockError};

thread_local! {
    static REQUEST_IDS: RequestIds = RequestIds::new(fastrand::u64(..));
}

/// What of the request the answer depends on. No other origin may call, as by default.
pub(crate) fn asked(headers: &HeaderMap) -> Asked {
    REQUEST_IDS.with(|ids| Asked::read(headers, &[], ids))
}

/// Headers and body as axum sends them.
pub(crate) fn response(answer: Answer, asked: Asked) -> Response<Body> {
    answer.into_response(asked, false).map(|body| match body {
        HotBody::Full { bytes: Some(bytes), .. } => Body::from(bytes),
        _ => Body::empty(),
    })
}

/// What depends on the event.
pub(crate) struct Answers {
    event: EventId,
    per_user_limit: u32,
    sold_out: Bytes,
}

impl Answers {
    pub(crate) fn of(event: EventId, per_user_limit: u32) -> Self {
        Self { event, per_user_limit, sold_out: sold_out_body(event).into() }
    }

    pub(crate) fn sold_out(&self) -> Answer {
        Answer::prebuilt(Reason::SoldOut, self.sold_out.clone())
    }

    pub(crate) fn too_early(&self, met: Met, asked: &Asked) -> Answer {
        let (limit, retry_after_s) = (Some(Box::new(met.policy)), Some(met.wait_s()));
        Answer { limit, retry_after_s, ..Answer::refuse(Reason::TooManyRequests, asked) }
    }

    pub(crate) fn bad_press(&self, bad: BadPress, asked: &Asked) -> Answer {
        let errors: Vec<FieldError> = bad.field.into_iter().collect();
        Answer::refuse_with(bad.reason, bad.detail, &errors, None, asked)
    }

    pub(crate) fn over_limit(&self, asked: &Asked) -> Answer {
        let message = format!("must be an integer from 1 to {}", self.per_user_limit);
        let errors = [FieldError::new("quantity", message)];
        Answer::refuse_with(Reason::Validation, None, &errors, None, asked)
    }

    /// Why there is no decision on `order`: where Redis may have made one, the answer names it.
    pub(crate) fn undecided(&self, error: &StockError, order: OrderId, asked: &Asked) -> Answer {
        let reason = match error {
            StockError::Redis(error) if error.is_timeout() || error.is_connection_dropped() => {
                return self.unknown(order, asked);
            }
            StockError::Refused(Refused::Full) => Reason::OutboxFull,
            StockError::Refused(Refused::Paused) => Reason::Paused,
            StockError::Refused(Refused::Closed) => Reason::Ended,
            StockError::Refused(_) | StockError::Fenced => Reason::Recovering,
            _ => Reason::Unavailable,
        };
        Answer::refuse(reason, asked)
    }

    /// The order may have been accepted.
    pub(crate) fn unknown(&self, order: OrderId, asked: &Asked) -> Answer {
        Answer::refuse_naming(Reason::OutcomeUnknown, self.event, order, None, asked)
    }

    /// What the ledger has decided for the one buyer of a call.
    pub(crate) fn decided(&self, decided: &Decided, order: OrderId, quantity: u32, asked: &Asked) -> Answer {
        match decided.decisions[0] {
            Decision::Accepted => Answer::queued(self.event, order, false),
            Decision::Known(claim) if claim.quantity == quantity => {
                Answer::queued(self.event, claim.order, true)
            }
            Decision::Known(_) => Answer::refuse(Reason::IdempotencyMismatch, asked),
            Decision::AlreadyBought(claim) => {
                let status = claim.state.map(ClaimState::as_str);
                Answer::refuse_naming(Reason::AlreadyBought, self.event, claim.order, status, asked)
            }
            Decision::OverLimit => self.over_limit(asked),
            Decision::Short if decided.stock == 0 => self.sold_out(),
            Decision::Short => {
                let data = json!({ "stock": decided.stock });
                Answer::refuse_with(Reason::InsufficientStock, None, &[], Some(data), asked)
            }
        }
    }
}
