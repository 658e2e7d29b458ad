//! Token buckets in front of a buy, as a rate and a burst each (GCRA), where no administrator has set other limits at run
//! time. They hold per gateway process, not over all of them.

use spike_domain::{Rate, RateLimits};

use crate::reader::{Reader, Section};

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
    pub debounce_ms: u32,
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
            debounce_ms: s.number("debounce_ms", 0..=RateLimits::DEBOUNCE_MS_MAX),
            table_slots: s.power_of_two("table_slots", 1024..=134_217_728),
        }
    }

    /// The limits themselves.
    pub fn rates(&self) -> RateLimits {
        let Self { global, event, user, address, debounce_ms, .. } = *self;
        RateLimits { global, event, user, address, debounce_ms }
    }
}

fn rate(s: &mut Section<'_>, per_s: &str, burst: &str) -> Rate {
    Rate { per_s: s.number(per_s, 0..=Rate::PER_S_MAX), burst: s.number(burst, 1..=Rate::BURST_MAX) }
}
