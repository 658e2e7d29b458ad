//! The figures of a stream: answers by kind, percentiles, and a line a second.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::progress::{self, ms};

/// The kind of an answer; every request that was sent has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 2xx; of buys, the first 202 of an order.
    Accepted,
    /// Of buys: nothing, or not enough, was left.
    SoldOut,
    /// Of buys: the user had bought.
    Duplicate,
    /// Of everything but buys: 429, or 503 with `Retry-After`.
    Refused,
    /// Any other 4xx; of buys 429 as well.
    Rejected,
    /// 5xx, no answer, no connection.
    Error,
}

impl From<progress::Kind> for Kind {
    fn from(kind: progress::Kind) -> Self {
        match kind {
            progress::Kind::Accepted => Self::Accepted,
            progress::Kind::SoldOut => Self::SoldOut,
            progress::Kind::Duplicate => Self::Duplicate,
            progress::Kind::Rejected => Self::Rejected,
            progress::Kind::Error => Self::Error,
        }
    }
}

/// Answers by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// See [`Kind::Accepted`].
    pub accepted: u64,
    /// See [`Kind::SoldOut`].
    pub sold_out: u64,
    /// See [`Kind::Duplicate`].
    pub duplicates: u64,
    /// See [`Kind::Refused`].
    pub refused: u64,
    /// See [`Kind::Rejected`].
    pub rejected: u64,
    /// See [`Kind::Error`].
    pub errors: u64,
}

impl Tally {
    /// All of them.
    pub fn answered(&self) -> u64 {
        self.accepted + self.sold_out + self.duplicates + self.refused + self.rejected + self.errors
    }

    pub(super) fn join(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.sold_out += other.sold_out;
        self.duplicates += other.duplicates;
        self.refused += other.refused;
        self.rejected += other.rejected;
        self.errors += other.errors;
    }

    pub(super) fn add(&mut self, kind: Kind) {
        *match kind {
            Kind::Accepted => &mut self.accepted,
            Kind::SoldOut => &mut self.sold_out,
            Kind::Duplicate => &mut self.duplicates,
            Kind::Refused => &mut self.refused,
            Kind::Rejected => &mut self.rejected,
            Kind::Error => &mut self.errors,
        } += 1;
    }
}

/// Figures of a histogram, milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Median.
    pub p50_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// 99.9th percentile.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Percentiles {
    /// Of a histogram of microseconds; all 0 for an empty one.
    pub fn of(us: &Histogram<u64>) -> Self {
        let at = |percentile: f64| ms(us.value_at_percentile(percentile));
        Self { p50_ms: at(50.0), p95_ms: at(95.0), p99_ms: at(99.0), p999_ms: at(99.9), max_ms: ms(us.max()) }
    }
}

/// One second of a run. Requests are offered in the second they were scheduled for, sent in the one they went out in;
/// everything else is of the second in which it came to its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// The second, from the start of the run.
    pub at_s: u32,
    /// Scheduled.
    pub offered: u64,
    /// Handed to a connection.
    pub sent: u64,
    /// Given up before they could be sent.
    pub not_sent: u64,
    /// Sent and ended, in an answer or an error.
    pub answered: u64,
    /// See [`Kind::Accepted`].
    pub accepted: u64,
    /// See [`Kind::Refused`].
    pub refused: u64,
    /// See [`Kind::Error`].
    pub errors: u64,
    /// Median of what ended in this second, milliseconds from the scheduled time; 0 when nothing did.
    pub p50_ms: f64,
    /// The same, 95th percentile.
    pub p95_ms: f64,
    /// The same, 99th percentile.
    pub p99_ms: f64,
}

/// What became of one stream's arrivals.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamFigures {
    /// The stream's name.
    pub name: String,
    /// The rate it was to have.
    pub rate_per_s: f64,
    /// Arrivals.
    pub offered: u64,
    /// Those handed to a connection; each has an answer or an error.
    pub sent: u64,
    /// Those whose deadline passed before there was a connection for them: the client gave up.
    pub not_sent: u64,
    /// Answers by kind.
    pub answers: Tally,
    /// Answers by word (`sold-out`, `timeout`, …), accepted ones aside.
    pub words: BTreeMap<String, u64>,
    /// From the scheduled time to the end of every arrival: its answer, its error, or when the client gave up.
    pub latency: Percentiles,
    /// The same of the accepted ones alone.
    pub accepted_latency: Percentiles,
    /// How long after its scheduled time an arrival was looked at: the generator's own part of the latencies.
    pub lateness: Percentiles,
    /// Every second from the start to the last outcome.
    pub seconds: Vec<Second>,
}
