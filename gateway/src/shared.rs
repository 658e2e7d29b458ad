//! What the hot cores, the bridge and the sidecar share. Everything in here is lock-free or changes rarely.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use spike_config::{Config, Rate};
use spike_domain::{EventId, UserId};
use spike_stock::EmbeddedLedger;
use spike_telemetry::Counters;
use tokio::sync::Notify;

use crate::bridge;
use crate::local::gcra::{TooEarly, mix};
use crate::local::{EventTable, Gcra, GcraTable, Quota, SaleClock};
use crate::rate_limit::Met;
use crate::tokens::Tokens;

/// The gateway's common state.
pub struct Shared {
    /// Settings, checked.
    pub config: Arc<Config>,
    /// The ledger, when it is of this process; otherwise each core has its own line to Redis.
    pub embedded: Option<EmbeddedLedger>,
    /// Events by id.
    pub events: EventTable,
    /// The sale's clock.
    pub clock: SaleClock,
    /// Token verification and minting.
    pub tokens: Arc<Tokens>,
    /// Token buckets.
    pub limits: Limits,
    /// Counters, a block a core and one for the sidecar.
    pub counters: Counters,
    /// The way to the control API.
    pub bridge: bridge::Entrance,
    /// Raised when orders were accepted, so that the relay need not wait for its poll.
    pub relay_wake: Arc<Notify>,
    /// Raised when a reply shows that the table is behind.
    pub follower_wake: Arc<Notify>,
    /// Seats for connections of the whole process.
    pub connections: Seats,
    /// How far the shutdown has come.
    pub drain: Drain,
}

/// Token buckets in the four dimensions, and the debounce of presses.
pub struct Limits {
    global: (Gcra, Quota),
    /// Each event has a bucket of its own.
    event: Quota,
    users: (GcraTable, Quota),
    addresses: (GcraTable, Quota),
    presses: (GcraTable, Quota),
}

impl Limits {
    /// Buckets as configured.
    pub fn new(limits: &spike_config::LimitsConfig) -> Self {
        let quota = |rate: Rate| Quota::new(rate.per_s, rate.burst);
        let table = || GcraTable::new(limits.table_slots);
        Self {
            global: (Gcra::default(), quota(limits.global)),
            event: quota(limits.event),
            users: (table(), quota(limits.user)),
            addresses: (table(), quota(limits.address)),
            presses: (table(), Quota::every_ms(limits.debounce_ms)),
        }
    }

    /// A token for any request at all.
    pub fn global(&self, now_ns: u64) -> Result<(), Met> {
        let (bucket, quota) = &self.global;
        bucket.take(*quota, now_ns).map_err(|early| met(quota, "all", early))
    }

    /// A token of one event's bucket.
    pub fn event(&self, bucket: &Gcra, now_ns: u64) -> Result<(), Met> {
        bucket.take(self.event, now_ns).map_err(|early| met(&self.event, "event", early))
    }

    /// A token of one user.
    pub fn user(&self, user: UserId, now_ns: u64) -> Result<(), Met> {
        let (table, quota) = &self.users;
        let taken = table.take(mix(user.0.cast_unsigned(), 1), *quota, now_ns);
        taken.map_err(|early| met(quota, "user", early))
    }

    /// A token of one address.
    pub fn address(&self, address: std::net::IpAddr, now_ns: u64) -> Result<(), Met> {
        let hash = match address {
            std::net::IpAddr::V4(v4) => mix(u64::from(v4.to_bits()), 2),
            // One customer has a /64: its lower half is not another address.
            std::net::IpAddr::V6(v6) => mix(u64::try_from(v6.to_bits() >> 64).expect("64 bits are left"), 3),
        };
        let (table, quota) = &self.addresses;
        table.take(hash, *quota, now_ns).map_err(|early| met(quota, "address", early))
    }

    /// One press a user and event per debounce time.
    pub fn press(&self, user: UserId, event: EventId, now_ns: u64) -> Result<(), Met> {
        let hash = mix(mix(user.0.cast_unsigned(), 4), event.0.cast_unsigned());
        let (table, quota) = &self.presses;
        table.take(hash, *quota, now_ns).map_err(|early| met(quota, "press", early))
    }
}

fn met(quota: &Quota, name: &'static str, early: TooEarly) -> Met {
    Met { policy: quota.policy(name), wait_ns: early.wait_ns }
}

/// A bounded number of seats, given back when dropped.
pub struct Seats {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// One seat.
pub struct Seat(Arc<AtomicUsize>);

impl Seats {
    /// `most` seats.
    pub fn new(most: usize) -> Self {
        Self { taken: Arc::default(), most }
    }

    /// A seat, if one is free.
    pub fn take(&self) -> Option<Seat> {
        let more = |taken| (taken < self.most).then_some(taken + 1);
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| Seat(self.taken.clone()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The steps of a shutdown, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum DrainPhase {
    /// Nobody has asked.
    Serving,
    /// Not ready any more; still accepting, answers close their connections.
    Unready,
    /// Listeners close; what is in hand is finished.
    Closing,
    /// The deadline has passed.
    Over,
}

/// How far the shutdown has come.
#[derive(Default)]
pub struct Drain(AtomicU8);

impl Drain {
    /// The present step.
    pub fn phase(&self) -> DrainPhase {
        match self.0.load(Ordering::Relaxed) {
            0 => DrainPhase::Serving,
            1 => DrainPhase::Unready,
            2 => DrainPhase::Closing,
            _ => DrainPhase::Over,
        }
    }

    /// Goes to `phase`, never back.
    pub fn advance(&self, phase: DrainPhase) {
        self.0.fetch_max(phase as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_bounded_and_given_back() {
        let seats = Seats::new(2);
        let (a, _b) = (seats.take().unwrap(), seats.take().unwrap());
        assert!(seats.take().is_none());
        drop(a);
        assert!(seats.take().is_some());
    }

    #[test]
    fn a_drain_never_goes_back() {
        let drain = Drain::default();
        drain.advance(DrainPhase::Closing);
        drain.advance(DrainPhase::Unready);
        assert_eq!(drain.phase(), DrainPhase::Closing);
    }
}
