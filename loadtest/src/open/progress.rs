//! What an open load has done so far, for its painter and for whoever samples the servers beside it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::figures::{Kind, Second, Tally};
use super::recorder::Recorder;
use super::{OpenSpec, StreamResult};
use crate::painter::{Mode, Painter, rate};
use crate::progress::{histogram, ms};

/// Written by the connections of one load. The locks are held for a few counts, so they are hardly ever contended.
#[derive(Debug)]
pub struct OpenProgress {
    streams: Vec<Mutex<Recorder>>,
    duration: Duration,
    now_ms: AtomicU64,
}

/// The state of all streams together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OpenSnapshot {
    /// How long the load has run.
    pub elapsed: Duration,
    /// Arrivals so far.
    pub offered: u64,
    /// Those given up before they could be sent.
    pub not_sent: u64,
    /// Answers by kind.
    pub answers: Tally,
    /// 99th percentile so far, milliseconds from the scheduled time.
    pub p99_ms: f64,
}

impl OpenSnapshot {
    /// Arrivals without an outcome yet, in the line or on a connection.
    pub fn under_way(&self) -> u64 {
        self.offered.saturating_sub(self.not_sent + self.answers.answered())
    }
}

impl OpenProgress {
    /// Fresh progress for the streams of `spec`.
    pub fn new(spec: &OpenSpec) -> Self {
        let recorder = |stream: &super::Stream| Mutex::new(Recorder::new(&stream.name, stream.rate_per_s));
        Self {
            streams: spec.streams.iter().map(recorder).collect(),
            duration: spec.duration,
            now_ms: AtomicU64::new(0),
        }
    }

    /// Everything so far. Joins the histograms: a few times a second, not for every request.
    pub fn snapshot(&self) -> OpenSnapshot {
        let elapsed = Duration::from_millis(self.now_ms.load(Ordering::Relaxed));
        let mut snapshot = OpenSnapshot { elapsed, ..OpenSnapshot::default() };
        let mut latency_us = histogram();
        for at in 0..self.streams.len() {
            let recorder = self.stream(at);
            let (offered, not_sent, answers) = recorder.so_far();
            snapshot.offered += offered;
            snapshot.not_sent += not_sent;
            snapshot.answers.join(&answers);
            latency_us.add(recorder.latency_us()).expect("equal bounds");
        }
        snapshot.p99_ms = ms(latency_us.value_at_percentile(99.0));
        snapshot
    }

    /// The seconds of stream `stream` that are over.
    pub fn seconds(&self, stream: usize) -> Vec<Second> {
        let now = Duration::from_millis(self.now_ms.load(Ordering::Relaxed));
        self.stream(stream).seconds(now).to_vec()
    }

    /// Starts painting to standard error.
    pub fn paint(self: std::sync::Arc<Self>, mode: Mode) -> Painter {
        let mut before = 0;
        Painter::show(mode, move |interval| {
            let now = self.snapshot();
            let answered = now.answers.answered();
            let speed = interval.map(|interval| rate(answered - before, interval));
            before = answered;
            line(&now, self.duration, speed)
        })
    }

    pub(super) fn offered(&self, stream: usize, at: Duration, now: Duration) {
        self.tell(now);
        self.stream(stream).offered(at, now);
    }

    pub(super) fn not_sent(&self, stream: usize, at: Duration, now: Duration) {
        self.tell(now);
        self.stream(stream).not_sent(at, now);
    }

    pub(super) fn answered(
        &self,
        (stream, at): (usize, Duration),
        (sent_at, now): (Duration, Duration),
        (kind, word): (Kind, &'static str),
    ) {
        self.tell(now);
        self.stream(stream).answered(at, sent_at, now, kind, word);
    }

    pub(super) fn finish(&self) -> Vec<StreamResult> {
        (0..self.streams.len()).map(|at| self.stream(at).finish()).collect()
    }

    fn tell(&self, now: Duration) {
        self.now_ms.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// A writer cannot panic between two of a recorder's fields in a way that matters to a count.
    fn stream(&self, at: usize) -> MutexGuard<'_, Recorder> {
        self.streams[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the painter says of `now`.
fn line(now: &OpenSnapshot, duration: Duration, answers_per_s: Option<f64>) -> String {
    let speed = answers_per_s.map_or_else(String::new, |speed| format!(" · {speed:.0} answers/s"));
    let count = |name: &str, count: u64| match count {
        0 => String::new(),
        count => format!(" · {name} {count}"),
    };
    format!(
        "{:.0} of {:.0} s{speed} · offered {} · accepted {} · under way {} · p99 {:.1} ms{}{}{}",
        now.elapsed.as_secs_f64().floor(),
        duration.as_secs_f64(),
        now.offered,
        now.answers.accepted,
        now.under_way(),
        now.p99_ms,
        count("refused", now.answers.refused),
        count("not sent", now.not_sent),
        count("errors", now.answers.errors),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_arrives_and_what_waits() {
        let answers = Tally { accepted: 900, sold_out: 50, ..Tally::default() };
        let now = OpenSnapshot {
            elapsed: Duration::from_millis(12_900),
            offered: 1000,
            answers,
            p99_ms: 12.34,
            ..OpenSnapshot::default()
        };
        assert_eq!(
            line(&now, Duration::from_secs(60), Some(400.4)),
            "12 of 60 s · 400 answers/s · offered 1000 · accepted 900 · under way 50 · p99 12.3 ms"
        );
        let failing =
            OpenSnapshot { not_sent: 4, answers: Tally { errors: 7, refused: 2, ..answers }, ..now };
        assert_eq!(
            line(&failing, Duration::from_secs(60), None),
            "12 of 60 s · offered 1000 · accepted 900 · under way 37 · p99 12.3 ms · refused 2 · not sent 4 · errors 7"
        );
    }
}
