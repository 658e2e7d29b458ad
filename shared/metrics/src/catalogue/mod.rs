//! Every metric there is, described once.

pub mod common;
pub mod gateway;
pub mod worker;

use crate::{Counter, Family};

/// Everything that a gateway shows.
pub fn of_gateway() -> Vec<Family> {
    [common::ALL, Counter::FAMILIES, gateway::ALL].concat()
}

/// Everything that a worker shows.
pub fn of_worker() -> Vec<Family> {
    [common::ALL, worker::ALL].concat()
}

/// All of them, each once.
pub fn all() -> Vec<Family> {
    [common::ALL, Counter::FAMILIES, gateway::ALL, worker::ALL].concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{Kind, Unit, Values};

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        let families = all();
        let names: BTreeSet<_> = families.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), families.len(), "two metrics share a name");
        for family in &families {
            let name = family.name;
            assert!(name.starts_with("spike_") || name.starts_with("process_"), "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{name}"
            );
            assert_eq!(name.ends_with("_total"), family.kind == Kind::Counter, "{name}");
            if let Kind::Histogram(bounds) = family.kind {
                assert_eq!(name.ends_with("_seconds"), bounds.unit == Unit::Nanoseconds, "{name}");
            }
            for unit in ["_ms", "_us", "_ns", "_percent", "_kib"] {
                assert!(!name.contains(unit), "{name} is not in a base unit");
            }
            assert!(family.help.ends_with('.') && !family.help.contains(['\n', '\\']), "{name}");
        }
    }

    #[test]
    fn no_label_can_grow_with_the_crowd() {
        for family in all() {
            let mut series = 1;
            for label in family.labels {
                for taken in ["le", "user", "order", "token", "address", "email", "job", "instance"] {
                    assert_ne!(label.name, taken, "{}", family.name);
                }
                series *= match label.values {
                    Values::Closed(words) => words.len(),
                    Values::Bounded(why) => {
                        assert!(!why.is_empty(), "{}", family.name);
                        1
                    }
                };
            }
            assert!(series <= 128, "{} has {series} series", family.name);
        }
    }
}
