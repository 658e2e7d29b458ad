//! The counters as Prometheus reads them (text exposition format 0.0.4).

use std::fmt::Write;

use crate::{Counter, Counters, Kind};

impl Counters {
    /// Every counter with its HELP and TYPE lines.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for counter in Counter::ALL {
            let name = counter.metric();
            let kind = match counter.kind() {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
            };
            let (help, value) = (counter.help(), self.sum(*counter));
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}")
                .expect("a String takes all that is written");
        }
        text
    }
}

/// A figure that is read when it is scraped, with its HELP and TYPE lines.
pub fn gauge(name: &str, help: &str, value: usize) -> String {
    format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_scrape_shows_each_counter_once() {
        let counters = Counters::new(2);
        counters.add(0, Counter::Accepted, 40);
        counters.add(1, Counter::Accepted, 2);
        let text = counters.render();
        assert!(text.contains(
            "# HELP spike_gateway_accepted_total Buys accepted.\n# TYPE spike_gateway_accepted_total counter\n\
             spike_gateway_accepted_total 42\n"
        ));
        assert_eq!(text.lines().count(), 3 * Counter::ALL.len());
    }

    #[test]
    fn names_follow_the_rules() {
        let names: BTreeSet<_> = Counter::ALL.iter().map(|counter| counter.metric()).collect();
        assert_eq!(names.len(), Counter::ALL.len(), "two counters share a name");
        for counter in Counter::ALL {
            let name = counter.metric();
            assert!(name.starts_with("spike_gateway_"), "{name}");
            assert_eq!(name.ends_with("_total"), counter.kind() == Kind::Counter, "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert!(!counter.help().contains(['\n', '\\']), "{name}");
        }
    }
}
