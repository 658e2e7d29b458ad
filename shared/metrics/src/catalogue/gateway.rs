//! What a gateway shows besides: the hot cores, the control API, the relay, and what it sees of the outbox and the queues.
//! The counters without labels are in `hot.rs`.

use crate::bounds::{BATCH, CALL, LATENCY, STEP};
use crate::words::{Dimension, EventState, HotRoute, LedgerCall, Outcome, QueueName, Stage, StatusClass};
use crate::{Family, Label, Values};

/// Everything in this file.
pub const ALL: &[Family] = &[
    HOT_METRICS,
    REQUESTS,
    REQUEST_DURATION,
    BUY_STAGE_DURATION,
    LEDGER_CALL_DURATION,
    RESERVE_BATCH_ORDERS,
    DENIED,
    CONTROL_REQUESTS,
    CONTROL_REQUEST_DURATION,
    BRIDGE_TAKEN,
    CACHE_HITS,
    CACHE_STALE,
    CACHE_MISSES,
    CACHE_SHARED_HITS,
    CACHE_LOADS,
    PASSWORD_QUEUE_LENGTH,
    PASSWORD_THREADS,
    PASSWORD_HASH_DURATION,
    PASSWORD_REFUSED,
    RATE_LIMITS_VERSION,
    EVENTS,
    OUTBOX_ENTRIES,
    OUTBOX_OLDEST_AGE,
    OUTBOX_LOOKS_FAILED,
    QUEUE_MESSAGES,
    QUEUE_CONSUMERS,
    BROKER_UP,
    RELAY_ENTRIES,
    RELAY_ORDERS,
    RELAY_REPUBLISHED,
];

const METHOD: Label =
    Label { name: "method", values: Values::Bounded("the rows of the table of routes, and `other`") };
const ROUTE: Label = Label {
    name: "route",
    values: Values::Bounded("the rows of the table of routes, with ids in braces, and `none`"),
};

/// The switch.
pub const HOT_METRICS: Family = Family::gauge(
    "spike_gateway_hot_metrics",
    "Whether the hot cores count (telemetry.hot_metrics). At 0 nothing of theirs is shown but what goes up and down.",
);
/// Requests.
pub const REQUESTS: Family = Family::counter(
    "spike_gateway_requests_total",
    "Requests that have ended, by where they went and how they ended. Every request is in exactly one series; aborted: the client went away first.",
)
.by(&[HotRoute::LABEL, Outcome::LABEL]);
/// Their time.
pub const REQUEST_DURATION: Family = Family::histogram(
    "spike_gateway_request_duration_seconds",
    LATENCY,
    "From a request's parsed head to the head of its answer, every request. Long polls (mine, status) take as long as they wait.",
)
.by(&[HotRoute::LABEL]);
/// Time of a step.
pub const BUY_STAGE_DURATION: Family = Family::histogram(
    "spike_gateway_buy_stage_duration_seconds",
    STEP,
    "Steps of a buy, sampled: one press of sixteen on each core. A press that is refused counts in the steps it has reached; reserve includes the wait for a place in a call.",
)
.by(&[Stage::LABEL]);
/// Time of the ledger.
pub const LEDGER_CALL_DURATION: Family = Family::histogram(
    "spike_gateway_ledger_call_duration_seconds",
    STEP,
    "Calls of the hot cores to the ledger (Redis or embedded), answered or not.",
)
.by(&[LedgerCall::LABEL]);
/// Batch size.
pub const RESERVE_BATCH_ORDERS: Family =
    Family::histogram("spike_gateway_reserve_batch_orders", BATCH, "Buyers carried by one reserve call.");
/// Bucket denials.
pub const DENIED: Family = Family::counter(
    "spike_gateway_denied_total",
    "Requests refused by a token bucket or the debounce (press), by dimension.",
)
.by(&[Dimension::LABEL]);

/// Control requests.
pub const CONTROL_REQUESTS: Family =
    Family::counter("spike_gateway_control_requests_total", "Requests that the control API has answered.")
        .by(&[METHOD, ROUTE, StatusClass::LABEL]);
/// Their time.
pub const CONTROL_REQUEST_DURATION: Family = Family::histogram(
    "spike_gateway_control_request_duration_seconds",
    CALL,
    "Time of the control API for a request, to the head of its answer.",
)
.by(&[METHOD, ROUTE]);
/// The bridge.
pub const BRIDGE_TAKEN: Family = Family::gauge(
    "spike_gateway_bridge_taken",
    "Requests that wait or are worked on between hot cores and control API.",
);

/// Fresh reads.
pub const CACHE_HITS: Family =
    Family::counter("spike_gateway_cache_hits_total", "Cached reads answered fresh from this process.");
/// Stale reads.
pub const CACHE_STALE: Family =
    Family::counter("spike_gateway_cache_stale_total", "Cached reads answered while being read anew.");
/// Misses.
pub const CACHE_MISSES: Family =
    Family::counter("spike_gateway_cache_misses_total", "Cached reads this process could not answer.");
/// Reads from Redis.
pub const CACHE_SHARED_HITS: Family =
    Family::counter("spike_gateway_cache_shared_hits_total", "Reads answered by the shared cache.");
/// Reads from the database.
pub const CACHE_LOADS: Family =
    Family::counter("spike_gateway_cache_loads_total", "Reads that went to the database.");

/// The password queue.
pub const PASSWORD_QUEUE_LENGTH: Family =
    Family::gauge("spike_password_queue_length", "Passwords that wait for a hashing thread.");
/// The password threads.
pub const PASSWORD_THREADS: Family = Family::gauge("spike_password_threads", "Threads that hash passwords.");
/// Time of a hash.
pub const PASSWORD_HASH_DURATION: Family = Family::histogram(
    "spike_password_hash_duration_seconds",
    CALL,
    "Hashing or comparing one password, the wait for a thread not included.",
);
/// Passwords not taken.
pub const PASSWORD_REFUSED: Family =
    Family::counter("spike_password_refused_total", "Passwords not looked at because the queue was full.");

/// The version of the limits.
pub const RATE_LIMITS_VERSION: Family = Family::gauge(
    "spike_gateway_rate_limits_version",
    "Version of the rate limits in force; 0 until they have been read.",
);
/// Events by state.
pub const EVENTS: Family = Family::gauge(
    "spike_gateway_events",
    "Events in this gateway's table by what they are at. Fenced: it should sell now, and its ledger is missing, being rebuilt, or without its script.",
)
.by(&[EventState::LABEL]);
/// Outbox depth.
pub const OUTBOX_ENTRIES: Family = Family::gauge(
    "spike_gateway_outbox_entries",
    "Entries in the outboxes of all live events: accepted, and not settled yet. Every gateway shows the same.",
);
/// Outbox age.
pub const OUTBOX_OLDEST_AGE: Family = Family::gauge(
    "spike_gateway_outbox_oldest_age_seconds",
    "Age of the oldest entry in any outbox; 0 when all are empty.",
);
/// Failed looks.
pub const OUTBOX_LOOKS_FAILED: Family = Family::counter(
    "spike_gateway_outbox_looks_failed_total",
    "Looks at the outboxes that failed; until one succeeds the figures above are those of the last one.",
);
/// Queue depth.
pub const QUEUE_MESSAGES: Family = Family::gauge(
    "spike_gateway_queue_messages",
    "Messages that wait in a queue, not counting those in a worker's hand. Not shown while the broker cannot be asked.",
)
.by(&[QueueName::LABEL]);
/// Consumers.
pub const QUEUE_CONSUMERS: Family = Family::gauge(
    "spike_gateway_queue_consumers",
    "Consumers of a queue. Not shown while the broker cannot be asked.",
)
.by(&[QueueName::LABEL]);
/// The broker.
pub const BROKER_UP: Family = Family::gauge(
    "spike_gateway_broker_up",
    "Whether the broker answered when it was last asked about its queues.",
);

/// Relayed entries.
pub const RELAY_ENTRIES: Family =
    Family::counter("spike_gateway_relay_entries_total", "Outbox entries that the broker has confirmed.");
/// Relayed orders.
pub const RELAY_ORDERS: Family =
    Family::counter("spike_gateway_relay_orders_total", "Orders in those entries.");
/// Entries published again.
pub const RELAY_REPUBLISHED: Family = Family::counter(
    "spike_gateway_relay_republished_entries_total",
    "Entries published again because their orders had no rows after relay.republish_after_ms.",
);
