//! Counters of the gateway: a block of atomics for each core on cache lines of its own, summed when scraped.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::utils::CachePadded;

/// Whether a number only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from the start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $variant:ident $kind:ident $name:literal $help:literal;)+) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Counter {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Counter {
            /// Every one, in the order of the scrape.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The metric's name.
            pub fn metric(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// One line for whoever reads the scrape.
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)+ }
            }

            /// Whether it only grows.
            pub fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)+ }
            }
        }
    };
}

counters! {
    /// Requests that reached a hot route or the bridge.
    Requests Counter "spike_gateway_requests_total" "Requests that reached a route.";
    /// Buys answered 202 for the first time.
    Accepted Counter "spike_gateway_accepted_total" "Buys accepted.";
    /// Buys answered sold out, by the flag or by the ledger.
    SoldOut Counter "spike_gateway_sold_out_total" "Buys answered sold out.";
    /// Of these, those answered in the fast lane.
    FastLane Counter "spike_gateway_fast_lane_total" "Buys answered sold out before HTTP was parsed in full.";
    /// Buys answered with the claim the buyer already has.
    AlreadyBought Counter "spike_gateway_already_bought_total" "Buys of a user who holds a claim already.";
    /// Buys refused by a token bucket, the debounce or the per-user limit.
    RejectedLimit Counter "spike_gateway_rejected_limit_total" "Requests refused by a limit.";
    /// Requests without a token that holds.
    RejectedAuth Counter "spike_gateway_rejected_auth_total" "Requests refused for want of a valid token.";
    /// Tokens that a core had verified before.
    TokenCacheHits Counter "spike_gateway_token_cache_hits_total" "Tokens remembered from an earlier request.";
    /// Tokens whose signature had to be checked.
    TokenCacheMisses Counter "spike_gateway_token_cache_misses_total" "Tokens whose signature was checked.";
    /// Revocations known to this process.
    RevocationsHeld Gauge "spike_gateway_revocations_held" "Revocations known, bounded by those of one token's life.";
    /// Buys before the start, after the end, or while paused.
    RejectedWindow Counter "spike_gateway_rejected_window_total" "Buys outside the event's window.";
    /// Requests answered 503 with nothing done.
    Unavailable Counter "spike_gateway_unavailable_total" "Requests answered 503, nothing done.";
    /// Buys answered 503 although they may have been accepted.
    OutcomeUnknown Counter "spike_gateway_outcome_unknown_total" "Buys answered 503 whose outcome is unknown.";
    /// Panics caught in a handler or a connection.
    Panics Counter "spike_gateway_panics_total" "Panics caught.";
    /// Control requests refused because the bridge was full.
    BridgeFull Counter "spike_gateway_bridge_full_total" "Control requests refused by a full bridge.";
    /// Connections open now.
    ConnectionsOpen Gauge "spike_gateway_connections_open" "Connections open now.";
    /// Connections that hold the HTTP parser's buffers now; the others wait in the fast lane without.
    ConnectionsAtHyper Gauge "spike_gateway_connections_at_parser" "Connections that hold buffers of the HTTP parser now.";
    /// Connections accepted.
    ConnectionsAccepted Counter "spike_gateway_connections_accepted_total" "Connections accepted.";
    /// Connections closed at once, over the cap.
    ConnectionsRefused Counter "spike_gateway_connections_refused_total" "Connections closed at once, over the cap.";
    /// Connections closed for being slow or idle.
    ConnectionsTimedOut Counter "spike_gateway_connections_timed_out_total" "Connections closed by a deadline.";
    /// Calls of the reserve script.
    ReserveCalls Counter "spike_gateway_reserve_calls_total" "Calls of the reserve script.";
    /// Buyers carried by those calls; divided by the calls it is the mean batch.
    ReserveBuyers Counter "spike_gateway_reserve_buyers_total" "Buyers carried by reserve calls.";
    /// Long polls that wait now.
    LongPollsOpen Gauge "spike_gateway_long_polls_open" "Long polls that wait now.";
    /// Long polls that waited.
    LongPolls Counter "spike_gateway_long_polls_total" "Long polls that waited.";
    /// Of these, those whose time ran out before there was news.
    LongPollsTimedOut Counter "spike_gateway_long_polls_timed_out_total" "Long polls whose time ran out before there was news.";
    /// Streams of server-sent events open now.
    StreamsOpen Gauge "spike_gateway_streams_open" "Streams of server-sent events open now.";
    /// Streams of server-sent events opened.
    Streams Counter "spike_gateway_streams_total" "Streams of server-sent events opened.";
    /// Polls that were answered at once and streams that were refused for want of a place.
    WaitersRefused Counter "spike_gateway_waiters_refused_total" "Waiters refused a place: answered at once, or told to come again.";
    /// Connections to Redis opened again after a loss.
    RedisReconnects Counter "spike_gateway_redis_reconnects_total" "Reconnections to Redis.";
}

type Block = [AtomicU64; Counter::ALL.len()];

/// The counters of a process, a block for each writer.
#[derive(Debug)]
pub struct Counters {
    blocks: Box<[CachePadded<Block>]>,
}

impl Counters {
    /// Counters for as many writers: the hot cores, and one more where the sidecar counts too.
    pub fn new(cores: usize) -> Self {
        let block = || CachePadded::new(std::array::from_fn(|_| AtomicU64::new(0)));
        Self { blocks: std::iter::repeat_with(block).take(cores).collect() }
    }

    /// How many writers there are.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Adds `n` in a core's own block.
    ///
    /// # Panics
    /// Where `core` is not below the number given to [`Counters::new`].
    #[inline]
    pub fn add(&self, core: usize, counter: Counter, n: u64) {
        self.blocks[core][counter as usize].fetch_add(n, Ordering::Relaxed);
    }

    /// Takes `n` off a gauge. It may be another core than the one that added: only the sum has a meaning.
    ///
    /// # Panics
    /// As [`Counters::add`].
    #[inline]
    pub fn subtract(&self, core: usize, gauge: Counter, n: u64) {
        debug_assert_eq!(gauge.kind(), Kind::Gauge, "{gauge:?} only grows");
        self.blocks[core][gauge as usize].fetch_sub(n, Ordering::Relaxed);
    }

    /// The sum over all cores, for the scrape. The blocks are read one after the other, so a gauge whose
    /// addition is missed and whose subtraction is seen would fall below zero; it is shown as zero.
    pub fn sum(&self, counter: Counter) -> u64 {
        let wrapped = self
            .blocks
            .iter()
            .fold(0_u64, |sum, block| sum.wrapping_add(block[counter as usize].load(Ordering::Relaxed)));
        match counter.kind() {
            Kind::Counter => wrapped,
            Kind::Gauge => wrapped.cast_signed().max(0).cast_unsigned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_do_not_share_a_cache_line() {
        let counters = Counters::new(2);
        let addresses: Vec<_> =
            counters.blocks.iter().map(|block| std::ptr::from_ref(block).addr()).collect();
        assert!(addresses[1] - addresses[0] >= 128 && addresses[0].is_multiple_of(64), "{addresses:x?}");
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        const EACH: u64 = 20_000;
        let counters = Counters::new(3);
        std::thread::scope(|scope| {
            for core in 0..3 {
                let counters = &counters;
                scope.spawn(move || {
                    for _ in 0..EACH {
                        counters.add(core, Counter::Requests, 1);
                        // All of these share one block, as a sidecar's tasks do.
                        counters.add(0, Counter::ReserveBuyers, 2);
                    }
                });
            }
        });
        assert_eq!(counters.sum(Counter::Requests), 3 * EACH);
        assert_eq!(counters.sum(Counter::ReserveBuyers), 6 * EACH);
        assert_eq!(counters.sum(Counter::Accepted), 0);
    }

    #[test]
    fn a_gauge_may_fall_on_another_core_and_never_shows_less_than_nothing() {
        let counters = Counters::new(2);
        counters.add(0, Counter::ConnectionsOpen, 3);
        counters.subtract(1, Counter::ConnectionsOpen, 2);
        assert_eq!(counters.sum(Counter::ConnectionsOpen), 1);
        counters.subtract(1, Counter::ConnectionsOpen, 2);
        assert_eq!(counters.sum(Counter::ConnectionsOpen), 0);
    }
}
