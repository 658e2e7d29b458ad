//! Traces: one from a client's request through the ledger, the outbox, the broker and the worker to its SQL.
//!
//! Spans that have ended go into one bounded queue ([`sink`]), whose thread sends them by OTLP over HTTP. A collector that is
//! slow or away costs spans, which are counted, and nothing else. A hot core leaves numbers only ([`Buy`]); the thread makes
//! spans of them. What a task is working on travels with the task ([`Current`]), so that the database can say what it did
//! for whom. Where traces are off there is no [`Traces`], and nobody does anything. Why this is made by hand: docs/adr/0009.

mod buy;
mod current;
mod otlp;
mod sampling;
mod sink;
mod span;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use spike_domain::TraceContext;
use spike_metrics::Page;
use spike_metrics::catalogue::common::{TRACE_SPANS_DROPPED, TRACE_SPANS_EXPORTED, TRACE_SPANS_FAILED};

pub use buy::{Buy, Stamps};
pub use current::{Current, current};
pub use sampling::Sampling;
pub use span::{Kind, Span, Value, new_span_id};

use sampling::AtomicSampling;
use sink::{Entry, Sink};

/// Longest wait for the last spans at the end of a process.
const FLUSH: Duration = Duration::from_secs(2);

/// What a process traces and where to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// An `http://` URL; without a path `/v1/traces` is added.
    pub endpoint: String,
    /// `service.name`.
    pub service: &'static str,
    /// `service.instance.id`: this process among its like.
    pub instance: String,
    /// `deployment.environment.name`.
    pub environment: &'static str,
    /// Part of the traces begun here that is recorded, 0 to 1.
    pub ratio: f64,
    /// What takes as long is kept in any case; `None`: nothing is.
    pub slow: Option<Duration>,
    /// Buys recorded a second and core.
    pub buys_per_s_max: u32,
    /// Spans that wait to be sent.
    pub queue_max: usize,
}

/// The traces of a gateway or a worker.
#[derive(Debug)]
pub struct Traces {
    sampling: AtomicSampling,
    slow: Option<Duration>,
    buys_per_s_max: u32,
    sink: Arc<Sink>,
}

impl Traces {
    /// Starts the thread that sends; it ends with the last clone of these traces.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(settings: &Settings) -> std::io::Result<Arc<Self>> {
        let transport = transport::Http::new(&settings.endpoint, otlp::resource(settings));
        Ok(Arc::new(Self {
            sampling: AtomicSampling::new(Sampling::Part(settings.ratio)),
            slow: settings.slow,
            buys_per_s_max: settings.buys_per_s_max,
            sink: Sink::start(transport, settings.queue_max)?,
        }))
    }

    /// What is recorded now.
    pub fn sampling(&self) -> Sampling {
        self.sampling.get()
    }

    /// Changes it for what begins from now on.
    pub fn set_sampling(&self, sampling: Sampling) {
        self.sampling.set(sampling);
    }

    /// Whether anything may be recorded.
    #[inline]
    pub fn on(&self) -> bool {
        self.sampling.get() != Sampling::Off
    }

    /// The context of a new piece of work: a fresh span in the client's trace, or in a new one. A client's word on whether
    /// it is recorded is taken, unless nothing is.
    pub fn begin(&self, parent: Option<TraceContext>) -> TraceContext {
        let sampling = self.sampling.get();
        match parent {
            Some(parent) => {
                let sampled = parent.sampled && sampling != Sampling::Off;
                TraceContext { sampled, ..parent.at(new_span_id()) }
            }
            None => {
                let low = fastrand::u64(..);
                let trace_id = u128::from(fastrand::u64(1..)) << 64 | u128::from(low);
                TraceContext { trace_id, span_id: new_span_id(), sampled: sampling.takes(low) }
            }
        }
    }

    /// Whether what ended so is kept although its trace is not recorded.
    pub fn keeps(&self, failed: bool, took: Duration) -> bool {
        self.on() && (failed || self.slow.is_some_and(|slow| took >= slow))
    }

    /// Buys that one core may have recorded in a second.
    pub fn buys_per_s_max(&self) -> u32 {
        self.buys_per_s_max
    }

    /// Takes over a span that has ended. Never waits.
    pub fn record(&self, span: Span) {
        // A trace that another process records ends here while nothing is.
        if self.on() {
            self.sink.push(Entry::Span(span));
        }
    }

    /// Takes over a buy that has ended. Never waits.
    pub fn record_buy(&self, buy: Buy) {
        self.sink.push(Entry::Buy(buy));
    }

    /// Sends what waits and returns when it is sent, or after two seconds. It blocks: for the end of a process.
    pub fn flush(&self) {
        self.sink.flush(FLUSH);
    }
}

/// Shows what has become of the spans; zeros where traces are off.
pub fn write_metrics(traces: Option<&Arc<Traces>>, page: &mut Page) {
    let counts = traces.map(|traces| traces.sink.counts()).unwrap_or_default();
    page.value(&TRACE_SPANS_EXPORTED, counts.exported);
    page.value(&TRACE_SPANS_DROPPED, counts.dropped);
    page.value(&TRACE_SPANS_FAILED, counts.failed);
}

#[cfg(test)]
mod tests;
