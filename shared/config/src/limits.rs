//! Token buckets in front of a buy, as a rate and a burst each (GCRA). They hold per gateway process, not over
//! all of them.

use crate::reader::{Reader, Section};

/// A sustained rate and what may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests per second; 0: no limit.
    pub per_s: u32,
    /// Requests at once, at least 1.
    pub burst: u32,
}

impl Rate {
    /// Whether there is no limit.
    pub fn is_off(&self) -> bool {
        self.per_s == 0
    }
}

/// Section `[limits]`.
#[derive(Clone, Debug)]
pub struct LimitsConfig {
    /// Buys over all events; off by default.
    ///
    /// `SPIKE_LIMITS_GLOBAL_PER_S`: 0 to 100000000;
    /// `SPIKE_LIMITS_GLOBAL_BURST`: 1 to 100000000
    pub global: Rate,
    /// Buys of one event; off by default.
    ///
    /// `SPIKE_LIMITS_EVENT_PER_S`: 0 to 100000000;
    /// `SPIKE_LIMITS_EVENT_BURST`: 1 to 100000000
    pub event: Rate,
    /// Buys of one user.
    ///
    /// `SPIKE_LIMITS_USER_PER_S`: 0 to 100000000;
    /// `SPIKE_LIMITS_USER_BURST`: 1 to 100000000
    pub user: Rate,
    /// Buys from one client address.
    ///
    /// `SPIKE_LIMITS_ADDRESS_PER_S`: 0 to 100000000;
    /// `SPIKE_LIMITS_ADDRESS_BURST`: 1 to 100000000
    pub address: Rate,
    /// A second press of one user on one event within this time is answered 429, in milliseconds; 0: off.
    ///
    /// `SPIKE_LIMITS_DEBOUNCE_MS`: 0 to 60000
    pub debounce_ms: u64,
    /// Slots of the user table and of the address table.
    ///
    /// `SPIKE_LIMITS_TABLE_SLOTS`: a power of two, 1024 to 134217728
    pub table_slots: usize,
}

impl LimitsConfig {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let mut s = reader.section("limits");
        Self {
            global: rate(&mut s, "global_per_s", "global_burst"),
            event: rate(&mut s, "event_per_s", "event_burst"),
            user: rate(&mut s, "user_per_s", "user_burst"),
            address: rate(&mut s, "address_per_s", "address_burst"),
            debounce_ms: s.number("debounce_ms", 0..=60_000),
            table_slots: s.power_of_two("table_slots", 1024..=134_217_728),
        }
    }
}

fn rate(s: &mut Section<'_>, per_s: &str, burst: &str) -> Rate {
    Rate { per_s: s.number(per_s, 0..=100_000_000), burst: s.number(burst, 1..=100_000_000) }
}
