//! The checker of the fault suite: proves I1 to I9 of one event from the database's rows, the ledger in Redis and what every
//! client was told, when all has come to rest; and what can be read consistently, while the sale still runs ([`sample`]).
//!
//! Pure: everything is passed in. What a fault has destroyed beyond recovery is passed in as well ([`Allowances`]), order by
//! order, so that nothing else is excused by it.

mod facts;
mod history;
mod money;
mod orders;
mod restock;
mod sample;
mod times;
mod told;
mod units;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use spike_domain::OrderId;

pub use facts::{Allowances, Attempt, Facts, LedgerFacts, Marker, Row};
pub use history::{Act, Bought, Ended, Outcome, Paid, Record, Seen};
pub use sample::{DatabaseSample, LedgerSample, check_sample};
pub use told::told;

/// What must never break; I10 is about tokens and is shown elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// S = R + L + F + K, and nothing under way at rest.
    I1,
    /// Never more promised than there is.
    I2,
    /// One live claim a user.
    I3,
    /// Every acceptance has its row.
    I4,
    /// Paid or cancelled, and money accounted for.
    I5,
    /// One restock a cancelled order.
    I6,
    /// One effect and one answer a key.
    I7,
    /// No stale and no false "sold out".
    I8,
    /// Unpaid orders end in time.
    I9,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Self; 9] =
        [Self::I1, Self::I2, Self::I3, Self::I4, Self::I5, Self::I6, Self::I7, Self::I8, Self::I9];
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A kind of violation with its first cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant.
    pub invariant: Invariant,
    /// How it is broken.
    pub kind: &'static str,
    /// How often.
    pub count: u64,
    /// The first few.
    pub cases: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.count > self.cases.len() as u64 { ", …" } else { "" };
        write!(f, "{}: {} × {}: {}{more}", self.invariant, self.count, self.kind, self.cases.join(", "))
    }
}

/// Holds an event at rest against what its clients were told. Empty: every invariant is kept.
pub fn prove(facts: &Facts, history: &[Record], allowed: &Allowances) -> Vec<Violation> {
    let mut found = Findings::default();
    let case = Case::new(facts, history, allowed);
    units::check(&case, &mut found);
    orders::check(&case, &mut found);
    money::check(&case, &mut found);
    restock::check(&case, &mut found);
    times::check(&case, &mut found);
    found.into_violations()
}

/// What is proved, with its rows by order.
struct Case<'a> {
    facts: &'a Facts,
    history: &'a [Record],
    allowed: &'a Allowances,
    rows: HashMap<OrderId, &'a Row>,
}

impl<'a> Case<'a> {
    fn new(facts: &'a Facts, history: &'a [Record], allowed: &'a Allowances) -> Self {
        let rows = facts.rows.iter().map(|row| (row.order, row)).collect();
        Self { facts, history, allowed, rows }
    }
}

/// Violations by kind: a broken run has thousands of the same.
#[derive(Default)]
struct Findings(BTreeMap<(Invariant, &'static str), (u64, Vec<String>)>);

impl Findings {
    const CASES_SHOWN: usize = 5;

    fn add(&mut self, invariant: Invariant, kind: &'static str, case: impl fmt::Display) {
        let (count, shown) = self.0.entry((invariant, kind)).or_default();
        *count += 1;
        if shown.len() < Self::CASES_SHOWN {
            shown.push(case.to_string());
        }
    }

    fn into_violations(self) -> Vec<Violation> {
        let violation = |((invariant, kind), (count, cases))| Violation { invariant, kind, count, cases };
        self.0.into_iter().map(violation).collect()
    }
}

#[cfg(test)]
mod tests;
