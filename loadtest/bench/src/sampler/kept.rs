//! What counters were at first and at last, and the highest that gauges came to.

use std::collections::BTreeMap;

/// Kept over the looks of a phase.
#[derive(Debug, Default)]
pub struct Kept {
    counters: BTreeMap<String, (f64, f64)>,
    gauges: BTreeMap<String, f64>,
    times: BTreeMap<String, f64>,
}

impl Kept {
    /// A counter as it stands.
    pub fn counter(&mut self, name: String, value: f64) {
        self.counters.entry(name).or_insert((value, value)).1 = value;
    }

    /// A gauge as it stands.
    pub fn gauge(&mut self, name: &str, value: f64) {
        let most = self.gauges.entry(name.to_owned()).or_insert(value);
        *most = most.max(value);
    }

    /// Whether something was so at this look.
    pub fn count(&mut self, name: &str, so: bool) {
        *self.times.entry(name.to_owned()).or_default() += f64::from(u8::from(so));
    }

    /// What counters grew by, the peaks of gauges, and how often things were so. A counter that fell has begun anew.
    pub fn figures(&self) -> BTreeMap<String, f64> {
        let grown = self
            .counters
            .iter()
            .map(|(name, &(first, last))| (name.clone(), if last >= first { last - first } else { last }));
        let others = self.gauges.iter().chain(&self.times).map(|(name, value)| (name.clone(), *value));
        grown.chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_told_by_their_growth_and_gauges_by_their_peak() {
        let mut kept = Kept::default();
        for (counter, restarted, gauge, so) in
            [(100.0, 50.0, 3.0, false), (150.0, 60.0, 9.0, true), (175.0, 7.0, 4.0, true)]
        {
            kept.counter("grown".to_owned(), counter);
            kept.counter("restarted".to_owned(), restarted);
            kept.gauge("gauge", gauge);
            kept.count("times", so);
        }
        let want = [("gauge", 9.0), ("grown", 75.0), ("restarted", 7.0), ("times", 2.0)];
        assert_eq!(kept.figures(), want.map(|(name, value)| (name.to_owned(), value)).into());
    }
}
