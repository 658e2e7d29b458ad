//! `POST /admin/spike/events/{event}/reconcile`: compares an event's ledger with the database and says where they differ.
//! A report only: nothing is changed. `spike reconcile --repair` mends what is safe to mend.

use std::sync::Arc;

use axum::extract::State;
use serde_json::json;
use spike_domain::{EventId, EventState, Reason};

use super::events::{event_view, found};
use super::{Admin, Answer, Control, Named, Refusal, Result};

/// S, R, L, F, K, whether they are of one moment, and every difference found.
pub(super) async fn reconcile(
    _: Admin,
    State(control): State<Arc<Control>>,
    Named(event): Named<EventId>,
) -> Result<Answer> {
    let row = found(&control, event).await?;
    if row.state == EventState::Scheduled {
        return Err(Refusal::new(Reason::Conflict).detail("The event has not been warmed up."));
    }
    let report = spike_reconcile::report(&control.ledger, &control.store, event).await?;
    Ok(Answer::ok(json!({
        "event": event_view(&row),
        "conservation": report.figures.conservation,
        "exact": report.figures.exact,
        "returned": report.returned,
        "differences": report.differences,
    })))
}
