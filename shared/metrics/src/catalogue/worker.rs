//! What a worker shows besides: its batches, what became of messages and orders, and the books of every event.

use crate::bounds::{AGE, BATCH, CALL};
use crate::words::{Attempt, CancelledBy, Job, MessageEnd, OrderKind, RowStatus, SettledBy};
use crate::{Family, Label, Values};

/// Everything in this file.
pub const ALL: &[Family] = &[
    CONSUMING,
    BATCH_ORDERS,
    WRITE_DURATION,
    ORDER_AGE,
    MESSAGES,
    ORDERS,
    POISON_ORDERS,
    DEAD_LETTERS,
    DEAD_LETTERS_OPEN,
    CANCELLED_ORDERS,
    RESTOCKED_ORDERS,
    RESTOCKED_UNITS,
    SETTLED_UNITS,
    REBUILDS,
    JOB_ERRORS,
    CONSERVATION_DRIFT,
    EVENT_UNITS,
];

const EVENT: Label =
    Label { name: "event", values: Values::Bounded("sales that are on or lately over; gone once archived") };
const FIGURE: Label = Label { name: "figure", values: Values::Closed(&["S", "R", "L", "F", "K"]) };

/// Whether it consumes.
pub const CONSUMING: Family =
    Family::gauge("spike_worker_consuming", "Whether this worker is subscribed to accepted orders.");
/// Batch size.
pub const BATCH_ORDERS: Family = Family::histogram(
    "spike_worker_batch_orders",
    BATCH,
    "Orders of one event written together, in one transaction unless one of them is at fault.",
);
/// Time of a batch.
pub const WRITE_DURATION: Family = Family::histogram(
    "spike_worker_write_duration_seconds",
    CALL,
    "Writing such a batch, waiting for an absent database included.",
);
/// Age of an order.
pub const ORDER_AGE: Family = Family::histogram(
    "spike_worker_order_age_seconds",
    AGE,
    "From an order's acceptance by the ledger to its row, by the clocks of gateway and worker. An order that is delivered twice counts twice.",
);
/// Ends of messages.
pub const MESSAGES: Family = Family::counter(
    "spike_worker_messages_total",
    "Messages with accepted orders by what became of them in a worker's hand. put_off: for trouble that is not theirs; retried: for trouble of their own; parked: nobody could use them.",
)
.by(&[MessageEnd::LABEL]);
/// Orders by status.
pub const ORDERS: Family = Family::counter(
    "spike_worker_orders_total",
    "Orders of written messages by the status of their row. An order that is delivered twice counts twice.",
)
.by(&[RowStatus::LABEL]);
/// Poison orders.
pub const POISON_ORDERS: Family = Family::counter(
    "spike_worker_poison_orders_total",
    "Orders that no statement took as they are: rejected, and kept as a dead letter.",
);
/// Dead letters.
pub const DEAD_LETTERS: Family =
    Family::counter("spike_worker_dead_letters_total", "Parked messages moved into the table dead_letters.");
/// Open dead letters.
pub const DEAD_LETTERS_OPEN: Family = Family::gauge(
    "spike_worker_dead_letters_open",
    "Dead letters in the table that nobody has replayed or dropped, poison orders among them; at most 1000 are counted.",
);
/// Cancellations.
pub const CANCELLED_ORDERS: Family = Family::counter(
    "spike_worker_cancelled_orders_total",
    "Unpaid orders cancelled at their deadline, by their kind and by who noticed.",
)
.by(&[OrderKind::LABEL, CancelledBy::LABEL]);
/// Restocked orders.
pub const RESTOCKED_ORDERS: Family = Family::counter(
    "spike_worker_restocked_orders_total",
    "Restock markers of cancelled and rejected orders that were done.",
);
/// Restocked units.
pub const RESTOCKED_UNITS: Family =
    Family::counter("spike_worker_restocked_units_total", "Units given back to the ledger by them.");
/// Settled units.
pub const SETTLED_UNITS: Family = Family::counter(
    "spike_worker_settled_units_total",
    "Units whose outbox entries were taken out of the ledger, by who did it. The sweep does what a consumer left.",
)
.by(&[SettledBy::LABEL]);
/// Rebuilds.
pub const REBUILDS: Family =
    Family::counter("spike_worker_rebuilds_total", "Rebuilds of a ledger, by their end.")
        .by(&[Attempt::LABEL]);
/// Errors of jobs.
pub const JOB_ERRORS: Family =
    Family::counter("spike_worker_job_errors_total", "Turns of a job that failed; each is tried again.")
        .by(&[Job::LABEL]);
/// Drift.
pub const CONSERVATION_DRIFT: Family = Family::gauge(
    "spike_worker_conservation_drift_units",
    "S - (R + L + F + K) of an event: 0, or something is broken.",
)
.by(&[EVENT]);
/// Units.
pub const EVENT_UNITS: Family = Family::gauge(
    "spike_worker_event_units",
    "Units of an event by where they are: stock, left in the ledger, live orders, on their way, cancelled and not restocked.",
)
.by(&[EVENT, FIGURE]);
