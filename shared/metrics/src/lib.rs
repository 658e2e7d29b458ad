//! What the processes count and measure, and how Prometheus reads it.
//!
//! `catalogue` describes every metric once: name, kind, help, labels with all the values they may have. The exposition
//! ([`Page`]), `docs/METRICS.md` ([`document`]) and the tests of dashboards and alerts are made from it. `hot` has the
//! blocks of the hot cores, which one thread writes and nobody else touches; `instrument` what any thread may count with.
//! Nothing here locks or allocates when it counts; summing is done by the one who scrapes.

mod bounds;
pub mod catalogue;
mod document;
mod family;
pub mod hot;
mod instrument;
mod page;
mod process;
pub mod words;

pub use bounds::{Bounds, Unit};
pub use document::document;
pub use family::{Family, Kind, Label, Values};
pub use hot::{CoreMetrics, Counter, Counters};
pub use instrument::{Counts, Spreads};
pub use page::{Page, Section};
pub use process::write_process;
