//! Keeps what is revoked true: all of it at the start and twice a minute, the news every half second and at each hint, and
//! what another gateway has just revoked as soon as its hint arrives, which needs no database.
//!
//! Until the first answer nobody can say of any token that it is alive: the gateway is not ready, and answers 503 to whoever
//! comes all the same. Once it has been told, a database that is away stops nothing: what was known stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use spike_domain::SessionId;
use spike_store::{Result, Revocation, Store, StoreError};
use spike_telemetry::Counter;
use tokio::sync::watch;

use super::told;
use crate::shared::Shared;

/// Shortest rest between two looks, however many hints come.
const REST_MIN: Duration = Duration::from_millis(50);
/// Longest look for news. A connection that has died without a word is given up, and the next look has another.
const NEWS_WITHIN: Duration = Duration::from_secs(1);
/// Rest between two looks at everything, for what a database whose clock jumps about may have hidden from the news.
const ALL_EVERY: Duration = Duration::from_secs(30);
/// Least time that a look for news reaches back, in milliseconds.
const OVERLAP_MIN_MS: u64 = 30_000;

/// Follows until the future is dropped.
pub(super) async fn follow(shared: Arc<Shared>, store: Store, hinted: watch::Receiver<()>) {
    let every = Duration::from_millis(shared.config.follower.revocations_poll_ms);
    // A transaction that ends late shows a row that is older than the newest one seen.
    let overlap_ms = OVERLAP_MIN_MS.max(2 * shared.config.database.statement_timeout_ms);
    let following = Following { shared, store, every, overlap_ms, newest_ms: AtomicU64::new(0) };
    following.load().await;
    tokio::join!(following.news(hinted), following.all());
}

/// Takes in what another gateway says that it has revoked.
pub(super) fn told_of(shared: &Shared, sessions: &[SessionId], min_ver: u32) {
    let life_ms = shared.config.auth.token_life_ms();
    let news = sessions.iter().map(|session| (*session, min_ver, life_ms));
    shared.tokens.revocations().learn(news, Instant::now());
}

struct Following {
    shared: Arc<Shared>,
    store: Store,
    every: Duration,
    overlap_ms: u64,
    /// The latest revocation seen, by the database's clock.
    newest_ms: AtomicU64,
}

impl Following {
    async fn load(&self) {
        let mut was_up = true;
        loop {
            let rows = self.store.revocations(0).await;
            was_up = told(was_up, "the revocations", &rows);
            if let Ok(rows) = rows {
                self.learn(&rows);
                self.shared.tokens.revocations().mark_loaded();
                return;
            }
            tokio::time::sleep(self.every).await;
        }
    }

    async fn news(&self, mut hinted: watch::Receiver<()>) {
        let mut was_up = true;
        loop {
            show(&self.shared);
            let next = tokio::time::Instant::now() + self.every;
            tokio::time::sleep(REST_MIN.min(self.every)).await;
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                Ok(()) = hinted.changed() => {}
            }
            let rows = self.look().await;
            was_up = told(was_up, "the revocations", &rows);
            if let Ok(rows) = rows {
                self.learn(&rows);
            }
        }
    }

    async fn look(&self) -> Result<Vec<Revocation>> {
        let newest_ms = self.newest_ms.load(Ordering::Relaxed);
        let looked = self.store.revocations_since(newest_ms, self.overlap_ms);
        tokio::time::timeout(NEWS_WITHIN, looked).await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable(format!("no answer within {NEWS_WITHIN:?}").into()))
        })
    }

    async fn all(&self) {
        loop {
            tokio::time::sleep(ALL_EVERY).await;
            // Where it fails, so does the look for news, which says so.
            if let Ok(rows) = self.store.revocations(0).await {
                self.learn(&rows);
            }
        }
    }

    /// A row says when it is over by the database's clock and for the settings of whoever wrote it. Tokens that this gateway
    /// takes live no longer than its own settings say, from now at the latest.
    fn learn(&self, rows: &[Revocation]) {
        let newest_ms = rows.iter().map(|row| row.created_at_ms).max().unwrap_or(0);
        self.newest_ms.fetch_max(newest_ms, Ordering::Relaxed);
        let life_ms = self.shared.config.auth.token_life_ms();
        let news = rows.iter().map(|row| (row.session, row.min_ver, life_ms));
        self.shared.tokens.revocations().learn(news, Instant::now());
    }
}

/// Sets the gauge to what is held now: the control API learns what it revokes by itself.
fn show(shared: &Shared) {
    shared.counters.set(Counter::RevocationsHeld, shared.tokens.revocations().len() as u64);
}
