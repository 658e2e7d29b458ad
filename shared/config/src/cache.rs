//! The read cache of the catalogue in the control API.

use crate::reader::Reader;

/// Section `[cache]`.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// How long a gateway shows what it has read without looking again, in milliseconds. This is also how long a change
    /// made through another gateway may stay unseen when its message is lost.
    ///
    /// `SPIKE_CACHE_LOCAL_MS`: 0 to 60000
    pub local_ms: u64,
    /// How long it may be shown after that while it is being read anew, in milliseconds.
    ///
    /// `SPIKE_CACHE_STALE_MS`: 0 to 60000
    pub stale_ms: u64,
    /// How long Redis keeps it for all gateways, in milliseconds; only with Redis.
    ///
    /// `SPIKE_CACHE_SHARED_MS`: 1 to 3600000
    pub shared_ms: u64,
    /// Longest wait for Redis before the database is asked instead, in milliseconds.
    ///
    /// `SPIKE_CACHE_TIMEOUT_MS`: 1 to 5000
    pub timeout_ms: u64,
    /// Most answers a gateway keeps.
    ///
    /// `SPIKE_CACHE_ENTRIES_MAX`: 16 to 1000000
    pub entries_max: usize,
    /// Largest answer a gateway keeps, in bytes.
    ///
    /// `SPIKE_CACHE_ENTRY_BYTES_MAX`: 1024 to 16777216
    pub entry_bytes_max: usize,
}

impl CacheConfig {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let mut s = reader.section("cache");
        Self {
            local_ms: s.number("local_ms", 0..=60_000),
            stale_ms: s.number("stale_ms", 0..=60_000),
            shared_ms: s.number("shared_ms", 1..=3_600_000),
            timeout_ms: s.number("timeout_ms", 1..=5_000),
            entries_max: s.number("entries_max", 16..=1_000_000),
            entry_bytes_max: s.number("entry_bytes_max", 1_024..=16_777_216),
        }
    }
}
