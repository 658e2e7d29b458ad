//! What a run has shown: a table for people, and whether it is good enough.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::faults::{Over, named};

/// The end of a run.
#[derive(Default)]
pub struct Report {
    /// What chose the faults.
    pub seed: u64,
    /// How long it took.
    pub took: Duration,
    /// Recovery times by fault.
    pub faults: BTreeMap<&'static str, Vec<Duration>>,
    /// Events.
    pub events: usize,
    /// Different orders that clients were told of.
    pub accepted: usize,
    /// Requests of every kind: ok, fail, unknown.
    pub requests: [u64; 3],
    /// Rows by status.
    pub rows: BTreeMap<&'static str, usize>,
    /// Orders whose only copy a fault has destroyed, as far as they have no row or a dead one.
    pub excused: usize,
    /// Looks while it ran.
    pub looks: u64,
    /// F and K of all events at rest.
    pub under_way: i64,
    /// What is wrong with the figures.
    pub violations: Vec<String>,
}

impl Report {
    /// Faults in all.
    pub fn struck(&self) -> usize {
        self.faults.values().map(Vec::len).sum()
    }

    /// Recoveries that took too long.
    pub fn late(&self) -> Vec<String> {
        let mut late = Vec::new();
        for (name, times) in &self.faults {
            let bound = named(name).over.within();
            late.extend(
                times
                    .iter()
                    .filter(|took| **took > bound)
                    .map(|took| format!("{name}: {took:.1?} of {bound:?}")),
            );
        }
        late
    }

    /// The table.
    pub fn table(&self) -> String {
        let mut text = format!("nemesis, seed {}: {:.0?}\n", self.seed, self.took);
        let _ = writeln!(
            text,
            "  {:<20} {:>5}  {:>8}  {:>8}  {:>6}  over when",
            "fault", "times", "median", "max", "bound"
        );
        for (name, times) in &self.faults {
            let mut sorted = times.clone();
            sorted.sort_unstable();
            let (median, max) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
            let over = named(name).over;
            let _ = writeln!(
                text,
                "  {name:<20} {:>5}  {:>6.1} s  {:>6.1} s  {:>4} s  {}",
                sorted.len(),
                median.as_secs_f64(),
                max.as_secs_f64(),
                over.within().as_secs(),
                words(over)
            );
        }
        let [ok, fail, unknown] = self.requests;
        let mut row = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<20} {value}");
        };
        row("faults", format!("{} of {} kinds", self.struck(), self.faults.len()));
        row("events", format!("{}, at rest with F + K = {}", self.events, self.under_way));
        row("orders accepted", self.accepted.to_string());
        row("requests", format!("{ok} ok · {fail} fail · {unknown} unknown"));
        let rows: Vec<String> = self.rows.iter().map(|(status, count)| format!("{status} {count}")).collect();
        row("rows", rows.join(" · "));
        row("lost with their data", format!("{} orders (documented)", self.excused));
        row("looks while running", self.looks.to_string());
        row("violations", self.violations.len().to_string());
        for line in self.violations.iter().chain(&self.late()) {
            row("", line.clone());
        }
        text
    }
}

fn words(over: Over) -> &'static str {
    match over {
        Over::Process => "the process is ready and sells",
        Over::Redis => "every ledger is open and both gateways sell",
        Over::Backlog => "everything that waited is written",
        Over::Database => "all are ready and everything that waited is written",
    }
}
