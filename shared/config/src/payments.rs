//! The payment provider and its callbacks.

use crate::reader::Reader;
use crate::secret::Secret;

/// Section `[payments]`.
#[derive(Clone, Debug)]
pub struct PaymentsConfig {
    /// Secret. Key that signs the provider's callbacks. The default is public: prod refuses it, and any
    /// shorter than 32 bytes; staging warns.
    ///
    /// `SPIKE_PAYMENTS_CALLBACK_SECRET`: any text that is not empty
    pub callback_secret: Secret,
    /// How far the time of a callback's signature may be from ours, in seconds.
    ///
    /// `SPIKE_PAYMENTS_CALLBACK_WINDOW_S`: 1 to 86400
    pub callback_window_s: u64,
    /// How long a charge may take before its outcome counts as unknown, in milliseconds.
    ///
    /// `SPIKE_PAYMENTS_TIMEOUT_MS`: 10 to 60000
    pub timeout_ms: u64,
    /// Attempts to pay that an order may have.
    ///
    /// `SPIKE_PAYMENTS_ATTEMPTS_MAX`: 1 to 100
    pub attempts_max: u32,
    /// How long an attempt stays without an outcome before the worker asks the provider about it, and between
    /// two questions, in milliseconds; also how long a refund waits before it is asked for, and asked for again.
    ///
    /// `SPIKE_PAYMENTS_RESOLVE_AFTER_MS`: 10 to 3600000
    pub resolve_after_ms: u64,
    /// After what age an attempt that the provider has never heard of counts as declined, in milliseconds.
    ///
    /// `SPIKE_PAYMENTS_GIVE_UP_AFTER_MS`: 10 to 86400000
    pub give_up_after_ms: u64,
    /// When the simulated provider decides a payment that is to be late, in milliseconds.
    ///
    /// `SPIKE_PAYMENTS_SIMULATED_DELAY_MS`: 0 to 3600000
    pub simulated_delay_ms: u64,
}

impl PaymentsConfig {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let mut s = reader.section("payments");
        Self {
            callback_secret: s.secret("callback_secret"),
            callback_window_s: s.number("callback_window_s", 1..=86_400),
            timeout_ms: s.number("timeout_ms", 10..=60_000),
            attempts_max: s.number("attempts_max", 1..=100),
            resolve_after_ms: s.number("resolve_after_ms", 10..=3_600_000),
            give_up_after_ms: s.number("give_up_after_ms", 10..=86_400_000),
            simulated_delay_ms: s.number("simulated_delay_ms", 0..=3_600_000),
        }
    }
}
