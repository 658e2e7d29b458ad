//! How passwords that fail are slowed down, and how fast accounts are made. Each gateway counts for itself.

use crate::reader::Reader;

/// Section `[login]`.
#[derive(Clone, Debug)]
pub struct LoginConfig {
    /// Failures of one account from one address that cost no wait; after them the wait begins at one second and
    /// doubles.
    ///
    /// `SPIKE_LOGIN_PAIR_FREE`: 1 to 1000
    pub pair_free: u32,
    /// Longest such wait, in seconds; 0: none.
    ///
    /// `SPIKE_LOGIN_PAIR_WAIT_MAX_S`: 0 to 30
    pub pair_wait_max_s: u64,
    /// Failures from one address, over all accounts, that cost no wait. An address that an account has logged in
    /// from before does not wait for it, and any other account is let in after it has waited once.
    ///
    /// `SPIKE_LOGIN_ADDRESS_FREE`: 1 to 60000
    pub address_free: u32,
    /// Longest such wait, in seconds; 0: none.
    ///
    /// `SPIKE_LOGIN_ADDRESS_WAIT_MAX_S`: 0 to 3600
    pub address_wait_max_s: u64,
    /// Failures of one account, over all addresses, that cost no wait. An address that it has logged in from before
    /// does not wait, and any other is let in after it has waited once.
    ///
    /// `SPIKE_LOGIN_ACCOUNT_FREE`: 1 to 60000
    pub account_free: u32,
    /// Longest such wait, in seconds; 0: none.
    ///
    /// `SPIKE_LOGIN_ACCOUNT_WAIT_MAX_S`: 0 to 30
    pub account_wait_max_s: u64,
    /// A failure is forgotten for each of these that pass without one, in seconds.
    ///
    /// `SPIKE_LOGIN_FORGET_S`: 1 to 86400
    pub forget_s: u64,
    /// Keys remembered in each table of failures, 16 bytes each.
    ///
    /// `SPIKE_LOGIN_TABLE_SLOTS`: a power of two, 1024 to 134217728
    pub table_slots: usize,
    /// Accounts made at once from one address.
    ///
    /// `SPIKE_LOGIN_REGISTER_BURST`: 1 to 1000000
    pub register_burst: u32,
    /// After those one more for each of these, in milliseconds; 0: no limit.
    ///
    /// `SPIKE_LOGIN_REGISTER_EVERY_MS`: 0 to 3600000
    pub register_every_ms: u64,
    /// Refresh tokens from one address that are refused, at a refresh or a logout, before it is told to wait. One that is
    /// good is never made to wait.
    ///
    /// `SPIKE_LOGIN_REFRESH_BURST`: 1 to 1000000
    pub refresh_burst: u32,
    /// After those one more for each of these, in milliseconds; 0: no limit.
    ///
    /// `SPIKE_LOGIN_REFRESH_EVERY_MS`: 0 to 3600000
    pub refresh_every_ms: u64,
}

impl LoginConfig {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let mut s = reader.section("login");
        Self {
            pair_free: s.number("pair_free", 1..=1000),
            pair_wait_max_s: s.number("pair_wait_max_s", 0..=30),
            address_free: s.number("address_free", 1..=60_000),
            address_wait_max_s: s.number("address_wait_max_s", 0..=3600),
            account_free: s.number("account_free", 1..=60_000),
            account_wait_max_s: s.number("account_wait_max_s", 0..=30),
            forget_s: s.number("forget_s", 1..=86_400),
            table_slots: s.power_of_two("table_slots", 1024..=134_217_728),
            register_burst: s.number("register_burst", 1..=1_000_000),
            register_every_ms: s.number("register_every_ms", 0..=3_600_000),
            refresh_burst: s.number("refresh_burst", 1..=1_000_000),
            refresh_every_ms: s.number("refresh_every_ms", 0..=3_600_000),
        }
    }
}
