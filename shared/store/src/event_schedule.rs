//! What an event does without an operator: it is warmed up some time before it starts, and closed some time after it has
//! ended.

use spike_domain::{EventId, EventState};

use sqlx::AssertSqlSafe;

use crate::events::{self, EventRow};
use crate::query::query;
use crate::sql::{at, signed};
use crate::transaction::{read, under_lock};
use crate::{Result, Store, StoreError};

/// When. A zero means never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Milliseconds before its start at which an event is warmed up.
    pub warm_up_before_ms: u64,
    /// Milliseconds after its end at which an event is closed.
    pub close_after_ms: u64,
}

impl Store {
    /// Moves every event whose time has come at `now_ms`, Unix milliseconds by the clock that windows go by: the
    /// ledger's. Returns the ones this call moved. Each event is a transaction of its own; one that fails is passed
    /// over, and an error is returned only when none of them succeeded.
    pub async fn follow_schedule(
        &self,
        schedule: Schedule,
        now_ms: u64,
    ) -> Result<Vec<(EventId, EventState)>> {
        let mut moved = Vec::new();
        let mut failure = None;
        for event in self.perhaps_due(schedule, now_ms).await? {
            match self.move_if_due(event, schedule, now_ms).await {
                Ok(Some(state)) => moved.push((event, state)),
                // Somebody else was faster, or the event is gone.
                Ok(None) | Err(StoreError::NotFound) => {}
                Err(error) => {
                    tracing::warn!(%event, %error, "the event's schedule is not followed yet");
                    failure = Some(error);
                }
            }
        }
        match failure {
            Some(error) if moved.is_empty() => Err(error),
            _ => Ok(moved),
        }
    }

    /// Candidates only: nothing is locked yet.
    async fn perhaps_due(&self, schedule: Schedule, now_ms: u64) -> Result<Vec<EventId>> {
        // An unwritten time: nothing starts or ends before 1970.
        let starts_by = if schedule.warm_up_before_ms == 0 { 0 } else { now_ms + schedule.warm_up_before_ms };
        let ended_by = match schedule.close_after_ms {
            0 => 0,
            after => now_ms.saturating_sub(after),
        };
        // Two statements in one: each by an index of its own.
        let text = "SELECT id FROM spike_events WHERE state = ? AND starts_at_ms <= ? AND ends_at_ms > ? \
             UNION SELECT id FROM spike_events WHERE state IN (?, ?, ?) AND ends_at_ms <= ? ORDER BY id";
        read!(self, |conn| {
            let query = query(text)
                .bind(EventState::Scheduled.code())
                .bind(signed(starts_by))
                .bind(signed(now_ms))
                .bind(EventState::Scheduled.code())
                .bind(EventState::Open.code())
                .bind(EventState::Paused.code())
                .bind(signed(ended_by));
            query.fetch_all(conn).await?.iter().map(|row| Ok(EventId(at(row, "id")?))).collect()
        })
    }

    async fn move_if_due(
        &self,
        event: EventId,
        schedule: Schedule,
        now_ms: u64,
    ) -> Result<Option<EventState>> {
        let now = self.dialect().now_ms();
        let update = format!(
            "UPDATE spike_events SET state = ?, version = version + 1, updated_at_ms = {now} WHERE id = ?"
        );
        under_lock!(self, event, |tx, locked| {
            let Some(state) = due(&locked.row, schedule, now_ms) else { return Ok(None) };
            assert!(
                events::may_become(locked.row.state, state),
                "a schedule leads only where operators may go"
            );
            query(AssertSqlSafe(update.clone())).bind(state.code()).bind(event.0).execute(tx).await?;
            Ok(Some(state))
        })
    }
}

/// Where the schedule wants an event to be now, if it is not there.
fn due(row: &EventRow, schedule: Schedule, now_ms: u64) -> Option<EventState> {
    let window = row.def.window;
    let (before, after) = (schedule.warm_up_before_ms, schedule.close_after_ms);
    if row.state == EventState::Closed {
        return None;
    }
    if after > 0 && now_ms >= window.ends_at_ms.saturating_add(after) {
        return Some(EventState::Closed);
    }
    let warm =
        before > 0 && now_ms.saturating_add(before) >= window.starts_at_ms && now_ms < window.ends_at_ms;
    (row.state == EventState::Scheduled && warm).then_some(EventState::Open)
}

#[cfg(test)]
mod tests {
    use spike_domain::{Currency, EventDef, Money, ProductId, Window};

    use super::*;

    fn row(state: EventState) -> EventRow {
        let def = EventDef {
            id: EventId(1),
            product_id: ProductId(1),
            name: "sale".into(),
            price: Money { minor: 1, currency: Currency::parse("EUR").unwrap() },
            total: 1,
            per_user_limit: 1,
            pay_timeout_s: 1,
            window: Window { starts_at_ms: 1000, ends_at_ms: 2000 },
        };
        EventRow {
            def,
            state,
            epoch: 0,
            reserved: 0,
            paid: 0,
            returned: 0,
            version: 1,
            updated_at_ms: 0,
            archived: false,
        }
    }

    #[test]
    fn an_event_is_warmed_up_before_it_starts_and_closed_after_it_has_ended() {
        use EventState::{Closed, Open, Paused, Scheduled};
        let schedule = Schedule { warm_up_before_ms: 100, close_after_ms: 50 };
        for (state, now_ms, want) in [
            (Scheduled, 899, None),
            (Scheduled, 900, Some(Open)),
            (Scheduled, 1999, Some(Open)),
            (Scheduled, 2000, None),
            (Scheduled, 2050, Some(Closed)),
            (Open, 1500, None),
            (Open, 2049, None),
            (Open, 2050, Some(Closed)),
            (Paused, 1500, None),
            (Paused, 2050, Some(Closed)),
            (Closed, 9999, None),
        ] {
            assert_eq!(due(&row(state), schedule, now_ms), want, "{state:?} at {now_ms}");
            let never = Schedule { warm_up_before_ms: 0, close_after_ms: 0 };
            assert_eq!(due(&row(state), never, now_ms), None, "{state:?} at {now_ms}");
        }
    }
}
