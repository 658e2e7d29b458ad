//! What a run has done so far: written by every connection, read by the painter and, in the end, by the summary.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The kind of an answer; every request has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The first 202 of an order.
    Accepted,
    /// 409 `sold-out` or `insufficient-stock`.
    SoldOut,
    /// 409 `already-bought`, or a further 202 of an order.
    Duplicate,
    /// Any other answer of class 4xx (and what no buy should get: 1xx-3xx and other 2xx).
    Rejected,
    /// 5xx, an answer that cannot be read, a broken connection, a passed deadline.
    Error,
}

/// Answers by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// First 202 of an order.
    pub accepted: u64,
    /// Refused because nothing, or not enough, was left.
    pub sold_out: u64,
    /// Refused or replayed because the user had bought.
    pub duplicates: u64,
    /// Other refusals of class 4xx.
    pub rejected: u64,
    /// No answer, or one of class 5xx.
    pub errors: u64,
}

impl Counts {
    /// Counts one answer.
    pub fn add(&mut self, kind: Kind) {
        *match kind {
            Kind::Accepted => &mut self.accepted,
            Kind::SoldOut => &mut self.sold_out,
            Kind::Duplicate => &mut self.duplicates,
            Kind::Rejected => &mut self.rejected,
            Kind::Error => &mut self.errors,
        } += 1;
    }

    /// All of them.
    pub fn answered(&self) -> u64 {
        self.accepted + self.sold_out + self.duplicates + self.rejected + self.errors
    }

    fn join(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.sold_out += other.sold_out;
        self.duplicates += other.duplicates;
        self.rejected += other.rejected;
        self.errors += other.errors;
    }
}

/// Figures of a latency histogram, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Latency {
    /// Median.
    pub p50_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

/// The state of a run at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Connections opened before the start.
    pub connected: u64,
    /// Requests that were sent.
    pub sent: u64,
    /// Answers by kind.
    pub counts: Counts,
    /// Over every answer so far.
    pub latency: Latency,
    /// Every word that came with an answer other than an accepted one (`sold-out`, `timeout`, …), with its count.
    pub words: BTreeMap<&'static str, u64>,
}

/// Shared by the connections of a run. Each writes to one of a few shards, whose lock is almost never contended.
#[derive(Debug)]
pub struct Progress {
    connected: AtomicU64,
    sent: AtomicU64,
    shards: [Mutex<Shard>; Self::SHARDS],
}

#[derive(Debug)]
struct Shard {
    counts: Counts,
    words: BTreeMap<&'static str, u64>,
    latency_us: Histogram<u64>,
}

impl Default for Shard {
    fn default() -> Self {
        Self { counts: Counts::default(), words: BTreeMap::new(), latency_us: histogram() }
    }
}

/// Microseconds up to ten minutes, to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).expect("constant bounds that the crate accepts")
}

impl Default for Progress {
    fn default() -> Self {
        Self { connected: AtomicU64::new(0), sent: AtomicU64::new(0), shards: Default::default() }
    }
}

impl Progress {
    const SHARDS: usize = 8;

    /// A connection is open.
    pub fn connected(&self) {
        self.connected.fetch_add(1, Ordering::Relaxed);
    }

    /// A request goes out.
    pub fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// A request has its answer, `latency` after it was due. `lane` is any number of the writer's own.
    pub fn answered(&self, lane: usize, kind: Kind, word: &'static str, latency: Duration) {
        let mut shard = lock(&self.shards[lane % Self::SHARDS]);
        shard.counts.add(kind);
        if kind != Kind::Accepted {
            *shard.words.entry(word).or_default() += 1;
        }
        shard.latency_us.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    /// Everything so far. Copies the histograms: for a painter a few times a second, not for every request.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot =
            Snapshot { connected: self.connected.load(Ordering::Relaxed), ..Snapshot::default() };
        let mut latency_us = histogram();
        for shard in &self.shards {
            let shard = lock(shard);
            snapshot.counts.join(&shard.counts);
            latency_us.add(&shard.latency_us).expect("equal bounds");
            for (word, count) in &shard.words {
                *snapshot.words.entry(word).or_default() += count;
            }
        }
        // Read last, so that no more answers are seen than requests.
        snapshot.sent = self.sent.load(Ordering::Relaxed);
        let at = |percentile: f64| ms(latency_us.value_at_percentile(percentile));
        snapshot.latency = Latency {
            p50_ms: at(50.0),
            p95_ms: at(95.0),
            p99_ms: at(99.0),
            // The histogram rounds up within its three digits; so do the percentiles.
            max_ms: ms(latency_us.max()),
        };
        snapshot
    }
}

#[allow(clippy::cast_precision_loss, reason = "ten minutes of microseconds fit a double exactly")]
pub(crate) fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

/// A writer cannot panic between two of a shard's fields in a way that matters to a count.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_add_up() {
        let progress = Progress::default();
        let answers = [
            (Kind::Accepted, "accepted", 1),
            (Kind::SoldOut, "sold-out", 2),
            (Kind::SoldOut, "sold-out", 3),
            (Kind::Duplicate, "already-bought", 4),
            (Kind::Rejected, "not-started", 5),
            (Kind::Error, "timeout", 1000),
        ];
        for (lane, (kind, word, latency_ms)) in answers.into_iter().enumerate() {
            progress.sent();
            progress.answered(lane * 3, kind, word, Duration::from_millis(latency_ms));
        }
        let snapshot = progress.snapshot();
        let want = Counts { accepted: 1, sold_out: 2, duplicates: 1, rejected: 1, errors: 1 };
        assert_eq!((snapshot.sent, snapshot.counts, want.answered()), (6, want, 6));
        assert_eq!(snapshot.words["sold-out"], 2);
        assert!(!snapshot.words.contains_key("accepted"));
        let near = |figure: f64, want: f64| (figure - want).abs() <= want / 500.0;
        assert!(near(snapshot.latency.p50_ms, 3.0), "{:?}", snapshot.latency);
        assert!(near(snapshot.latency.p99_ms, 1000.0) && near(snapshot.latency.max_ms, 1000.0));
    }

    #[test]
    fn nothing_yet_is_all_zero() {
        assert_eq!(Progress::default().snapshot(), Snapshot::default());
    }
}
