//! The one bounded queue of spans that have ended, and the thread that sends them.
//!
//! Pushing never waits: when the queue is full the span is dropped and counted. The thread wakes a few times a second by
//! itself, so that pushing wakes nobody either.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use crossbeam::queue::ArrayQueue;
use futures_util::FutureExt;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::buy::Buy;
use crate::Seldom;

/// Longest time that a span waits while the thread has nothing else to do.
const INTERVAL: Duration = Duration::from_millis(200);
/// Spans of one request to the collector.
const BATCH: usize = 512;
/// How long a collector that has failed is left alone.
const REST: Duration = Duration::from_secs(2);

/// The queue and what has become of its spans.
#[derive(Debug)]
pub(super) struct Sink {
    spans: ArrayQueue<SpanData>,
    buys: ArrayQueue<Buy>,
    flushes: Sender<Sender<()>>,
    exported: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

impl Sink {
    /// A queue of `capacity` spans, and as many buys, that `exporter` empties.
    pub(super) fn start(exporter: impl SpanExporter + 'static, capacity: usize) -> std::io::Result<Arc<Self>> {
        let (flushes, asked) = unbounded();
        let sink = Arc::new(Self {
            spans: ArrayQueue::new(capacity),
            buys: ArrayQueue::new(capacity),
            flushes,
            exported: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        });
        let weak = Arc::downgrade(&sink);
        std::thread::Builder::new().name("traces".into()).spawn(move || {
            let mut sending = Sending { exporter, asked, resting: Duration::ZERO };
            while let Some(sink) = weak.upgrade() {
                sending.round(&sink);
            }
        })?;
        Ok(sink)
    }

    pub(super) fn push(&self, span: SpanData) {
        if self.spans.push(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn push_buy(&self, buy: Buy) {
        if self.buys.push(buy).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what is in the queue now has been sent, `limit` at most.
    pub(super) fn flush(&self, limit: Duration) {
        let (done, waits) = bounded(1);
        if self.flushes.send(done).is_ok() {
            let _ = waits.recv_timeout(limit);
        }
    }

    pub(super) fn metrics(&self) -> String {
        let counter = |name: &str, help: &str, value: &AtomicU64| {
            let value = value.load(Ordering::Relaxed);
            format!("# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}\n")
        };
        [
            counter("spike_trace_spans_exported_total", "Spans that the collector has taken.", &self.exported),
            counter("spike_trace_spans_dropped_total", "Spans that found the queue full.", &self.dropped),
            counter("spike_trace_spans_failed_total", "Spans that could not be sent.", &self.failed),
        ]
        .concat()
    }

    /// The next spans to send; empty when there are none.
    fn batch(&self) -> Vec<SpanData> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let Some(buy) = self.buys.pop() else { break };
            batch.extend(buy.into_spans().map(super::Span::into_data));
        }
        while batch.len() < BATCH {
            let Some(span) = self.spans.pop() else { break };
            batch.push(span);
        }
        batch
    }
}

struct Sending<E> {
    exporter: E,
    asked: Receiver<Sender<()>>,
    /// What is left of a failed collector's rest.
    resting: Duration,
}

impl<E: SpanExporter> Sending<E> {
    /// Waits a moment, or for somebody who cannot, and sends what is there.
    fn round(&mut self, sink: &Sink) {
        let waiting = match self.asked.recv_timeout(INTERVAL) {
            Ok(done) => Some(done),
            Err(RecvTimeoutError::Timeout) => None,
            // Not while the sink is here, which holds a sender.
            Err(RecvTimeoutError::Disconnected) => return,
        };
        self.resting = self.resting.saturating_sub(INTERVAL);
        if waiting.is_some() || self.resting.is_zero() {
            self.send_all(sink);
        }
        if let Some(done) = waiting {
            let _ = done.send(());
        }
    }

    fn send_all(&mut self, sink: &Sink) {
        loop {
            let batch = sink.batch();
            if batch.is_empty() {
                return;
            }
            let count = batch.len() as u64;
            match self.send(batch) {
                Ok(()) => drop(sink.exported.fetch_add(count, Ordering::Relaxed)),
                Err(error) => {
                    sink.failed.fetch_add(count, Ordering::Relaxed);
                    tell(&error.to_string(), count);
                    self.resting = REST;
                    return;
                }
            }
        }
    }

    fn send(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        // The client blocks this thread, so the exporter's future never waits.
        self.exporter.export(batch).now_or_never().expect("an exporter over a client that blocks")
    }
}

fn tell(error: &str, spans: u64) {
    static TOLD: Seldom = Seldom::new(1, 60_000);
    if let Some(suppressed) = TOLD.pass_now() {
        tracing::warn!(error, spans, suppressed, "spans not sent; the collector is tried again in a moment");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicBool;

    use opentelemetry_sdk::error::OTelSdkError;

    use super::super::{Kind, Span, root};
    use super::*;

    #[derive(Debug, Default, Clone)]
    struct Taken {
        spans: Arc<Mutex<Vec<SpanData>>>,
        away: Arc<AtomicBool>,
        /// Held by a test that keeps the collector busy.
        busy: Arc<Mutex<()>>,
    }

    impl SpanExporter for Taken {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            drop(self.busy.lock().unwrap());
            if self.away.load(Ordering::SeqCst) {
                return Err(OTelSdkError::InternalFailure("away".into()));
            }
            self.spans.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    fn span() -> SpanData {
        Span::after(root(), root(), Kind::Internal, "work").into_data()
    }

    fn counts(sink: &Sink) -> (u64, u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::SeqCst);
        (of(&sink.exported), of(&sink.dropped), of(&sink.failed))
    }

    #[test]
    fn what_is_pushed_arrives_and_a_full_queue_drops_and_counts() {
        let taken = Taken::default();
        let busy = taken.busy.lock().unwrap();
        let sink = Sink::start(taken.clone(), 64).unwrap();
        let many = 3000;
        for _ in 0..many {
            sink.push(span());
        }
        let dropped = counts(&sink).1;
        assert!(dropped > 0, "nobody waits for a collector that is busy");
        drop(busy);
        sink.flush(Duration::from_secs(30));
        assert_eq!(counts(&sink), (many - dropped, dropped, 0));
        assert_eq!(taken.spans.lock().unwrap().len() as u64, many - dropped);
        assert!(sink.metrics().contains(&format!("\nspike_trace_spans_dropped_total {dropped}\n")));
    }

    #[test]
    fn a_collector_that_is_away_costs_spans_and_nothing_else() {
        let taken = Taken::default();
        taken.away.store(true, Ordering::SeqCst);
        let sink = Sink::start(taken.clone(), 64).unwrap();
        sink.push(span());
        sink.flush(Duration::from_secs(30));
        assert_eq!(counts(&sink), (0, 0, 1));
        taken.away.store(false, Ordering::SeqCst);
        sink.push(span());
        sink.flush(Duration::from_secs(30));
        assert_eq!(counts(&sink), (1, 0, 1), "tried again");
    }
}
