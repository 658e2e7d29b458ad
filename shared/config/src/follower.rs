//! The gateway's follower, which keeps the hot cores' snapshots fresh.

use crate::reader::Reader;

/// Section `[follower]`.
#[derive(Clone, Debug)]
pub struct FollowerConfig {
    /// Rest between two looks at the ledgers' state and version in Redis, in milliseconds; a hint makes it
    /// look at once.
    ///
    /// `SPIKE_FOLLOWER_POLL_MS`: 10 to 60000
    pub poll_ms: u64,
    /// Rest between two looks at the events' definitions in the database, in milliseconds.
    ///
    /// `SPIKE_FOLLOWER_DEFINITIONS_POLL_MS`: 10 to 600000
    pub definitions_poll_ms: u64,
    /// Rest between two looks at the revoked tokens in the database, in milliseconds; a hint makes it look at
    /// once. A revoked token must be refused everywhere within 2 s.
    ///
    /// `SPIKE_FOLLOWER_REVOCATIONS_POLL_MS`: 10 to 1000
    pub revocations_poll_ms: u64,
    /// Life of a sold-out flag before one buyer may try again, in milliseconds.
    ///
    /// `SPIKE_FOLLOWER_SOLD_OUT_MS`: 10 to 60000
    pub sold_out_ms: u64,
}

impl FollowerConfig {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let mut s = reader.section("follower");
        Self {
            poll_ms: s.number("poll_ms", 10..=60_000),
            definitions_poll_ms: s.number("definitions_poll_ms", 10..=600_000),
            revocations_poll_ms: s.number("revocations_poll_ms", 10..=1000),
            sold_out_ms: s.number("sold_out_ms", 10..=60_000),
        }
    }
}
