//! Who used the processors.

use std::collections::BTreeMap;

use super::{Rows, Section, share};
use crate::record::Phase;
use crate::report::number::measure;

/// A machine that is busier than this has nothing left to give.
const SATURATED: f64 = 0.9;

pub(super) fn section(phase: &Phase, cores: u32) -> Section {
    let mut rows = Rows::new();
    let mut used: Vec<(String, f64)> = mean_cores(phase).into_iter().collect();
    used.sort_by(|one, two| two.1.total_cmp(&one.1));
    let all: f64 = used.iter().map(|(_, cores)| cores).sum();
    for (name, cores) in &used {
        rows.add(name, format!("{} cores, {} of all", measure(*cores), share(*cores, all)));
    }
    let cores = f64::from(cores.max(1));
    let says = match used.first() {
        None => "No process was looked at.".to_owned(),
        Some((first, most)) => {
            let state = if all >= SATURATED * cores { "were saturated" } else { "had room" };
            format!(
                "The {cores:.0} cores {state}: {} of them were busy on average, and {first} took the most ({} of what was used).",
                measure(all),
                share(*most, all)
            )
        }
    };
    rows.into_section("Processor", says)
}

/// Cores that each process used, the mean of all samples.
fn mean_cores(phase: &Phase) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for (name, cores) in phase.samples.iter().flat_map(|sample| &sample.cpu) {
        let (sum, count) = sums.entry(name.clone()).or_default();
        *sum += cores;
        *count += 1.0;
    }
    sums.into_iter().map(|(name, (sum, count))| (name, sum / count)).collect()
}
