//! What the processes count and measure.

use crate::reader::Reader;

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
}

impl TelemetryConfig {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let mut s = reader.section("telemetry");
        Self {
            hot_metrics: s.flag("hot_metrics"),
            look_interval_ms: s.number("look_interval_ms", 100..=600_000),
        }
    }
}
