//! What a process tells about itself: its log and its counters.
//!
//! Counting never locks and never allocates, so that it may be done on the path of a buy; summing is done by the
//! one who scrapes.

mod arrow;
mod counters;
mod heap;
mod log;
pub mod ops;
mod prometheus;
mod redacted;

pub use arrow::{Arrow, arm_from_environment};
pub use counters::{Counter, Counters, Kind};
pub use heap::give_back;
pub use log::{Format, InitError, init};
pub use prometheus::gauge;
pub use redacted::Redacted;
