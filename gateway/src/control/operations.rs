//! `POST /admin/spike/events/{id}/warmup|pause|resume|close`: the wish goes to the database, a worker's watch carries it
//! out in Redis, and the answer waits until Redis shows it.
//!
//! A gateway never touches the ledger's state itself: only the watch compares Redis with the database first (the
//! restart fence). All four may be repeated.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use serde_json::json;
use spike_domain::{EventId, EventState, Reason};
use spike_store::EventRow;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::cache::Topic;
use super::events::{event_view, found};
use super::{Admin, Answer, Control, Named, Refusal, Result};

/// How long a worker may take before the operator is told that none took it up.
pub(super) const WORKER_WAIT: Duration = Duration::from_secs(10);
/// How often Redis is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// An operator's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Warmup,
    Pause,
    Resume,
    Close,
}

/// Brings a scheduled event's stock into Redis; buys are taken once its window opens. A paused event stays paused.
pub(super) async fn warmup(
    _: Admin,
    State(control): State<Arc<Control>>,
    Named(event): Named<EventId>,
) -> Result<Answer> {
    carry_out(&control, event, Wish::Warmup).await
}

/// Refuses buys for now.
pub(super) async fn pause(
    _: Admin,
    State(control): State<Arc<Control>>,
    Named(event): Named<EventId>,
) -> Result<Answer> {
    carry_out(&control, event, Wish::Pause).await
}

/// Takes buys again.
pub(super) async fn resume(
    _: Admin,
    State(control): State<Arc<Control>>,
    Named(event): Named<EventId>,
) -> Result<Answer> {
    carry_out(&control, event, Wish::Resume).await
}

/// Ends the sale for good.
pub(super) async fn close(
    _: Admin,
    State(control): State<Arc<Control>>,
    Named(event): Named<EventId>,
) -> Result<Answer> {
    carry_out(&control, event, Wish::Close).await
}

impl Wish {
    /// The state to set; `None` where the event is where it should be already, an error where no way leads there.
    fn target(self, now: EventState) -> Result<Option<EventState>> {
        match (self, now) {
            (Self::Warmup, EventState::Scheduled) | (Self::Resume, EventState::Paused) => {
                Ok(Some(EventState::Open))
            }
            (Self::Warmup, EventState::Open | EventState::Paused) => Ok(None),
            (Self::Resume, EventState::Open) => Ok(None),
            (Self::Pause, EventState::Open) => Ok(Some(EventState::Paused)),
            (Self::Pause, EventState::Paused) => Ok(None),
            (Self::Close, EventState::Closed) => Ok(None),
            (Self::Close, _) => Ok(Some(EventState::Closed)),
            (_, EventState::Closed) => Err(Refusal::new(Reason::Conflict).detail("The event is closed.")),
            (Self::Pause | Self::Resume, EventState::Scheduled) => {
                Err(Refusal::new(Reason::Conflict).detail("The event has not been warmed up."))
            }
        }
    }
}

async fn carry_out(control: &Control, event: EventId, wish: Wish) -> Result<Answer> {
    let row = found(control, event).await?;
    let wanted = match wish.target(row.state)? {
        Some(state) => control.store.set_event_state(event, state).await?.state,
        None => row.state,
    };
    control.cache.changed(&[Topic::Events]).await;
    let row = wait_for_worker(control, event, wanted).await?;
    let reading = spike_reconcile::figures(&control.ledger, &control.store, event).await?;
    Ok(Answer::ok(json!({
        "event": event_view(&row),
        "conservation": reading.conservation,
        "exact": reading.exact,
    })))
}

/// Waits until the ledger stands in the database's epoch and in the state wanted, and, where it sells, until the fence
/// is open. Errors: `unavailable` when no worker does it in time, `conflict` when another operator wants otherwise.
async fn wait_for_worker(control: &Control, event: EventId, wanted: EventState) -> Result<EventRow> {
    // A lost hint costs a poll of the watch, not the operation.
    if let Err(error) = control.ledger.hint(event).await {
        tracing::debug!(%event, %error, "hint not sent");
    }
    let deadline = Instant::now() + control.worker_wait;
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let row = found(control, event).await?;
        if row.state != wanted {
            return Err(Refusal::new(Reason::Conflict).detail("The event's state was changed meanwhile."));
        }
        if shown(control, &row).await.unwrap_or(false) {
            return Ok(row);
        }
        if Instant::now() >= deadline {
            let detail = "The wish is noted, but no worker has taken it up yet: is one running?";
            return Err(Refusal::new(Reason::Unavailable).detail(detail));
        }
    }
}

/// Whether Redis shows what the database wants. An error is a "not yet": the deadline ends it.
async fn shown(control: &Control, row: &EventRow) -> Result<bool> {
    let event = row.def.id;
    let Some(meta) = control.ledger.meta(event).await? else { return Ok(false) };
    let stands = Some(meta.state) == row.state.ledger() && meta.epoch == row.epoch && meta.stock.is_some();
    Ok(stands && (row.state != EventState::Open || control.ledger.fence_open(event, row.epoch).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_lead_where_they_may_and_can_be_repeated() {
        use EventState::{Closed, Open, Paused, Scheduled};
        let all = [Scheduled, Open, Paused, Closed];
        // Per wish, for each state above: the state to set, `None` for nothing to do, an error for no way.
        let cases = [
            (Wish::Warmup, [Ok(Some(Open)), Ok(None), Ok(None), Err(())]),
            (Wish::Pause, [Err(()), Ok(Some(Paused)), Ok(None), Err(())]),
            (Wish::Resume, [Err(()), Ok(None), Ok(Some(Open)), Err(())]),
            (Wish::Close, [Ok(Some(Closed)), Ok(Some(Closed)), Ok(Some(Closed)), Ok(None)]),
        ];
        for (wish, wants) in cases {
            for (state, want) in all.into_iter().zip(wants) {
                let got = wish.target(state).map_err(|refusal| assert_eq!(refusal.reason, Reason::Conflict));
                assert_eq!(got, want, "{wish:?} from {state:?}");
                if let Ok(Some(next)) = got {
                    assert_eq!(wish.target(next).unwrap(), None, "{wish:?} twice");
                }
            }
        }
    }
}
