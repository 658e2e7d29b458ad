//! The hot cores: how many, where they run, and how each one talks to Redis.

use spike_domain::message::ORDERS_PER_MESSAGE_MAX;

use crate::choice::Choice;
use crate::reader::Reader;

/// Section `[hot]`.
#[derive(Clone, Debug)]
pub struct HotConfig {
    /// Hot cores, one thread each; 0: as many as this process may run on, at least one.
    ///
    /// `SPIKE_HOT_CORES`: 0 to 1024
    pub cores: usize,
    /// Whether each hot thread stays on one CPU; turn it off where two gateways share a host.
    ///
    /// `SPIKE_HOT_PIN`: true or false
    pub pin: bool,
    /// How a core waits for the network; auto takes io_uring where the kernel has it. Epoll was measured
    /// not slower.
    ///
    /// `SPIKE_HOT_DRIVER`: auto, epoll or io_uring
    pub driver: Driver,
    /// Whether presses of a sold-out event are answered before HTTP is parsed in full; what is not plainly such a
    /// press is parsed as ever.
    ///
    /// `SPIKE_HOT_FAST_LANE`: true or false
    pub fast_lane: bool,
    /// Longest wait of a buy for Redis, in milliseconds; afterwards the outcome is unknown and the answer
    /// is 503.
    ///
    /// `SPIKE_HOT_REDIS_TIMEOUT_MS`: 10 to 60000
    pub redis_timeout_ms: u64,
    /// Buyers joined into one reserve call, at most amqp.message_orders_max: what one call accepts travels
    /// in one message.
    ///
    /// `SPIKE_HOT_RESERVE_BATCH_MAX`: 1 to 256
    pub reserve_batch_max: usize,
    /// Reserve calls under way at once, per core and event; the others wait and join the next batch.
    ///
    /// `SPIKE_HOT_RESERVE_IN_FLIGHT_MAX`: 1 to 16
    pub reserve_in_flight_max: usize,
    /// Requests waiting for Redis per core; one more is answered 503 at once.
    ///
    /// `SPIKE_HOT_PENDING_MAX`: 1 to 1000000
    pub pending_max: usize,
    /// Requests with ?wait= held back at once, per core; one more is answered without waiting.
    ///
    /// `SPIKE_HOT_LONG_POLLS_MAX`: 0 to 1000000
    pub long_polls_max: usize,
    /// Streams of an order's states open at once, per core; one more is answered 503.
    ///
    /// `SPIKE_HOT_STREAMS_MAX`: 0 to 1000000
    pub streams_max: usize,
    /// Verified tokens that a core remembers, 64 bytes each: about the buyers that press and poll at one time.
    ///
    /// `SPIKE_HOT_TOKEN_CACHE_SLOTS`: a power of two, 4 to 16777216
    pub token_cache_slots: usize,
}

impl HotConfig {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let mut s = reader.section("hot");
        Self {
            cores: s.number("cores", 0..=1024),
            pin: s.flag("pin"),
            driver: s.choice("driver"),
            fast_lane: s.flag("fast_lane"),
            redis_timeout_ms: s.number("redis_timeout_ms", 10..=60_000),
            reserve_batch_max: s.number("reserve_batch_max", 1..=ORDERS_PER_MESSAGE_MAX),
            reserve_in_flight_max: s.number("reserve_in_flight_max", 1..=16),
            pending_max: s.number("pending_max", 1..=1_000_000),
            long_polls_max: s.number("long_polls_max", 0..=1_000_000),
            streams_max: s.number("streams_max", 0..=1_000_000),
            token_cache_slots: s.power_of_two("token_cache_slots", 4..=16_777_216),
        }
    }
}

/// How a hot core waits for the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring where the kernel has it, else epoll.
    Auto,
    /// epoll.
    Epoll,
    /// io_uring; the gateway does not start where the kernel refuses it.
    IoUring,
}

impl Choice for Driver {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("epoll", Self::Epoll), ("io_uring", Self::IoUring)];
}
