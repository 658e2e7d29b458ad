//! Reports of load tests, made from their records: Markdown for the repository, one HTML page with charts for reading.
//!
//! [`figures`] turns a phase into charts and tables, [`analysis`] says what held it up, [`tuning`] lists what was done about it,
//! [`chart`] draws charts as SVG, [`html`](mod@html) and
//! [`markdown`](mod@markdown) put the page together. The page loads nothing and runs no script.

mod analysis;
mod chart;
mod figures;
mod html;
mod markdown;
mod number;
mod scale;
mod tuning;

pub use chart::{Chart, Line};
pub use html::html;
pub use markdown::markdown;
pub use scale::Scale;
pub use tuning::Tuning;
