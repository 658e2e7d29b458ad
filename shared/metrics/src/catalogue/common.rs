//! What a gateway and a worker both show. `spike serve` is both in one process: its two ports then show the same process, database and
//! Redis.

use crate::bounds::CALL;
use crate::words::{DatabaseError, PoolUse, RedisCommand, Statements};
use crate::{Family, Label, Values};

const OF_THE_BUILD: Values = Values::Bounded("one value a build");

/// Everything in this file.
pub const ALL: &[Family] = &[
    BUILD_INFO,
    READY,
    PROCESS_CPU,
    PROCESS_RESIDENT,
    PROCESS_VIRTUAL,
    PROCESS_FDS,
    PROCESS_FDS_MAX,
    PROCESS_THREADS,
    PROCESS_START,
    DATABASE_CALL_DURATION,
    DATABASE_ACQUIRE_DURATION,
    DATABASE_ERRORS,
    DATABASE_CONNECTIONS,
    DATABASE_BREAKER_OPEN,
    REDIS_COMMAND_DURATION,
    REDIS_ERRORS,
    REDIS_BREAKER_OPEN,
    BROKER_CONFIRM_DURATION,
    BROKER_MESSAGES,
    BROKER_ERRORS,
];

/// What is running.
pub const BUILD_INFO: Family = Family::gauge(
    "spike_build_info",
    "Always 1; the labels name the version, the commit where the build knew it, and the compiler.",
)
.by(&[
    Label { name: "version", values: OF_THE_BUILD },
    Label { name: "commit", values: OF_THE_BUILD },
    Label { name: "rustc", values: OF_THE_BUILD },
]);
/// Whether it wants traffic or work.
pub const READY: Family = Family::gauge(
    "spike_ready",
    "Whether the process wants traffic or work: 0 while it starts and while it drains. Its dependencies are asked by /readyz only.",
);

/// CPU time.
pub const PROCESS_CPU: Family =
    Family::counter("process_cpu_seconds_total", "User and system CPU time, in seconds.");
/// Resident memory.
pub const PROCESS_RESIDENT: Family =
    Family::gauge("process_resident_memory_bytes", "Resident memory, in bytes.");
/// Virtual memory.
pub const PROCESS_VIRTUAL: Family =
    Family::gauge("process_virtual_memory_bytes", "Virtual memory, in bytes.");
/// Open file descriptors.
pub const PROCESS_FDS: Family = Family::gauge("process_open_fds", "Open file descriptors.");
/// The limit of them.
pub const PROCESS_FDS_MAX: Family =
    Family::gauge("process_max_fds", "Most file descriptors that may be open.");
/// Threads.
pub const PROCESS_THREADS: Family = Family::gauge("process_threads", "Threads.");
/// When it started.
pub const PROCESS_START: Family =
    Family::gauge("process_start_time_seconds", "When the process started, in seconds since 1970.");

/// Time of a database call.
pub const DATABASE_CALL_DURATION: Family = Family::histogram(
    "spike_database_call_duration_seconds",
    CALL,
    "Calls of the database by what they are about, each run of a transaction, the wait for a connection not included.",
)
.by(&[Statements::LABEL]);
/// Wait for a connection.
pub const DATABASE_ACQUIRE_DURATION: Family =
    Family::histogram("spike_database_acquire_duration_seconds", CALL, "Waits for a connection of the pool.");
/// Failed database calls.
pub const DATABASE_ERRORS: Family = Family::counter(
    "spike_database_errors_total",
    "Calls of the database that failed; after a lock conflict a transaction runs again. What a caller got wrong (nothing found, a duplicate) is no failure.",
)
.by(&[DatabaseError::LABEL]);
/// The pool.
pub const DATABASE_CONNECTIONS: Family =
    Family::gauge("spike_database_connections", "Connections of the pool.").by(&[PoolUse::LABEL]);
/// The breaker before the database.
pub const DATABASE_BREAKER_OPEN: Family = Family::gauge(
    "spike_database_breaker_open",
    "Whether calls of the database fail at once, because it has not answered lately.",
);

/// Time of a Redis command.
pub const REDIS_COMMAND_DURATION: Family = Family::histogram(
    "spike_redis_command_duration_seconds",
    CALL,
    "Redis commands of the sidecar and the worker; those of the hot cores are spike_gateway_ledger_call_duration_seconds.",
)
.by(&[RedisCommand::LABEL]);
/// Failed Redis commands.
pub const REDIS_ERRORS: Family = Family::counter(
    "spike_redis_errors_total",
    "Redis commands without an answer. An error that Redis sends is an answer.",
);
/// The breaker before Redis.
pub const REDIS_BREAKER_OPEN: Family = Family::gauge(
    "spike_redis_breaker_open",
    "Whether Redis commands fail at once, because it has not answered lately.",
);

/// Time to a confirm.
pub const BROKER_CONFIRM_DURATION: Family = Family::histogram(
    "spike_broker_confirm_duration_seconds",
    CALL,
    "From publishing a window of messages to the broker's confirm of all of them.",
);
/// Published messages.
pub const BROKER_MESSAGES: Family =
    Family::counter("spike_broker_published_messages_total", "Messages that the broker has confirmed.");
/// Failed windows.
pub const BROKER_ERRORS: Family = Family::counter(
    "spike_broker_publish_errors_total",
    "Windows of messages that were not confirmed; they are published again.",
);
