//! The worker: its operations port, its batches and its periodic jobs.

use std::net::SocketAddr;

use crate::reader::Reader;

/// Section `[worker]`.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Where /metrics, /livez, /readyz and /healthz of the worker are served.
    ///
    /// `SPIKE_WORKER_OPS_LISTEN`: an address and a port, such as 127.0.0.1:8080
    pub ops_listen: SocketAddr,
    /// Orders written in one transaction.
    ///
    /// `SPIKE_WORKER_BATCH_ORDERS_MAX`: 1 to 10000
    pub batch_orders_max: usize,
    /// How long a batch that is not full waits for more messages, in milliseconds.
    ///
    /// `SPIKE_WORKER_BATCH_LINGER_MS`: 0 to 1000
    pub batch_linger_ms: u64,
    /// How long a message that cannot be written is put off, time after time, in milliseconds; after the last
    /// one it is parked if the trouble is its own.
    ///
    /// `SPIKE_WORKER_RETRY_TIERS_MS`: 1 to 8 rising numbers, each 10 to 3600000
    pub retry_tiers_ms: Vec<u64>,
    /// Rest between two sweeps for entries to settle, in milliseconds.
    ///
    /// `SPIKE_WORKER_SWEEP_INTERVAL_MS`: 10 to 600000
    pub sweep_interval_ms: u64,
    /// Rest between two looks whether a ledger must be rebuilt, in milliseconds.
    ///
    /// `SPIKE_WORKER_WATCH_INTERVAL_MS`: 10 to 60000
    pub watch_interval_ms: u64,
    /// Rest between two purges of sessions, refresh tokens and revocations that are over, in milliseconds.
    ///
    /// `SPIKE_WORKER_PURGE_INTERVAL_MS`: 10 to 86400000
    pub purge_interval_ms: u64,
    /// How long before its start an event is warmed up by itself, in seconds; 0: never.
    ///
    /// `SPIKE_WORKER_AUTO_WARMUP_BEFORE_S`: 0 to 86400
    pub auto_warmup_before_s: u64,
    /// How long after its end an event is closed by itself, so that its unsold units go back to the
    /// inventory, in seconds; 0: never.
    ///
    /// `SPIKE_WORKER_AUTO_CLOSE_AFTER_S`: 0 to 604800
    pub auto_close_after_s: u64,
    /// Rest between two comparisons of every ledger with the database, in milliseconds.
    ///
    /// `SPIKE_WORKER_RECONCILE_INTERVAL_MS`: 100 to 3600000
    pub reconcile_interval_ms: u64,
    /// Whether differences that are explained by lost orders are mended by themselves, by a rebuild of the ledger.
    ///
    /// `SPIKE_WORKER_RECONCILE_REPAIR`: true or false
    pub reconcile_repair: bool,
    /// How long the same difference must last before it is mended, or a person is called, in seconds.
    ///
    /// `SPIKE_WORKER_RECONCILE_REPAIR_AFTER_S`: 0 to 86400
    pub reconcile_repair_after_s: u64,
    /// Rest between two looks for events that are over, in milliseconds.
    ///
    /// `SPIKE_WORKER_ARCHIVE_INTERVAL_MS`: 100 to 86400000
    pub archive_interval_ms: u64,
    /// How long an event has been closed when its ledger is put away, in seconds; 0: never. From then on its buyers
    /// find their orders under /orders only.
    ///
    /// `SPIKE_WORKER_ARCHIVE_AFTER_S`: 0 to 31536000
    pub archive_after_s: u64,
    /// How long the keys of an archived event stay in Redis, in seconds.
    ///
    /// `SPIKE_WORKER_ARCHIVE_KEEP_S`: 1 to 31536000
    pub archive_keep_s: u64,
    /// How long orders are kept that are over, in days: of events since their ledger was put away, ordinary ones since
    /// they ended; 0: for ever. Whatever is not settled is kept.
    ///
    /// `SPIKE_WORKER_RETENTION_DAYS`: 0 to 36500
    pub retention_days: u64,
    /// How long SIGTERM waits for the batch under way before the worker leaves, in milliseconds.
    ///
    /// `SPIKE_WORKER_DRAIN_TIMEOUT_MS`: 0 to 600000
    pub drain_timeout_ms: u64,
}

impl WorkerConfig {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let mut s = reader.section("worker");
        Self {
            ops_listen: s.socket("ops_listen"),
            batch_orders_max: s.number("batch_orders_max", 1..=10_000),
            batch_linger_ms: s.number("batch_linger_ms", 0..=1000),
            retry_tiers_ms: s.rising("retry_tiers_ms", 1..=8, 10..=3_600_000),
            sweep_interval_ms: s.number("sweep_interval_ms", 10..=600_000),
            watch_interval_ms: s.number("watch_interval_ms", 10..=60_000),
            purge_interval_ms: s.number("purge_interval_ms", 10..=86_400_000),
            auto_warmup_before_s: s.number("auto_warmup_before_s", 0..=86_400),
            auto_close_after_s: s.number("auto_close_after_s", 0..=604_800),
            reconcile_interval_ms: s.number("reconcile_interval_ms", 100..=3_600_000),
            reconcile_repair: s.flag("reconcile_repair"),
            reconcile_repair_after_s: s.number("reconcile_repair_after_s", 0..=86_400),
            archive_interval_ms: s.number("archive_interval_ms", 100..=86_400_000),
            archive_after_s: s.number("archive_after_s", 0..=31_536_000),
            archive_keep_s: s.number("archive_keep_s", 1..=31_536_000),
            retention_days: s.number("retention_days", 0..=36_500),
            drain_timeout_ms: s.number("drain_timeout_ms", 0..=600_000),
        }
    }
}
