//! Counts one stream: outcomes by kind and by word, latencies from the scheduled time, and a line a second.
//!
//! Every moment is told as the time since the start.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::StreamResult;
use super::figures::{Kind, Percentiles, Second, StreamFigures, Tally};
use crate::progress::histogram;

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
