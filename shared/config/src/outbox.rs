//! The outbox between Redis and the database.

use crate::reader::Reader;

/// Section `[outbox]`.
#[derive(Clone, Debug)]
pub struct OutboxConfig {
    /// Units per event accepted and not yet settled; beyond it a buy is answered 503.
    ///
    /// `SPIKE_OUTBOX_INFLIGHT_MAX`: 1 to 100000000
    pub inflight_max: u64,
}

impl OutboxConfig {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let mut s = reader.section("outbox");
        Self { inflight_max: s.number("inflight_max", 1..=100_000_000) }
    }
}
