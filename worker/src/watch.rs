//! Keeps every ledger right: compares the database with Redis, and rebuilds or moves the ledger where they differ.
//!
//! This is what warms an event up (also by its schedule), carries out pause, resume and close, and brings a sale back after
//! Redis has restarted.

use std::collections::HashMap;
use std::time::Duration;

use redis::{ErrorKind, ServerErrorKind};
use spike_broker::Backoff;
use spike_domain::{EventId, LedgerState};
use spike_metrics::words::Job;
use spike_stock::{Fence, Meta, StockError};
use spike_store::{Schedule, WatchedEvent};
use tokio::time::Instant;

use crate::Jobs;
use crate::rebuild::{Lock, Rebuilder};
use crate::stop::Stop;
use crate::watched::Watched;

/// Longest rest between two attempts to rebuild an event that cannot be rebuilt.
const REBUILD_WAIT_MAX: Duration = Duration::from_secs(5);

/// What a ledger needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Nothing.
    Nothing,
    /// Another state; its figures are right.
    Transition(LedgerState),
    /// This version's scripts: another version's worker has compared it.
    Scripts,
    /// Making anew, and why.
    Rebuild(&'static str),
}

/// What an event's ledger needs, from what the database wants and what Redis holds.
fn need(wanted: &WatchedEvent, held: Option<&Meta>, fence: Fence) -> Need {
    let Some(state) = wanted.state.ledger() else { return Need::Nothing };
    let Some(meta) = held else { return Need::Rebuild("there is no ledger") };
    if meta.epoch != wanted.epoch {
        Need::Rebuild("the epochs differ")
    } else if !meta.state.standing() {
        Need::Rebuild("a rebuild did not finish")
    } else if meta.stock.is_none() || meta.inflight.is_none() || meta.doc.is_none() {
        Need::Rebuild("the ledger is incomplete")
    } else if fence == Fence::Closed {
        Need::Rebuild("its scripts are not loaded: Redis has restarted")
    } else if fence == Fence::OfAnother {
        Need::Scripts
    } else if meta.state != state {
        Need::Transition(state)
    } else {
        Need::Nothing
    }
}

pub(crate) async fn run(jobs: Jobs, rebuilder: Rebuilder, mut stop: Stop) {
    let interval = Duration::from_millis(jobs.config.worker.watch_interval_ms);
    let watched = Watched::default();
    let mut watch = Watch { jobs, rebuilder, interval, watched, failing: HashMap::new() };
    loop {
        if let Err(error) = watch.look(&stop).await {
            watch.jobs.metrics.failed(Job::Watch);
            tracing::warn!(error = format!("{error:#}"), "ledgers not looked at");
        }
        if stop.rest(interval).await {
            return;
        }
    }
}

struct Watch {
    jobs: Jobs,
    rebuilder: Rebuilder,
    interval: Duration,
    watched: Watched,
    /// Events whose rebuild has failed, and when it may be tried again.
    failing: HashMap<EventId, (Backoff, Instant)>,
}

impl Watch {
    /// Looks at every event once; trouble with one event's ledger is told and leaves the others alone. An error means that
    /// the database or Redis is away.
    async fn look(&mut self, stop: &Stop) -> anyhow::Result<()> {
        // Should the database be away, the next read says so too; an event that cannot be moved is no reason to leave
        // broken ledgers alone.
        if let Err(error) = self.follow_schedule().await {
            self.jobs.metrics.failed(Job::Watch);
            tracing::warn!(error = format!("{error:#}"), "schedules not followed");
        }
        let events = self.watched.events(&self.jobs).await?;
        let listed = self.jobs.ledger.events().await;
        let mut failed = listed.as_ref().err().filter(|error| away(error)).map(ToString::to_string);
        self.failing.retain(|failing, _| events.iter().any(|event| event.id == *failing));
        for event in events {
            if stop.asked() {
                break;
            }
            match self.need_of(&event).await {
                Ok(Need::Nothing) => self.list(&event, listed.as_deref().ok()).await,
                Err(error) if away(&error) && self.jobs.ledger.sharded() => {
                    // The other events may be on masters that answer.
                    failed = Some(format!("event {}: {error}", event.id));
                }
                Err(error) if away(&error) => return Err(error.into()),
                Err(error) => tracing::error!(event = %event.id, %error, "ledger not looked at"),
                Ok(Need::Scripts) => self.join(&event).await,
                Ok(Need::Transition(state)) => {
                    match self.jobs.ledger.transition(event.id, event.epoch, state, None).await {
                        Ok(_) => tracing::info!(event = %event.id, state = state.as_str(), "ledger moved"),
                        Err(error) => tracing::warn!(event = %event.id, %error, "ledger not moved"),
                    }
                }
                Ok(Need::Rebuild(_)) if self.resting(event.id) => {}
                Ok(Need::Rebuild(why)) => self.rebuild(event.id, why).await,
            }
        }
        match failed {
            Some(error) => anyhow::bail!(error),
            None => Ok(()),
        }
    }

    /// Puts an event with a ledger back on the list: in a cluster the list is on another master perhaps, which may have
    /// lost it alone.
    async fn list(&self, event: &WatchedEvent, listed: Option<&[EventId]>) {
        let missing = listed.is_some_and(|listed| !listed.contains(&event.id));
        if !missing || event.state.ledger().is_none() {
            return;
        }
        match self.jobs.ledger.list(event.id).await {
            Ok(()) => tracing::info!(event = %event.id, "the event is on the list of ledgers again"),
            Err(error) => tracing::warn!(event = %event.id, %error, "the event is not put on the list"),
        }
    }

    /// Loads our scripts beside those of another version. Where it turns out that they may not be, the next look finds the
    /// fence closed.
    async fn join(&self, event: &WatchedEvent) {
        match self.jobs.ledger.join_fence(event.id, event.epoch).await {
            Ok(true) => tracing::info!(event = %event.id, "our scripts are loaded beside another version's"),
            Ok(false) => {
                tracing::debug!(event = %event.id, "the ledger has changed; our scripts are not loaded");
            }
            Err(error) => tracing::warn!(event = %event.id, %error, "our scripts are not loaded"),
        }
    }

    /// Warms up and closes the events whose time has come, by the clock that windows go by.
    async fn follow_schedule(&self) -> anyhow::Result<()> {
        let settings = &self.jobs.config.worker;
        let schedule = Schedule {
            warm_up_before_ms: settings.auto_warmup_before_s * 1000,
            close_after_ms: settings.auto_close_after_s * 1000,
        };
        let now_ms = self.jobs.ledger.time_ms().await?;
        for (event, state) in self.jobs.store.follow_schedule(schedule, now_ms).await? {
            tracing::info!(%event, ?state, "the event's schedule is followed");
            // A lost hint costs the gateways a poll.
            drop(self.jobs.ledger.hint(event).await);
        }
        Ok(())
    }

    async fn need_of(&self, event: &WatchedEvent) -> Result<Need, StockError> {
        let meta = match self.jobs.ledger.meta(event.id).await {
            Err(StockError::Reply { reply, .. }) => {
                tracing::error!(event = %event.id, reply, "ledger not readable");
                return Ok(event
                    .state
                    .ledger()
                    .map_or(Need::Nothing, |_| Need::Rebuild("it is not readable")));
            }
            read => read?,
        };
        let fence = self.jobs.ledger.fence(event.id, event.epoch).await?;
        Ok(need(event, meta.as_ref(), fence))
    }

    fn resting(&self, event: EventId) -> bool {
        self.failing.get(&event).is_some_and(|(_, until)| Instant::now() < *until)
    }

    async fn rebuild(&mut self, event: EventId, why: &'static str) {
        let outcome = match Lock::take(self.jobs.ledger.clone(), event).await {
            Ok(Some(lock)) => lock.hold(self.rebuild_if_needed(event)).await,
            Ok(None) => return tracing::debug!(%event, "another worker rebuilds the ledger"),
            // Of this event alone perhaps: in a cluster the others' locks are on other masters.
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok(None) => drop(self.failing.remove(&event)),
            Ok(Some(rebuilt)) => {
                self.jobs.metrics.rebuilt(true);
                self.failing.remove(&event);
                tracing::info!(%event, why, epoch = rebuilt.epoch, stock = rebuilt.stock, counted = rebuilt.counted,
                    inflight = rebuilt.inflight, claims = rebuilt.claims, "ledger rebuilt");
            }
            Err(error) => {
                self.jobs.metrics.rebuilt(false);
                let fresh = || (Backoff::new(self.interval, REBUILD_WAIT_MAX), Instant::now());
                let (backoff, until) = self.failing.entry(event).or_insert_with(fresh);
                *until = Instant::now() + backoff.next_wait();
                tracing::error!(%event, why, error = format!("{error:#}"), "ledger not rebuilt; the sale stays closed");
            }
        }
    }

    /// Looks once more, now that nobody else rebuilds: another worker may just have done it.
    async fn rebuild_if_needed(&self, event: EventId) -> anyhow::Result<Option<crate::Rebuilt>> {
        let Some(row) = self.jobs.store.event(event).await? else { return Ok(None) };
        let wanted = WatchedEvent { id: event, epoch: row.epoch, state: row.state };
        match self.need_of(&wanted).await? {
            Need::Rebuild(_) => Ok(Some(self.rebuilder.rebuild(event).await?)),
            Need::Nothing | Need::Transition(_) | Need::Scripts => Ok(None),
        }
    }
}

/// Whether Redis cannot be asked at all, so that asking for the next event is in vain. An error of the command itself (a key
/// of another type, say) is about one event.
pub(crate) fn away(error: &StockError) -> bool {
    use ErrorKind::{Extension, Server, UnexpectedReturnType};
    use ServerErrorKind::{ExecAbort, ResponseError};
    let StockError::Redis(error) = error else { return false };
    !matches!(error.kind(), Extension | UnexpectedReturnType | Server(ExecAbort | ResponseError))
}

#[cfg(test)]
mod tests;
