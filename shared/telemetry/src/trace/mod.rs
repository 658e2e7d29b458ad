//! Traces: spans of OpenTelemetry, sent by OTLP over HTTP to whatever collects them.
//!
//! Two ways lead to one bounded queue and its thread ([`sink`]). The cold side's spans are those of `tracing`, brought over by
//! a layer ([`layer`]). What happens to orders (hot cores, relay, worker) is put into [`Span`]s by hand, because thousands of
//! orders share a batch, and only those that are sampled may cost anything. A hot core leaves numbers only ([`Buy`]); the
//! queue's thread makes spans of them. A collector that is slow or away costs spans, which are counted, and nothing else.

mod buy;
mod layer;
mod sampler;
mod sink;
mod span;
mod transport;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use opentelemetry_sdk::Resource;
use spike_domain::TraceContext;

pub use buy::{Buy, Stamps};
pub use layer::continue_from;
pub(crate) use layer::spans_of_tracing;
pub use opentelemetry::KeyValue;
pub use sampler::Ratio;
pub use span::{Kind, Span, new_span_id, root};

use sink::Sink;

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

/// The traces of this process.
#[derive(Debug)]
pub struct Traces {
    settings: Settings,
    ratio: Ratio,
    sink: Arc<Sink>,
}

/// There is one a process, as there is one log.
static ACTIVE: OnceLock<Arc<Traces>> = OnceLock::new();

/// The traces of this process; `None` when they are off.
pub fn active() -> Option<&'static Arc<Traces>> {
    ACTIVE.get()
}

/// Sends what still waits, for two seconds at most. For the end of a process.
pub fn flush() {
    if let Some(traces) = active() {
        traces.sink.flush(FLUSH);
    }
}

/// What has become of the spans so far, in the Prometheus text format; empty when traces are off.
pub fn metrics() -> String {
    active().map(|traces| traces.sink.metrics()).unwrap_or_default()
}

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The endpoint is not one.
    #[error("SPIKE_TELEMETRY_OTLP_ENDPOINT: {0}")]
    Endpoint(String),
    /// The system has no thread left.
    #[error("no thread to send traces from: {0}")]
    Thread(#[from] std::io::Error),
}

impl Traces {
    /// Starts the thread that sends.
    ///
    /// # Errors
    /// An endpoint that is none, or no thread.
    pub fn start(settings: Settings) -> Result<Arc<Self>, StartError> {
        let exporter = transport::exporter(&settings.endpoint, resource(&settings))?;
        let sink = Sink::start(exporter, settings.queue_max)?;
        Ok(Arc::new(Self { ratio: Ratio::new(settings.ratio), settings, sink }))
    }

    /// Makes these the traces of the process. The first ones stay.
    pub(crate) fn activate(self: &Arc<Self>) {
        let _ = ACTIVE.set(self.clone());
    }

    /// How they are set up.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Which new traces are recorded.
    pub fn ratio(&self) -> Ratio {
        self.ratio
    }

    /// Takes over a span that has ended. Never waits.
    pub fn record(&self, span: Span) {
        self.sink.push(span.into_data());
    }

    /// Takes over a buy that has ended. Never waits, never allocates.
    pub fn record_buy(&self, buy: Buy) {
        self.sink.push_buy(buy);
    }

    /// Sends what waits and returns when it is sent, or when `limit` has passed.
    pub fn flush(&self, limit: Duration) {
        self.sink.flush(limit);
    }

    /// Whether a request that ended so is kept although its trace is not recorded.
    pub fn keeps(&self, failed: bool, took: Duration) -> bool {
        failed || self.settings.slow.is_some_and(|slow| took >= slow)
    }
}

fn resource(settings: &Settings) -> Resource {
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", settings.service),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", settings.instance.clone()),
            KeyValue::new("deployment.environment.name", settings.environment),
        ])
        .build()
}

/// The moment `before` an `end`.
fn back(end: SystemTime, before: Duration) -> SystemTime {
    end.checked_sub(before).unwrap_or(end)
}

/// As `trace_id` stands in logs.
pub fn trace_id_text(context: TraceContext) -> String {
    format!("{:032x}", context.trace_id)
}
