//! The arrows of the protocol: places between two steps where a process may die, and where tests make it die.
//!
//! Every step is atomic by itself, in Redis, in the broker or in the database; what a crash can tear apart is the way from
//! one to the next. Each of these ways has a name here, and a test kills a process on every one of them. So has the way from an
//! administrator's action to the record of how it ended.

/// A place between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arrow {
    /// The gateway's reserve call has come back; no buyer knows yet.
    GatewayReserved,
    /// An administrator's action is done; the record does not say so yet.
    GatewayActed,
    /// The relay has read entries; nothing is published.
    RelayRead,
    /// The broker has confirmed the window; its entries are not acknowledged to the stream.
    RelayConfirmed,
    /// The entries of a message are acknowledged to the stream.
    RelayAcked,
    /// The worker has messages in hand; nothing is written.
    WorkerReceived,
    /// The ledger has judged late orders; their rows are not written.
    WorkerAdopted,
    /// The rows are committed; the messages are not acknowledged.
    WorkerCommitted,
    /// The messages are acknowledged; the entries are not settled.
    WorkerAcked,
    /// The entries are settled.
    WorkerSettled,
    /// Unpaid orders are cancelled; their stock is not given back in Redis.
    ExpireCommitted,
    /// Stock is given back in Redis; the markers are still open.
    RestockReleased,
    /// The markers are closed.
    RestockMarked,
    /// The rebuild has raised the epoch in the database.
    RebuildBumped,
    /// The rebuild has taken the ledger.
    RebuildBegun,
    /// The rebuild has read the rows.
    RebuildRead,
    /// The rebuild has written claims and keys.
    RebuildLoaded,
    /// The ledger is open; the fenced scripts are not loaded.
    RebuildOpened,
}

impl Arrow {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::GatewayReserved,
        Self::GatewayActed,
        Self::RelayRead,
        Self::RelayConfirmed,
        Self::RelayAcked,
        Self::WorkerReceived,
        Self::WorkerAdopted,
        Self::WorkerCommitted,
        Self::WorkerAcked,
        Self::WorkerSettled,
        Self::ExpireCommitted,
        Self::RestockReleased,
        Self::RestockMarked,
        Self::RebuildBumped,
        Self::RebuildBegun,
        Self::RebuildRead,
        Self::RebuildLoaded,
        Self::RebuildOpened,
    ];

    /// Its failpoint's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::GatewayReserved => "gateway-reserved",
            Self::GatewayActed => "gateway-acted",
            Self::RelayRead => "relay-read",
            Self::RelayConfirmed => "relay-confirmed",
            Self::RelayAcked => "relay-acked",
            Self::WorkerReceived => "worker-received",
            Self::WorkerAdopted => "worker-adopted",
            Self::WorkerCommitted => "worker-committed",
            Self::WorkerAcked => "worker-acked",
            Self::WorkerSettled => "worker-settled",
            Self::ExpireCommitted => "expire-committed",
            Self::RestockReleased => "restock-released",
            Self::RestockMarked => "restock-marked",
            Self::RebuildBumped => "rebuild-bumped",
            Self::RebuildBegun => "rebuild-begun",
            Self::RebuildRead => "rebuild-read",
            Self::RebuildLoaded => "rebuild-loaded",
            Self::RebuildOpened => "rebuild-opened",
        }
    }

    /// Passes it. Does nothing but in a build with failpoints, where `FAILPOINTS=<name>=return` makes the process abort
    /// here as kill -9 would, and `<name>=pause` makes it stand still. Release builds have none.
    #[inline]
    pub fn pass(self) {
        fail::fail_point!(self.name(), |_| std::process::abort());
    }
}

/// Reads `FAILPOINTS`, in a build that has any; keep what it returns for the life of the process.
pub fn arm_from_environment() -> Option<fail::FailScenario<'static>> {
    fail::has_failpoints().then(fail::FailScenario::setup)
}
