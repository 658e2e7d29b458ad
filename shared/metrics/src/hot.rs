//! The blocks of the hot cores: each is written by one thread alone, lies on cache lines of its own, and is summed with the
//! others when scraped.
//!
//! One writer means that adding is a load and a store: a locked addition costs several times as much, even without
//! contention. [`CoreMetrics`] is the only way to write to a block; there is one a block at a time, and it cannot leave its
//! thread.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam::utils::CachePadded;

use crate::bounds::{BATCH, LATENCY, STEP};
use crate::catalogue::gateway::{
    BUY_STAGE_DURATION, DENIED, HOT_METRICS, LEDGER_CALL_DURATION, REQUEST_DURATION, REQUESTS,
    RESERVE_BATCH_ORDERS,
};
use crate::words::{Dimension, HotRoute, LedgerCall, Outcome, Stage};
use crate::{Family, Kind, Page};

/// Of so many presses one has its stages timed.
pub const STAGES_SAMPLED: u32 = 16;

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $variant:ident $kind:ident $name:literal $help:literal;)+) => {
        /// What is counted without labels.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Counter {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Counter {
            /// Every one, in the order of the scrape.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// Their descriptions.
            pub const FAMILIES: &'static [Family] =
                &[$(Family { name: $name, help: $help, kind: Kind::$kind, labels: &[] }),+];
        }
    };
}

counters! {
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

impl Counter {
    /// Its description.
    pub fn family(self) -> &'static Family {
        &Self::FAMILIES[self as usize]
    }
}

/// A histogram of a block.
#[derive(Debug)]
struct Spread<const BUCKETS: usize> {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

type Latency = Spread<{ LATENCY.buckets() }>;
type Step = Spread<{ STEP.buckets() }>;

/// What one thread counts.
#[derive(Debug)]
struct Block {
    taken: AtomicBool,
    counters: [AtomicU64; Counter::ALL.len()],
    requests: [[AtomicU64; Outcome::COUNT]; HotRoute::COUNT],
    durations: [Latency; HotRoute::COUNT],
    stages: [Step; Stage::COUNT],
    calls: [Step; LedgerCall::COUNT],
    batches: Spread<{ BATCH.buckets() }>,
    denied: [AtomicU64; Dimension::COUNT],
}

/// The blocks of a process: one for each hot core, and one for all that is not a hot core.
#[derive(Debug)]
pub struct Counters {
    cores: Box<[Arc<CachePadded<Block>>]>,
    others: Box<Block>,
    measuring: bool,
}

/// The pen of one core. It is not `Send`: whoever holds it is the one thread that writes to the block.
#[derive(Debug)]
pub struct CoreMetrics {
    block: Arc<CachePadded<Block>>,
    measuring: bool,
    presses: Cell<u32>,
    on_this_thread: PhantomData<*const ()>,
}

impl Counters {
    /// Counters of a process with so many hot cores, measuring everything.
    pub fn new(cores: usize) -> Self {
        let block = || Arc::new(CachePadded::new(Block::new()));
        Self {
            cores: std::iter::repeat_with(block).take(cores).collect(),
            others: Box::new(Block::new()),
            measuring: true,
        }
    }

    /// The same; without `on` hot cores count nothing but what goes up and down (connections, waiters), and nothing else of
    /// theirs is shown.
    #[must_use]
    pub fn measuring(self, on: bool) -> Self {
        Self { measuring: on, ..self }
    }

    /// The pen of core `core`. Call it on the core's thread.
    ///
    /// # Panics
    /// Where there is no such core, or somebody has its pen.
    pub fn of_core(&self, core: usize) -> CoreMetrics {
        let block = self.cores[core].clone();
        assert!(!block.taken.swap(true, Ordering::Acquire), "core {core} has two writers");
        CoreMetrics { block, measuring: self.measuring, presses: Cell::new(0), on_this_thread: PhantomData }
    }

    /// Adds `n` from anywhere but a hot core.
    pub fn add(&self, counter: Counter, n: u64) {
        self.others.counters[counter as usize].fetch_add(n, Ordering::Relaxed);
    }

    /// Sets a gauge from anywhere but a hot core.
    pub fn set(&self, gauge: Counter, n: u64) {
        debug_assert_eq!(gauge.family().kind, Kind::Gauge, "{gauge:?} only grows");
        self.others.counters[gauge as usize].store(n, Ordering::Relaxed);
    }

    /// The sum over all blocks. They are read one after the other, so a gauge whose addition is missed and whose subtraction
    /// is seen would fall below zero; it is shown as zero.
    pub fn sum(&self, counter: Counter) -> u64 {
        let wrapped = self.total(|block| &block.counters[counter as usize]);
        match counter.family().kind {
            Kind::Gauge => wrapped.cast_signed().max(0).cast_unsigned(),
            _ => wrapped,
        }
    }

    /// Requests of a route that ended so.
    pub fn requests(&self, route: HotRoute, outcome: Outcome) -> u64 {
        self.total(|block| &block.requests[route as usize][outcome as usize])
    }

    /// Shows everything.
    pub fn write(&self, page: &mut Page) {
        page.value(&HOT_METRICS, u8::from(self.measuring));
        for counter in Counter::ALL {
            // A count that stands still on purpose would look like a sale that nobody visits.
            if self.measuring || counter.family().kind == Kind::Gauge {
                page.value(counter.family(), self.sum(*counter));
            }
        }
        if self.measuring {
            self.write_measured(page);
        }
    }

    fn write_measured(&self, page: &mut Page) {
        let mut section = page.family(&REQUESTS);
        for route in HotRoute::ALL {
            for outcome in Outcome::ALL {
                section.sample(&[route.word(), outcome.word()], self.requests(*route, *outcome));
            }
        }
        let mut section = page.family(&DENIED);
        for dimension in Dimension::ALL {
            let denied = self.total(|block| &block.denied[*dimension as usize]);
            section.sample(&[dimension.word()], denied);
        }
        self.write_spreads(page, &REQUEST_DURATION, HotRoute::WORDS, |block, at| &block.durations[at]);
        self.write_spreads(page, &BUY_STAGE_DURATION, Stage::WORDS, |block, at| &block.stages[at]);
        self.write_spreads(page, &LEDGER_CALL_DURATION, LedgerCall::WORDS, |block, at| &block.calls[at]);
        let (buckets, sum) = self.spread(|block| &block.batches);
        page.family(&RESERVE_BATCH_ORDERS).spread(&[], &buckets, sum);
    }

    fn write_spreads<const B: usize>(
        &self,
        page: &mut Page,
        family: &Family,
        words: &[&str],
        of: impl Fn(&Block, usize) -> &Spread<B>,
    ) {
        let mut section = page.family(family);
        for (at, word) in words.iter().enumerate() {
            let (buckets, sum) = self.spread(|block| of(block, at));
            section.spread(&[word], &buckets, sum);
        }
    }

    fn spread<const B: usize>(&self, of: impl Fn(&Block) -> &Spread<B>) -> ([u64; B], u64) {
        let buckets = std::array::from_fn(|at| self.total(|block| &of(block).buckets[at]));
        (buckets, self.total(|block| &of(block).sum))
    }

    fn total(&self, of: impl Fn(&Block) -> &AtomicU64) -> u64 {
        let cores = self.cores.iter().map(|block| of(block).load(Ordering::Relaxed));
        cores.fold(of(&self.others).load(Ordering::Relaxed), u64::wrapping_add)
    }
}

impl CoreMetrics {
    /// Whether anything but gauges is counted here.
    #[inline]
    pub fn measuring(&self) -> bool {
        self.measuring
    }

    /// Counts `n` more.
    #[inline]
    pub fn count(&self, counter: Counter, n: u64) {
        if self.measuring || counter.family().kind == Kind::Gauge {
            add(&self.block.counters[counter as usize], n);
        }
    }

    /// Takes `n` off a gauge. It may be another core than the one that added: only the sum has a meaning.
    #[inline]
    pub fn subtract(&self, gauge: Counter, n: u64) {
        debug_assert_eq!(gauge.family().kind, Kind::Gauge, "{gauge:?} only grows");
        add(&self.block.counters[gauge as usize], n.wrapping_neg());
    }

    /// Counts a request that has ended after `ns` nanoseconds.
    #[inline]
    pub fn request(&self, route: HotRoute, outcome: Outcome, ns: u64) {
        self.requests(route, outcome, 1, ns);
    }

    /// Counts `n` requests that came together and have ended alike, each after `ns` nanoseconds.
    #[inline]
    pub fn requests(&self, route: HotRoute, outcome: Outcome, n: u64, ns: u64) {
        if self.measuring {
            add(&self.block.requests[route as usize][outcome as usize], n);
            self.block.durations[route as usize].observe_many(LATENCY.bucket_of(ns), n, ns);
        }
    }

    /// Whether this press is one of those whose stages are timed: every sixteenth.
    #[inline]
    pub fn samples_press(&self) -> bool {
        let press = self.presses.get();
        self.presses.set(press.wrapping_add(1));
        self.measuring && press.is_multiple_of(STAGES_SAMPLED)
    }

    /// Counts a stage of a sampled press.
    pub fn stage(&self, stage: Stage, ns: u64) {
        self.block.stages[stage as usize].observe(STEP.bucket_of(ns), ns);
    }

    /// Counts a call of the ledger.
    #[inline]
    pub fn ledger_call(&self, call: LedgerCall, ns: u64) {
        if self.measuring {
            self.block.calls[call as usize].observe(STEP.bucket_of(ns), ns);
        }
    }

    /// Counts a reserve call with so many buyers.
    #[inline]
    pub fn reserve_call(&self, buyers: u64) {
        if self.measuring {
            self.count(Counter::ReserveCalls, 1);
            self.count(Counter::ReserveBuyers, buyers);
            self.block.batches.observe(BATCH.bucket_of(buyers), buyers);
        }
    }

    /// Counts a request that a dimension of the limits has refused, by its word.
    #[inline]
    pub fn denied(&self, dimension: &str) {
        if let Some(dimension) = Dimension::of(dimension).filter(|_| self.measuring) {
            add(&self.block.denied[dimension as usize], 1);
        }
    }
}

impl Drop for CoreMetrics {
    fn drop(&mut self) {
        self.block.taken.store(false, Ordering::Release);
    }
}

impl Block {
    fn new() -> Self {
        Self {
            taken: AtomicBool::new(false),
            counters: zeros(),
            requests: std::array::from_fn(|_| zeros()),
            durations: std::array::from_fn(|_| Spread::new()),
            stages: std::array::from_fn(|_| Spread::new()),
            calls: std::array::from_fn(|_| Spread::new()),
            batches: Spread::new(),
            denied: zeros(),
        }
    }
}

impl<const BUCKETS: usize> Spread<BUCKETS> {
    fn new() -> Self {
        Self { buckets: zeros(), sum: AtomicU64::new(0) }
    }

    #[inline]
    fn observe(&self, bucket: usize, value: u64) {
        self.observe_many(bucket, 1, value);
    }

    #[inline]
    fn observe_many(&self, bucket: usize, n: u64, value: u64) {
        add(&self.buckets[bucket], n);
        add(&self.sum, n * value);
    }
}

fn zeros<const N: usize>() -> [AtomicU64; N] {
    std::array::from_fn(|_| AtomicU64::new(0))
}

/// For the one thread that writes here.
#[inline]
fn add(cell: &AtomicU64, n: u64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
