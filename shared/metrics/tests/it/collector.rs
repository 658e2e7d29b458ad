//! The Collector's configurations: no Debian package can read them, so their parts are held together here.

use std::collections::{BTreeMap, BTreeSet};

use crate::files::read;

#[test]
fn every_part_of_a_pipeline_is_configured_and_every_part_is_used() {
    for path in ["deploy/observability/otel-collector.yml", "deploy/compose/otel-collector.yml"] {
        parts_are_those_used(path);
    }
}

fn parts_are_those_used(path: &str) {
    let text = read(path);
    let mut parts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut used: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut section = "";
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let indent = line.len() - line.trim_start().len();
        match (indent, line.trim().split_once(':')) {
            (0, Some((name, _))) => section = name,
            (2, Some((name, _))) if section != "service" => {
                parts.entry(section).or_default().insert(name);
            }
            (_, Some((kind, list))) if section == "service" && list.trim().starts_with('[') => {
                let names = list.trim().trim_matches(['[', ']']).split(',').map(str::trim);
                used.entry(kind).or_default().extend(names);
            }
            _ => {}
        }
    }
    assert_eq!(
        used.keys().copied().collect::<Vec<_>>(),
        ["exporters", "extensions", "processors", "receivers"],
        "{path}"
    );
    assert_eq!(used, parts, "{path}");
}

#[test]
fn it_scrapes_what_prometheus_scrapes() {
    let jobs = |path: &str| -> Vec<String> {
        let text = read(path);
        let told = text.lines().map(|line| line.trim().trim_start_matches("- "));
        told.filter(|line| line.starts_with("job_name: ") || line.starts_with("targets: [\"127.0.0.1:909"))
            .filter(|line| !line.contains(":9093"))
            .map(str::to_owned)
            .collect()
    };
    let prometheus = jobs("deploy/observability/prometheus.yml");
    assert_eq!(prometheus.len(), 4, "{prometheus:?}");
    assert_eq!(jobs("deploy/observability/otel-collector.yml"), prometheus);
}
