//! `POST /orders/{order}/pay`, for orders of both kinds.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use serde_json::json;
use spike_config::Profile;
use spike_domain::{AttemptId, AttemptStatus, OrderId, OrderStatus, Reason, UserId};
use spike_payments::{Charge, Simulate, settle};
use spike_store::{Begun, PaymentAttempt};
use uuid::Uuid;

use crate::control::idempotency::{Done, Keyed, Turn};
use crate::control::order_history::payment_view;
use crate::control::shop_orders::{found, moved_units};
use crate::control::{Control, Fields, Identity, Named, Refusal, Result};

/// Body: nothing, or outside prod `simulate`: how the simulated provider behaves (`success`, `decline`, `timeout`,
/// `late-success`, `duplicate-callback`). 200 paid; 402 `payment-declined`, and the order stays payable; 503
/// `outcome-unknown`: the same key asks again about the same attempt, and the worker finds out besides.
pub(in crate::control) async fn pay(
    State(control): State<Arc<Control>>,
    identity: Identity,
    Named(order): Named<OrderId>,
    mut request: Keyed,
) -> Result<Response> {
    let simulate = simulate(&mut request.fields, control.config.profile);
    found(&control, order, identity.user).await?;
    let claim = match request.claim(&control, identity.user, "POST /orders/{order}/pay").await? {
        Turn::Run(claim) => claim,
        Turn::Replay(response) => return Ok(response),
    };
    let attempt = AttemptId(Uuid::from_bytes(claim.effect()));
    let paid = charged(&control, attempt, order, identity.user, simulate).await;
    Ok(claim.finish(paid).await)
}

/// The outcome a client chooses; in prod nobody may.
fn simulate(fields: &mut Fields, profile: Profile) -> Simulate {
    // Left unread, the field is refused like any other that does not exist.
    if profile == Profile::Prod {
        return Simulate::default();
    }
    fields.optional_word("simulate", &Simulate::WORDS).unwrap_or_default()
}

/// The attempt is recorded, then charged, then settled; each step finds what an earlier run of the same key has done.
async fn charged(
    control: &Control,
    attempt: AttemptId,
    order: OrderId,
    user: UserId,
    simulate: Simulate,
) -> Result<Done> {
    let attempts_max = control.config.payments.attempts_max;
    let recorded = match control.store.begin_payment(attempt, order, user, attempts_max).await? {
        Begun::Recorded(recorded) => recorded,
        Begun::InProgress(other) => {
            let data = Some(json!({ "attempt_id": other }));
            return Err(Refusal { data, ..Refusal::new(Reason::PaymentInProgress) });
        }
        Begun::TooOften => {
            let data = Some(json!({ "attempts_max": attempts_max }));
            return Err(Refusal { data, ..Refusal::new(Reason::PaymentAttemptsExhausted) });
        }
        Begun::NotPayable(status) => return Err(Refusal::new(not_payable(status))),
    };
    fail::fail_point!("payment-recorded");
    if recorded.status != AttemptStatus::Open {
        return outcome(control, &recorded).await;
    }
    let patience = Duration::from_millis(control.config.payments.timeout_ms);
    let charge = Charge { attempt, amount: recorded.amount, simulate };
    let verdict = match tokio::time::timeout(patience, control.provider.charge(charge)).await {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(error)) => {
            tracing::warn!(%attempt, %order, %error, "a charge without an outcome");
            return Err(unknown(&recorded));
        }
        Err(_) => return Err(unknown(&recorded)),
    };
    fail::fail_point!("payment-charged");
    let settled = settle(&control.store, &control.ledger, attempt, verdict).await?;
    outcome(control, &settled).await
}

async fn outcome(control: &Control, payment: &PaymentAttempt) -> Result<Done> {
    match payment.status {
        AttemptStatus::Captured => Ok(Done::ok(moved_units(control, payment.order, payment.user).await?)),
        AttemptStatus::Declined => Err(about(Reason::PaymentDeclined, payment)),
        AttemptStatus::RefundDue | AttemptStatus::Refunded | AttemptStatus::RefundFailed => {
            Err(about(Reason::RefundDue, payment))
        }
        AttemptStatus::Open => Err(unknown(payment)),
    }
}

/// 503, so nothing is kept for the key: it asks again.
fn unknown(payment: &PaymentAttempt) -> Refusal {
    about(Reason::OutcomeUnknown, payment)
}

fn about(reason: Reason, payment: &PaymentAttempt) -> Refusal {
    let data = json!({ "order_id": payment.order, "payment": payment_view(payment) });
    Refusal { data: Some(data), ..Refusal::new(reason) }
}

fn not_payable(status: OrderStatus) -> Reason {
    match status {
        OrderStatus::Paid => Reason::OrderPaid,
        OrderStatus::Pending => Reason::OrderExpired,
        OrderStatus::Cancelled | OrderStatus::Rejected | OrderStatus::Lost => Reason::OrderNotPending,
    }
}
