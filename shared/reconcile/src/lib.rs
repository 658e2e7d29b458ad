//! Holding an event's ledger against the database: S, R, L, F, K, every difference, and which of them can be mended safely.
//!
//! Used by whoever asks: the gateway's administration, the worker's watch over drift, and `spike reconcile`. Nothing here
//! writes; [`plan_repair`] only says what a repair would be.

mod figures;
mod repair;
mod report;

pub use figures::{Figures, figures};
pub use repair::{Repair, plan_repair};
pub use report::{Difference, Kind, Mend, Report, report};

use spike_stock::StockError;
use spike_store::StoreError;

/// Why two sides could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The event has no ledger that stands: it was not warmed up, is archived, or is being rebuilt.
    #[error("the event's ledger does not stand")]
    NotStanding,
    /// The ledger cannot be asked, or answers nonsense.
    #[error(transparent)]
    Stock(#[from] StockError),
    /// The database cannot be asked, or does not know the event.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Result<T> = std::result::Result<T, ReconcileError>;

fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}
