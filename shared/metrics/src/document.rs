//! `docs/METRICS.md`, made from the catalogue.

use std::fmt::Write;

use crate::catalogue::{common, gateway, worker};
use crate::{Counter, Family, Kind, Values};

const HEAD: &str = "# Metrics

Written by `make docs` from `shared/metrics`; a test keeps it true. The ops port shows them at `/metrics`: 127.0.0.1:9090 for a gateway,
127.0.0.1:9091 for a worker. Prometheus, rules and dashboards are in `deploy/observability`, what to do at an alert in [RUNBOOK.md](RUNBOOK.md).

- A label has a closed set of values, all of them shown from the start at 0, or a bound that is stated. None holds a user, an order or
  an address. So a first failure is seen as a change, and a panel without failures shows 0.
- Hot cores count in memory of their own, which one thread writes; a scrape sums. `telemetry.hot_metrics = false` stops that: then the
  gateway shows of its hot cores only what goes up and down.
- Durations are in seconds, sizes in bytes or things. A histogram `x` is stored as `x_bucket`, `x_sum` and `x_count`.
";

/// The whole file.
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    section(&mut text, "Both processes", common::ALL);
    section(&mut text, "Gateway", gateway::ALL);
    section(&mut text, "Gateway, counted without labels", Counter::FAMILIES);
    section(&mut text, "Worker", worker::ALL);
    text.push_str("\n## Labels\n\n| label | values |\n|---|---|\n");
    for (name, values) in labels() {
        writeln!(text, "| `{name}` | {values} |").expect("a String takes all that is written");
    }
    text.push_str("\n## Buckets\n\n| metric | upper bounds |\n|---|---|\n");
    for family in crate::catalogue::all() {
        if let Kind::Histogram(bounds) = family.kind {
            let upper: Vec<String> =
                bounds.upper.iter().map(|upper| bounds.shown(*upper).to_string()).collect();
            writeln!(text, "| `{}` | {} |", family.name, upper.join(", "))
                .expect("a String takes all that is written");
        }
    }
    text
}

fn section(text: &mut String, title: &str, families: &[Family]) {
    write!(text, "\n## {title}\n\n| metric | kind | labels | what it is |\n|---|---|---|---|\n")
        .expect("a String takes all that is written");
    for family in families {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{}`", label.name)).collect();
        writeln!(text, "| `{}` | {kind} | {} | {} |", family.name, labels.join(" "), family.help)
            .expect("a String takes all that is written");
    }
}

/// Every label once, under each meaning that it has.
fn labels() -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    for label in crate::catalogue::all().iter().flat_map(|family| family.labels) {
        let values = match label.values {
            Values::Closed(words) => {
                words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" ")
            }
            Values::Bounded(what) => what.to_owned(),
        };
        if !rows.contains(&(label.name, values.clone())) {
            rows.push((label.name, values));
        }
    }
    rows.sort();
    rows
}
