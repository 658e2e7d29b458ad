//! The one bounded queue of spans that have ended, and the thread that sends them.
//!
//! Pushing never waits: when the queue is full the span is dropped and counted. The thread wakes a few times a second by
//! itself, so that pushing wakes nobody either.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use crossbeam::queue::ArrayQueue;

use crate::{Buy, Span};

/// Longest time that a span waits while the thread has nothing else to do.
const INTERVAL: Duration = Duration::from_millis(200);
/// Entries of one request to the collector.
const BATCH: usize = 512;
/// How long a collector that has failed is left alone.
const REST: Duration = Duration::from_secs(2);

/// Where spans go.
pub(crate) trait Transport: Send {
    /// Sends; an error says why not.
    fn send(&self, spans: Vec<Span>) -> Result<(), String>;
}

/// What waits.
#[derive(Debug)]
pub(crate) enum Entry {
    Span(Span),
    /// Two spans that are not made yet.
    Buy(Buy),
}

/// The queue and what has become of its spans. A dropped buy counts as one.
#[derive(Debug)]
pub(crate) struct Sink {
    waiting: ArrayQueue<Entry>,
    flushes: Sender<Sender<()>>,
    exported: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

/// The figures of a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub exported: u64,
    pub dropped: u64,
    pub failed: u64,
}

impl Sink {
    /// A queue of `capacity` that `transport` empties.
    pub(crate) fn start(transport: impl Transport + 'static, capacity: usize) -> std::io::Result<Arc<Self>> {
        let (flushes, asked) = unbounded();
        let sink = Arc::new(Self {
            waiting: ArrayQueue::new(capacity),
            flushes,
            exported: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        });
        let weak = Arc::downgrade(&sink);
        std::thread::Builder::new().name("traces".into()).spawn(move || {
            let mut sending = Sending { transport, asked, rest: Duration::ZERO, away: false };
            while let Some(sink) = weak.upgrade() {
                sending.round(&sink);
            }
        })?;
        Ok(sink)
    }

    pub(crate) fn push(&self, entry: Entry) {
        if self.waiting.push(entry).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what is in the queue now has been sent, `limit` at most.
    pub(crate) fn flush(&self, limit: Duration) {
        let (done, waits) = bounded(1);
        if self.flushes.send(done).is_ok() {
            // In time or not: the process ends.
            let _ = waits.recv_timeout(limit);
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts { exported: of(&self.exported), dropped: of(&self.dropped), failed: of(&self.failed) }
    }

    /// The next spans to send; empty when there are none.
    fn batch(&self) -> Vec<Span> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            match self.waiting.pop() {
                Some(Entry::Span(span)) => batch.push(span),
                Some(Entry::Buy(buy)) => batch.extend(buy.into_spans()),
                None => break,
            }
        }
        batch
    }
}

struct Sending<T> {
    transport: T,
    asked: Receiver<Sender<()>>,
    /// What is left of a failed collector's rest.
    rest: Duration,
    /// The collector's last answer was none.
    away: bool,
}

impl<T: Transport> Sending<T> {
    /// Waits a moment, or for somebody who cannot, and sends what is there.
    fn round(&mut self, sink: &Sink) {
        let waiting = match self.asked.recv_timeout(INTERVAL) {
            Ok(done) => Some(done),
            Err(RecvTimeoutError::Timeout) => None,
            // Not while the sink is here, which holds a sender.
            Err(RecvTimeoutError::Disconnected) => return,
        };
        self.rest = self.rest.saturating_sub(INTERVAL);
        if waiting.is_some() || self.rest.is_zero() {
            self.send_all(sink);
        }
        if let Some(done) = waiting {
            // Nobody may wait any more.
            let _ = done.send(());
        }
    }

    fn send_all(&mut self, sink: &Sink) {
        loop {
            let batch = sink.batch();
            if batch.is_empty() {
                return;
            }
            let spans = batch.len() as u64;
            match self.transport.send(batch) {
                Ok(()) => {
                    sink.exported.fetch_add(spans, Ordering::Relaxed);
                    if std::mem::replace(&mut self.away, false) {
                        tracing::info!("the trace collector answers again");
                    }
                }
                Err(error) => {
                    sink.failed.fetch_add(spans, Ordering::Relaxed);
                    self.rest = REST;
                    if !std::mem::replace(&mut self.away, true) {
                        tracing::warn!(
                            error,
                            spans,
                            "spans not sent; the collector is tried again in a moment"
                        );
                    }
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicBool;

    use spike_domain::TraceContext;

    use super::*;
    use crate::Kind;

    #[derive(Default, Clone)]
    struct Taken {
        spans: Arc<Mutex<Vec<Span>>>,
        away: Arc<AtomicBool>,
        /// Held by a test that keeps the collector busy.
        busy: Arc<Mutex<()>>,
    }

    impl Transport for Taken {
        fn send(&self, spans: Vec<Span>) -> Result<(), String> {
            drop(self.busy.lock().unwrap());
            if self.away.load(Ordering::SeqCst) {
                return Err("away".into());
            }
            self.spans.lock().unwrap().extend(spans);
            Ok(())
        }
    }

    fn span() -> Entry {
        let parent = TraceContext { trace_id: 1, span_id: 2, sampled: true };
        Entry::Span(Span::begin(parent, Kind::Internal, "work"))
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
        let dropped = sink.counts().dropped;
        assert!(dropped > 0, "nobody waits for a collector that is busy");
        drop(busy);
        sink.flush(Duration::from_secs(30));
        assert_eq!(sink.counts(), Counts { exported: many - dropped, dropped, failed: 0 });
        assert_eq!(taken.spans.lock().unwrap().len() as u64, many - dropped);
    }

    #[test]
    fn a_collector_that_is_away_costs_spans_and_nothing_else() {
        let taken = Taken::default();
        taken.away.store(true, Ordering::SeqCst);
        let sink = Sink::start(taken.clone(), 64).unwrap();
        sink.push(span());
        sink.flush(Duration::from_secs(30));
        assert_eq!(sink.counts(), Counts { failed: 1, ..Counts::default() });
        taken.away.store(false, Ordering::SeqCst);
        sink.push(span());
        sink.flush(Duration::from_secs(30));
        assert_eq!(sink.counts(), Counts { exported: 1, failed: 1, dropped: 0 }, "tried again");
    }
}
