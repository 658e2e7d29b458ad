//! Counts one stream: outcomes by kind and by word, latencies from the scheduled time, and a line a second.
//!
//! Every moment is told as the time since the start.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::StreamResult;
use crate::progress::{self, histogram, ms};

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

    fn add(&mut self, kind: Kind) {
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

/// Counts while a stream runs.
#[derive(Debug)]
pub(super) struct Recorder {
    figures: StreamFigures,
    words: BTreeMap<&'static str, u64>,
    latency_us: Histogram<u64>,
    accepted_us: Histogram<u64>,
    lateness_us: Histogram<u64>,
    /// Of the second that is under way, the last one written to.
    second_us: Histogram<u64>,
    second: usize,
}

impl Recorder {
    pub(super) fn new(name: &str, rate_per_s: f64) -> Self {
        Self {
            figures: StreamFigures { name: name.to_owned(), rate_per_s, ..StreamFigures::default() },
            words: BTreeMap::new(),
            latency_us: histogram(),
            accepted_us: histogram(),
            lateness_us: histogram(),
            second_us: histogram(),
            second: 0,
        }
    }

    /// An arrival scheduled for `at` is looked at for the first time.
    pub(super) fn offered(&mut self, at: Duration, now: Duration) {
        self.figures.offered += 1;
        self.at(at).offered += 1;
        record(&mut self.lateness_us, now.saturating_sub(at));
    }

    /// The client gave an arrival up that was never sent.
    pub(super) fn not_sent(&mut self, at: Duration, now: Duration) {
        self.figures.not_sent += 1;
        self.at(now).not_sent += 1;
        self.ended(at, now);
    }

    /// An arrival that went out at `sent_at` has come to its end.
    pub(super) fn answered(
        &mut self,
        at: Duration,
        sent_at: Duration,
        now: Duration,
        kind: Kind,
        word: &'static str,
    ) {
        self.figures.sent += 1;
        self.at(sent_at).sent += 1;
        self.figures.answers.add(kind);
        let second = self.at(now);
        second.answered += 1;
        match kind {
            Kind::Accepted => second.accepted += 1,
            Kind::Refused => second.refused += 1,
            Kind::Error => second.errors += 1,
            Kind::SoldOut | Kind::Duplicate | Kind::Rejected => {}
        }
        if kind == Kind::Accepted {
            record(&mut self.accepted_us, now.saturating_sub(at));
        } else {
            *self.words.entry(word).or_default() += 1;
        }
        self.ended(at, now);
    }

    /// Counts so far.
    pub(super) fn so_far(&self) -> (u64, u64, Tally) {
        (self.figures.offered, self.figures.not_sent, self.figures.answers)
    }

    /// The latencies so far, microseconds.
    pub(super) fn latency_us(&self) -> &Histogram<u64> {
        &self.latency_us
    }

    /// The seconds that are over at `now`.
    pub(super) fn seconds(&self, now: Duration) -> &[Second] {
        let over = self.second.min(second_of(now)).min(self.figures.seconds.len());
        &self.figures.seconds[..over]
    }

    /// The figures, when everything has ended.
    ///
    /// # Panics
    /// When an arrival has no outcome, or more than one: a fault of the generator, not of what it presses.
    pub(super) fn finish(&mut self) -> StreamResult {
        self.close_second();
        let figures = StreamFigures {
            words: self.words.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect(),
            latency: Percentiles::of(&self.latency_us),
            accepted_latency: Percentiles::of(&self.accepted_us),
            lateness: Percentiles::of(&self.lateness_us),
            ..self.figures.clone()
        };
        assert_eq!(figures.offered, figures.sent + figures.not_sent, "every arrival is sent or given up");
        assert_eq!(figures.sent, figures.answers.answered(), "every request has exactly one kind of answer");
        assert_eq!(figures.offered, self.latency_us.len(), "every arrival has one latency");
        StreamResult { figures, latency_us: self.latency_us.clone() }
    }

    fn at(&mut self, moment: Duration) -> &mut Second {
        let at = second_of(moment);
        let seconds = &mut self.figures.seconds;
        while seconds.len() <= at {
            let at_s = u32::try_from(seconds.len()).unwrap_or(u32::MAX);
            seconds.push(Second { at_s, ..Second::default() });
        }
        &mut seconds[at]
    }

    fn ended(&mut self, at: Duration, now: Duration) {
        let latency = now.saturating_sub(at);
        // Ends come in the order of time but for those that two connections note at once.
        if second_of(now) > self.second {
            self.close_second();
            self.second = second_of(now);
        }
        record(&mut self.second_us, latency);
        record(&mut self.latency_us, latency);
    }

    fn close_second(&mut self) {
        let figures = Percentiles::of(&self.second_us);
        if let Some(second) = self.figures.seconds.get_mut(self.second) {
            (second.p50_ms, second.p95_ms, second.p99_ms) = (figures.p50_ms, figures.p95_ms, figures.p99_ms);
        }
        self.second_us.reset();
    }
}

fn second_of(moment: Duration) -> usize {
    usize::try_from(moment.as_secs()).unwrap_or(usize::MAX)
}

fn record(us: &mut Histogram<u64>, time: Duration) {
    us.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
