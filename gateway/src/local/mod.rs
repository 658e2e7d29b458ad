//! What every hot core reads without a lock: event snapshots, sold-out flags, token buckets, tries, the sale's clock,
//! and the tokens that are revoked.

pub mod clock;
pub mod events;
pub mod gcra;
pub mod limits;
pub mod page;
pub mod revocations;
pub mod sold_out;
pub mod tries;

pub use clock::SaleClock;
pub use events::{EventLocal, EventTable};
pub use gcra::{Gcra, GcraTable, LiveQuota, Quota};
pub use limits::Limits;
pub use revocations::Revocations;
pub use sold_out::{Sale, SoldOutFlag};
pub use tries::{Pace, Tries, TriesTable};
