//! What a load test leaves behind: one JSON file with everything its report is made from.
//!
//! [`Machine`] says where it ran, [`cpu`] and [`process`] what the servers beside it used.

pub mod cpu;
pub mod figure;
mod file;
mod machine;
pub mod process;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use spike_domain::Conservation;

use crate::audit::Audit;

pub use crate::open::StreamFigures as StreamRecord;
pub use file::RecordError;
pub use machine::Machine;
pub use process::ProcessSampler;

/// A load test.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What was tested.
    pub title: String,
    /// RFC 3339, UTC; see [`spike_domain::clock::rfc3339`].
    pub started_at: String,
    /// Where.
    pub machine: Machine,
    /// The commit of what was tested.
    pub commit: String,
    /// Whatever would be needed to run it again.
    pub parameters: BTreeMap<String, String>,
    /// In the order in which they ran.
    pub phases: Vec<Phase>,
}

/// One part of a load test with a load of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// When it started, seconds from the start of the test.
    pub started_s: f64,
    /// How long it took.
    pub seconds: f64,
    /// The load. Their seconds count from the start of the phase.
    pub streams: Vec<StreamRecord>,
    /// What was seen of the servers meanwhile.
    pub samples: Vec<Sample>,
    /// Figures of the servers over the whole phase, by the names of [`figure`].
    #[serde(default)]
    pub figures: BTreeMap<String, f64>,
    /// What the auditor found afterwards, where something was sold.
    pub audit: Option<AuditRecord>,
    /// Anything worth saying, a sentence each.
    pub notes: Vec<String>,
}

/// The servers at one moment. What could not be read is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds from the start of the phase.
    pub at_s: f64,
    /// Units left in the ledger.
    pub stock: Option<u64>,
    /// Messages in the queue of orders.
    pub queue_messages: Option<u64>,
    /// Entries in the outbox.
    pub outbox_entries: Option<u64>,
    /// Cores used since the sample before, by process.
    pub cpu: BTreeMap<String, f64>,
    /// Resident memory, by process.
    pub memory_mib: BTreeMap<String, f64>,
    /// Anything else, by its name with its unit.
    pub metrics: BTreeMap<String, f64>,
}

/// What the auditor found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// S, R, L, F, K.
    pub conservation: Conservation,
    /// Units sold beyond the stock.
    pub oversold: u64,
    /// Users with more than one order.
    pub doubled: u64,
    /// Acknowledged orders without a row.
    pub lost: u64,
    /// From the last answer until every order was written, seconds.
    pub drain_s: f64,
    /// Each finding in words; none when the audit is clean.
    pub differences: Vec<String>,
}

impl AuditRecord {
    /// The findings of `audit` on a sale that drained in `drain`.
    pub fn new(audit: &Audit, drain: Duration) -> Self {
        Self {
            conservation: audit.conservation,
            oversold: audit.oversold,
            doubled: audit.doubled,
            lost: audit.lost,
            drain_s: drain.as_secs_f64(),
            differences: audit.differences.clone(),
        }
    }

    /// Whether there was nothing to find fault with.
    pub fn clean(&self) -> bool {
        self.differences.is_empty()
            && self.conservation.holds()
            && [self.oversold, self.doubled, self.lost] == [0; 3]
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
pub(crate) mod tests;
