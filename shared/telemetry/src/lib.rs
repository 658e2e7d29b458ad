//! What a process tells about itself: its log, and its operations port with its health and its metrics, which are counted in
//! `spike-metrics`.

mod arrow;
mod heap;
mod log;
pub mod ops;
mod redacted;

pub use arrow::{Arrow, arm_from_environment};
pub use heap::give_back;
pub use log::{Format, InitError, init};
pub use redacted::Redacted;
pub use spike_metrics::{Counter, Counters};
