//! Ordinary orders, and the keys of requests about orders of both kinds.

use crate::reader::Reader;

/// Section `[orders]`.
#[derive(Clone, Debug)]
pub struct OrdersConfig {
    /// How long an ordinary order may stay unpaid before it is cancelled, in seconds.
    ///
    /// `SPIKE_ORDERS_PAY_TIMEOUT_S`: 1 to 604800
    pub pay_timeout_s: u32,
    /// How long the answer to a request with an Idempotency-Key is kept, in seconds.
    ///
    /// `SPIKE_ORDERS_KEY_TTL_S`: 60 to 2592000
    pub key_ttl_s: u64,
}

impl OrdersConfig {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let mut s = reader.section("orders");
        Self {
            pay_timeout_s: s.number("pay_timeout_s", 1..=604_800),
            key_ttl_s: s.number("key_ttl_s", 60..=2_592_000),
        }
    }
}
