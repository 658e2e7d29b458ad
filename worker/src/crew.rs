//! Payment attempts that wait for something of somebody else, a few at once.
//!
//! Each is its own task, and a task that is stuck holds up only its own place: whenever one of the others ends, its place
//! goes to the attempt that has waited longest. The list of what waits is read anew each time, so that nothing is kept
//! here that a crash could lose.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::BoxFuture;
use spike_domain::AttemptId;
use spike_store::{PaymentAttempt, Result};
use tokio::task::JoinSet;

use crate::stop::Stop;

/// Attempts worked on at once. As many are read: whatever is under way, the others of the list have places.
const PLACES: usize = 8;

/// One kind of work.
pub(crate) trait Chore: Clone + Send + Sync + 'static {
    /// What it is, for the log.
    const NAME: &'static str;

    /// What waits, longest first, at most `limit`.
    fn waiting(&self, limit: u32) -> BoxFuture<'_, Result<Vec<PaymentAttempt>>>;

    /// Works on one. False when that must not be tried again before the next rest.
    fn work(&self, attempt: PaymentAttempt) -> BoxFuture<'_, bool>;
}

/// Works until `stop`, then lets those under way end. `rest` is the longest time between two looks at what waits.
pub(crate) async fn run(chore: impl Chore, rest: Duration, mut stop: Stop) {
    let mut crew = Crew { busy: HashSet::new(), tasks: JoinSet::new() };
    while !stop.asked() {
        crew.fill(&chore).await;
        let rested = tokio::time::Instant::now() + rest;
        loop {
            tokio::select! {
                () = stop.wait() => break,
                () = tokio::time::sleep_until(rested) => break,
                Some(again) = crew.one_ends() => if again { break },
            }
        }
    }
    while crew.one_ends().await.is_some() {}
}

struct Crew {
    busy: HashSet<AttemptId>,
    tasks: JoinSet<(AttemptId, bool)>,
}

impl Crew {
    /// Gives the free places to what has waited longest.
    async fn fill<C: Chore>(&mut self, chore: &C) {
        // At most the places that are taken are on the list again.
        let limit = u32::try_from(self.busy.len() + PLACES).unwrap_or(u32::MAX);
        let waiting = match chore.waiting(limit).await {
            Ok(waiting) => waiting,
            Err(error) => return tracing::warn!(%error, job = C::NAME, "waits for the database"),
        };
        for attempt in waiting {
            if self.busy.len() >= PLACES {
                return;
            }
            if self.busy.insert(attempt.attempt) {
                let chore = chore.clone();
                self.tasks.spawn(async move { (attempt.attempt, chore.work(attempt).await) });
            }
        }
    }

    /// Waits for one to end: whether there is reason to look for more before the next rest. `None` when none is under
    /// way.
    async fn one_ends(&mut self) -> Option<bool> {
        let (attempt, again) = self.tasks.join_next().await?.expect("a chore does not panic");
        self.busy.remove(&attempt);
        Some(again)
    }
}
