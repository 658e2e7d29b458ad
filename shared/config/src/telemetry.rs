//! What the processes count and measure, which traces they record and where those are sent.

use crate::profile::Profile;
use crate::reader::Reader;
use crate::server_url::ServerUrl;

/// Section `[telemetry]`.
#[derive(Clone, Debug)]
pub struct TelemetryConfig {
    /// Whether the hot cores count and time what they do; what goes up and down (connections, waiters) is
    /// shown either way.
    ///
    /// `SPIKE_TELEMETRY_HOT_METRICS`: true or false
    pub hot_metrics: bool,
    /// Rest between two looks of a gateway at the outboxes and the queues, in milliseconds.
    ///
    /// `SPIKE_TELEMETRY_LOOK_INTERVAL_MS`: 100 to 600000
    pub look_interval_ms: u64,
    /// Where spans go, by OTLP over HTTP; `/v1/traces` is added to a URL without a path. Empty: nowhere, and
    /// nothing is recorded. Without TLS: the collector is one beside this process.
    ///
    /// `SPIKE_TELEMETRY_OTLP_ENDPOINT`: an `http://` URL such as `http://127.0.0.1:4318`, or empty
    pub otlp_endpoint: Option<ServerUrl>,
    /// Part of the traces begun here that is recorded; a trace that a client has begun goes by the client's
    /// word. Resolved here: auto is 1 in dev, 0.1 in staging and 0.01 in prod.
    ///
    /// `SPIKE_TELEMETRY_SAMPLE_RATIO`: auto, or 0 to 1
    pub sample_ratio: f64,
    /// A request that takes longer is kept even if its trace is not recorded, in milliseconds; 0: none is.
    ///
    /// `SPIKE_TELEMETRY_SLOW_MS`: 0 to 60000
    pub slow_ms: u64,
    /// Buys recorded a second and core, whatever clients ask for; the others count as not recorded.
    ///
    /// `SPIKE_TELEMETRY_SAMPLED_PER_S_MAX`: 1 to 1000000
    pub sampled_per_s_max: u32,
    /// Spans that wait to be sent; one more is dropped and counted.
    ///
    /// `SPIKE_TELEMETRY_QUEUE_MAX`: 64 to 1048576
    pub queue_max: usize,
    /// Whether the ops port answers under `/debug/`: profiles, heap figures and the log's level.
    ///
    /// `SPIKE_TELEMETRY_DEBUG_ENDPOINTS`: true or false
    pub debug_endpoints: bool,
}

impl TelemetryConfig {
    pub(crate) fn read(reader: &mut Reader, profile: Profile) -> Self {
        let mut s = reader.section("telemetry");
        Self {
            hot_metrics: s.flag("hot_metrics"),
            look_interval_ms: s.number("look_interval_ms", 100..=600_000),
            otlp_endpoint: s.http_endpoint("otlp_endpoint"),
            sample_ratio: s.ratio("sample_ratio").unwrap_or(match profile {
                Profile::Dev => 1.0,
                Profile::Staging => 0.1,
                Profile::Prod => 0.01,
            }),
            slow_ms: s.number("slow_ms", 0..=60_000),
            sampled_per_s_max: s.number("sampled_per_s_max", 1..=1_000_000),
            queue_max: s.number("queue_max", 64..=1_048_576),
            debug_endpoints: s.flag("debug_endpoints"),
        }
    }
}
