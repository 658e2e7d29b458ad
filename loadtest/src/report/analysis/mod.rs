//! The bottleneck analysis of a phase: its measured figures by subject, each subject with one sentence of what they say.
//! Every sentence is chosen by the figures; what was not measured is said to be unknown.

mod caches;
mod database;
mod pools;
mod pressure;
mod processor;

use super::figures::{Table, pairs};
use super::number::measure;
use crate::record::{Phase, figure};

/// One subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) says: String,
    pub(super) table: Table,
}

/// The subjects of a phase in which servers were looked at; none of one in which they were not. `cores` is what the machine has.
pub(super) fn sections(phase: &Phase, cores: u32) -> Vec<Section> {
    if phase.figures.is_empty() {
        return Vec::new();
    }
    vec![
        processor::section(phase, cores),
        pools::section(phase),
        database::indexes(phase),
        caches::section(phase),
        database::locks(phase),
        pressure::limits(phase),
        pressure::degradation(phase),
    ]
}

/// Rows of a section.
struct Rows(Vec<(String, String)>);

impl Rows {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn add(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), value.into()));
    }

    /// A figure, as a dash when it is not there.
    fn figure(&mut self, name: &str, value: Option<f64>) {
        self.add(name, measure(value.unwrap_or(f64::NAN)));
    }

    fn into_section(self, title: &'static str, says: String) -> Section {
        Section { title, says, table: pairs(self.0.into_iter()) }
    }
}

/// What a counter grew by, if it was looked at.
fn growth(phase: &Phase, source: &str, name: &str) -> Option<f64> {
    phase.figures.get(&figure::growth(source, name)).copied()
}

/// The highest a gauge was seen, if it was looked at.
fn peak(phase: &Phase, source: &str, name: &str) -> Option<f64> {
    phase.figures.get(&figure::peak(source, name)).copied()
}

/// Counters of one source whose names have this start, with the rest of their names.
fn growths<'a>(
    phase: &'a Phase,
    source: &'a str,
    end: &'a str,
) -> impl Iterator<Item = (&'a str, f64)> + use<'a> {
    let of_source = phase.figures.iter().filter_map(move |(name, value)| {
        let name = name.strip_prefix(source)?.strip_prefix(':')?.strip_suffix(end)?;
        Some((name, *value))
    });
    of_source.filter(|(name, _)| !name.contains(':'))
}

/// A share of a whole as per cent, as a dash of nothing.
fn share(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{} %", measure(100.0 * part / whole)) } else { "–".to_owned() }
}

/// `a, b and c`.
fn words(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
#[path = "../analysis_tests.rs"]
mod tests;
