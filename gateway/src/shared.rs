//! What the hot cores, the bridge and the sidecar share. Everything in here is lock-free or changes rarely.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use spike_config::Config;
use spike_stock::EmbeddedLedger;
use spike_telemetry::Counters;
use spike_trace::Traces;
use tokio::sync::Notify;

use crate::bridge;
use crate::hot::failed::FailedBuys;
pub use crate::local::Limits;
use crate::local::{EventTable, SaleClock};
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
    /// Where spans go; `None` where traces are off.
    pub traces: Option<Arc<Traces>>,
    /// Where failed buys are told.
    pub failed_buys: FailedBuys,
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
