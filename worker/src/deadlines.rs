//! Tells the cancel queue when to look for unpaid orders: one message for what was written within a moment.
//!
//! Nothing depends on it. A notice that is not sent, for want of room or of a broker, leaves its orders to `expire`, which
//! finds every one of them in the database.

use std::collections::BTreeMap;
use std::time::Duration;

use spike_broker::{Forward, Outgoing, Route, Trail};
use spike_domain::{DeadlineMessage, EventId};
use spike_metrics::words::Job;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::Jobs;
use crate::onward::Onward;
use crate::stop::Stop;

/// Notices that may wait to be sent.
const WAITING_MAX: usize = 1024;
/// How long the notices of an event are gathered.
const LINGER: Duration = Duration::from_millis(100);
/// How long a message may wait in one go, in seconds: each is a queue. What is due later goes through several.
const WAITS_S: [u64; 8] = [1, 5, 15, 60, 300, 900, 3600, 21_600];

/// Orders of an event that have just been written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) event: EventId,
    /// Until when they may be paid, Unix milliseconds by the database's clock.
    pub(crate) due_ms: u64,
    /// How long that is from now.
    pub(crate) left: Duration,
}

/// The hand that gives notice.
#[derive(Clone)]
pub(crate) struct Notices(Sender<Deadline>);

pub(crate) fn channel() -> (Notices, Receiver<Deadline>) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (Notices(sender), receiver)
}

impl Notices {
    /// Never waits.
    pub(crate) fn give(&self, deadline: Deadline) {
        if self.0.try_send(deadline).is_err() {
            tracing::debug!(event = %deadline.event, "no notice of a deadline; the sweep finds it");
        }
    }
}

pub(crate) async fn run(jobs: Jobs, mut given: Receiver<Deadline>, mut stop: Stop) {
    let mut onward = Onward::new(jobs.broker.clone(), &jobs.config.amqp, jobs.metrics.clone());
    loop {
        let first = tokio::select! {
            first = given.recv() => first,
            () = stop.wait() => None,
        };
        // Those that were given before the end are sent all the same.
        let first = first.or_else(|| given.try_recv().ok());
        let Some(first) = first else { return };
        if !stop.asked() {
            tokio::time::sleep(LINGER).await;
        }
        let mut latest = BTreeMap::from([(first.event, first)]);
        while let Ok(next) = given.try_recv() {
            let known = latest.entry(next.event).or_insert(next);
            if next.due_ms > known.due_ms {
                *known = next;
            }
        }
        let messages: Vec<Forward> = latest.into_values().map(notice).collect();
        if let Err(error) = onward.send(&messages).await {
            jobs.metrics.failed(Job::Deadlines);
            tracing::debug!(error = format!("{error:#}"), "deadlines not announced; the sweep finds them");
        }
    }
}

fn notice(deadline: Deadline) -> Forward {
    put_off(&DeadlineMessage::new(deadline.event, deadline.due_ms), deadline.left)
}

/// To the queue in which it waits as long as possible and not too long.
pub(crate) fn put_off(message: &DeadlineMessage, left: Duration) -> Forward {
    let seconds =
        WAITS_S.into_iter().rev().find(|&wait| Duration::from_secs(wait) <= left).unwrap_or(WAITS_S[0]);
    let message_id = format!("{}:due-{}", message.event, message.due_ms);
    Forward {
        to: Route::Cancel(Duration::from_secs(seconds)),
        message: Outgoing { message_id, body: message.encode() },
        trail: Trail::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_waits_as_long_as_it_may_and_comes_at_most_a_second_late() {
        let wait = |left_ms| match put_off(
            &DeadlineMessage::new(EventId(1), 9),
            Duration::from_millis(left_ms),
        )
        .to
        {
            Route::Cancel(wait) => wait.as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!([0, 999, 1000, 4999, 5000, 900_000, 901_000].map(wait), [1, 1, 1, 1, 5, 900, 900]);
        for timeout_s in [1, 7, 59, 600, 86_399, 604_800] {
            let (mut at_ms, due_ms, mut hops) = (0, timeout_s * 1000 + 300, 0);
            while at_ms < due_ms {
                at_ms += wait(due_ms - at_ms) * 1000;
                hops += 1;
            }
            assert!(at_ms - due_ms <= 1000 && hops < 60, "{timeout_s} s: {at_ms}, {hops} hops");
        }
    }
}
