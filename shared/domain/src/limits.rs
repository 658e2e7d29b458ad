//! Rate limits in front of a buy: what an operator configures and an administrator may change while gateways run. They hold
//! per gateway process, not over all of them.

/// A sustained rate and what may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests per second, at most [`Rate::PER_S_MAX`]; 0: no limit.
    pub per_s: u32,
    /// Requests at once, 1 to [`Rate::BURST_MAX`].
    pub burst: u32,
}

impl Rate {
    /// Most requests per second.
    pub const PER_S_MAX: u32 = 100_000_000;
    /// Most requests at once.
    pub const BURST_MAX: u32 = 100_000_000;

    /// Whether there is no limit.
    pub fn is_off(&self) -> bool {
        self.per_s == 0
    }
}

/// The limits of the four dimensions, and the debounce of presses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Buys over all events.
    pub global: Rate,
    /// Buys of one event.
    pub event: Rate,
    /// Buys of one user, and questions about the orders of one.
    pub user: Rate,
    /// Buys from one client address, and questions about orders.
    pub address: Rate,
    /// A second press of one user on one event within this time is refused, in milliseconds, at most
    /// [`RateLimits::DEBOUNCE_MS_MAX`]; 0: off.
    pub debounce_ms: u32,
}

impl RateLimits {
    /// Longest debounce, in milliseconds.
    pub const DEBOUNCE_MS_MAX: u32 = 60_000;
}
