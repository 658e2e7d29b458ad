//! Fires a whole flash sale over real sockets and proves afterwards what became of it.
//!
//! In the order of a run: [`open_files`] makes room for the connections, [`sale`] presses *buy* for every buyer of a
//! [`SaleSpec`] while [`painter`] shows the [`progress`], [`mod@audit`] holds the answers against the database and the
//! stock ledger, and [`summary`] says it in a table or in one line of JSON. [`proof`] does the same for sales under faults.
//!
//! [`open`] is load that arrives by a schedule, whether or not the servers keep up; [`mod@record`] is what a load test leaves
//! behind, and [`report`] what is made of it for reading. [`http`] is the client underneath: it shares two cores with the
//! servers it presses, so it does one write and about one read a request, and no hyper.

pub mod audit;
pub mod http;
pub mod open;
pub mod open_files;
pub mod painter;
pub mod progress;
pub mod proof;
pub mod record;
pub mod report;
pub mod sale;
pub mod summary;

pub use audit::{Audit, AuditInput, OrderRow, audit};
pub use painter::{Mode, Painter};
pub use progress::{Counts, Kind, Latency, Progress, Snapshot};
pub use sale::{Buyer, History, PressPlan, SaleError, SaleResult, SaleSpec, loopback_sources, run};
pub use summary::Summary;
