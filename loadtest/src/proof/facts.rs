//! What database, ledger and payment provider hold of one event at rest.

use std::collections::{HashMap, HashSet};

use spike_domain::{AttemptId, AttemptStatus, OrderId, OrderStatus, UserId};

/// An order's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its primary key.
    pub order: OrderId,
    /// Whose it is.
    pub user: UserId,
    /// Units.
    pub quantity: u32,
    /// Its status.
    pub status: OrderStatus,
    /// Hash of its idempotency key.
    pub key: Option<String>,
    /// Accepted, Unix milliseconds by the gateway's clock.
    pub accepted_at_ms: u64,
    /// End of its time to pay, by the database's clock as the next.
    pub expires_at_ms: u64,
    /// Last change.
    pub updated_at_ms: u64,
}

/// A row of the restock outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// The order.
    pub order: OrderId,
    /// Units to give back.
    pub quantity: u32,
    /// When it was closed.
    pub done_at_ms: Option<u64>,
}

/// A payment attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// What the provider knows it by.
    pub attempt: AttemptId,
    /// The order.
    pub order: OrderId,
    /// What has become of it.
    pub status: AttemptStatus,
}

/// The ledger in Redis.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerFacts {
    /// R, units.
    pub stock: i64,
    /// F, units.
    pub inflight: i64,
    /// Entries of the outbox.
    pub entries: u64,
    /// Users, their orders and units.
    pub claims: Vec<(UserId, OrderId, u32)>,
}

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// S, units.
    pub total: i64,
    /// Units one user may hold.
    pub per_user_limit: u32,
    /// The event's own count of live units.
    pub reserved: i64,
    /// The event's own count of paid units.
    pub paid: i64,
    /// Every row of every status.
    pub rows: Vec<Row>,
    /// Every marker, open or done.
    pub markers: Vec<Marker>,
    /// Every payment attempt.
    pub attempts: Vec<Attempt>,
    /// The provider's books: whether it has captured the money of an attempt.
    pub charges: HashMap<AttemptId, bool>,
    /// Redis.
    pub ledger: LedgerFacts,
    /// The database's clock when it was read, Unix milliseconds.
    pub read_at_ms: u64,
}

/// What cannot be promised, because a fault has destroyed the only copy or nobody was there to act.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowances {
    /// Orders that had no row when the Redis that held them lost its data: they may be absent, LOST or REJECTED.
    pub at_risk: HashSet<OrderId>,
    /// Orders the test itself has put into the queue, as poison.
    pub planted: HashSet<OrderId>,
    /// Times (Unix milliseconds, from and to) in which the database or every worker was away, so that nobody could cancel.
    pub idle: Vec<(u64, u64)>,
}
