//! The outbox relay of the gateway: Redis streams to RabbitMQ.

use crate::reader::Reader;

/// Section `[relay]`.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// Whether this gateway relays. Of many gateways a few may do it for all; with none of them, accepted
    /// orders stay in their outboxes.
    ///
    /// `SPIKE_RELAY_ENABLED`: true or false
    pub enabled: bool,
    /// Rest between two looks at an empty outbox, in milliseconds.
    ///
    /// `SPIKE_RELAY_POLL_MS`: 1 to 10000
    pub poll_ms: u64,
    /// An entry another relay took and left for this long is taken over, in milliseconds.
    ///
    /// `SPIKE_RELAY_CLAIM_IDLE_MS`: 100 to 600000
    pub claim_idle_ms: u64,
    /// An entry this old whose orders are not all in the database is published again, in milliseconds; more
    /// than claim_idle_ms.
    ///
    /// `SPIKE_RELAY_REPUBLISH_AFTER_MS`: 200 to 3600000
    pub republish_after_ms: u64,
}

impl RelayConfig {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let mut s = reader.section("relay");
        Self {
            enabled: s.flag("enabled"),
            poll_ms: s.number("poll_ms", 1..=10_000),
            claim_idle_ms: s.number("claim_idle_ms", 100..=600_000),
            republish_after_ms: s.number("republish_after_ms", 200..=3_600_000),
        }
    }
}
