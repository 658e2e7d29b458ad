//! The stock ledger in Redis: its keys, its scripts and what they answer.
//!
//! The scripts in `lua/` decide; this crate speaks with them. Two clients use it: the hot cores, which write
//! [`reserve`] calls as RESP on their own pipelined connections, and [`Ledger`], for everything off the hot path.
//!
//! [`Stock`] is the port that gateway and worker use: Redis, or the [`embedded`] ledger of this process.
//!
//! The restart fence: [`scripts::reserve`] and [`scripts::adopt`] exist in Redis only after a rebuild loaded them
//! ([`Ledger::load_fenced`]). Nothing else in this crate loads them or sends their text, so a Redis that came back with
//! old or no data answers NOSCRIPT ([`StockError::Fenced`]) until somebody has compared it with the database.

mod archive;
pub mod claim;
pub mod embedded;
pub mod entry;
pub mod error;
mod guarded;
pub mod hint;
pub mod keys;
pub mod ledger;
pub mod meta;
mod metrics;
pub mod outbox;
mod reading;
pub mod reserve;
pub mod scripts;
pub mod stock;

pub use claim::Claim;
pub use embedded::EmbeddedLedger;
pub use error::{Refused, StockError};
pub use hint::Hint;
pub use keys::EventKeys;
pub use ledger::{EndedOrder, Ledger, Opening, Settled};
pub use meta::{Meta, View};
pub use stock::Stock;
