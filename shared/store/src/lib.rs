//! Every SQL statement of the system, a file a table or a transaction, for MySQL 8 and MariaDB 10.11 and for
//! SQLite, the embedded default. Each statement is written once: `dialect` holds the few words that differ,
//! `backend` and `query` run it on either database, `mysql` and `sqlite` connect.
//!
//! The protocol's transactions (`insert`, `adopt`, `poison`, `rebuild`, `restock`, `order_life`) share three
//! rules: READ COMMITTED; the event's row is locked first, so that two of them on one event never run at once
//! and never deadlock; and no decision rests on a value read outside that lock. Only the database's clock
//! decides. Where MySQL locks the row, SQLite has one connection that writes. A deadlock or a lock timeout rolls the whole transaction back and it runs again, a few times.

mod accounts;
mod adopt;
mod audit;
mod audit_log;
mod backend;
mod breaker;
mod connection;
mod dead_letters;
mod dialect;
mod error;
mod event_archive;
mod event_changes;
mod event_schedule;
mod event_units;
mod events;
mod every_row;
mod evidence;
mod expected;
mod idempotency;
mod insert;
mod inventory;
mod metrics;
mod movements;
mod mysql;
mod order_life;
mod order_rows;
mod orders;
mod password;
mod payments;
mod plan;
mod poison;
mod presence;
mod product_list;
mod products;
mod purge;
mod query;
mod rate_limits;
mod rebuild;
mod refresh;
mod refunds;
mod restock;
mod retention;
mod returns;
mod revocations;
mod sessions;
mod shop_expiry;
mod shop_order_life;
mod shop_orders;
mod simulated_payments;
mod sql;
mod sqlite;
mod transaction;
mod untold;
mod users;

pub use accounts::{ChangedUser, UserChange, UserFilter};
pub use adopt::Adopted;
pub use audit::{EventAudit, EventFigures, Tally};
pub use audit_log::{AuditFilter, AuditRow, AuditTarget, NewAudit, Outcome};
pub use connection::DatabaseSettings;
pub use dead_letters::{DeadLetter, LetterFilter, LetterState};
pub use error::{Cause, Conflict, Result, StoreError};
pub use event_archive::PastEvent;
pub use event_changes::EventChange;
pub use event_schedule::Schedule;
pub use event_units::UnitsToMove;
pub use events::{EventList, EventRow, EventSort, NewEvent, WatchedEvent};
pub use evidence::{AttemptEvidence, Evidence, MarkerEvidence, OrderEvidence};
pub use expected::Expected;
pub use idempotency::{KeyTurn, KeyedRequest};
pub use insert::InsertOutcome;
pub use inventory::{AdjustTo, Adjustment, Inventory, InventoryGap};
pub use movements::{Delta, MovementKind, MovementRow};
pub use order_life::{Change, ChangedOrder};
pub use orders::SpikeOrderRow;
pub use payments::{Begun, PaymentAttempt};
pub use poison::Poison;
pub use presence::Seen;
pub use product_list::{ProductList, ProductSort};
pub use products::{NewProduct, ProductChange, ProductRow};
pub use purge::Purged;
pub use rate_limits::RateLimitsRow;
pub use rebuild::{KnownClaim, Snapshot, SnapshotRow};
pub use refresh::{Presented, Refreshed, Renewed};
pub use restock::Marker;
pub use retention::Deleted;
pub use revocations::{ALL_TOKENS, Revocation};
pub use sessions::{NewSession, NewlyStarted, Revoke, SessionRules, TokenHash};
pub use shop_expiry::{Overdue, ShopExpiry};
pub use shop_order_life::ShopChange;
pub use shop_orders::{NewShopOrder, Placement, ShopItem, ShopOrderRow};
pub use users::{NewUser, UserRow};

/// A handle on the database; clones share one pool.
#[derive(Clone, Debug)]
pub struct Store {
    backend: backend::Backend,
    statement_timeout: std::time::Duration,
    breaker: std::sync::Arc<spike_domain::Breaker>,
    metrics: std::sync::Arc<metrics::DatabaseMetrics>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Items of all pages.
    pub total: u64,
}

/// The answer of a transaction that demands an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fenced<T> {
    /// The epoch was the one demanded.
    Done(T),
    /// It was not; nothing was written. Start over with the event's present epoch.
    EpochMoved {
        /// The event's epoch now.
        now: u64,
    },
}
