//! Every expression of a dashboard or a rule names metrics that exist, and says of their labels only what they can say.

use std::collections::BTreeSet;

use spike_metrics::{Family, Values, catalogue};

use crate::files::{Rule, dashboards, queries, read, rules};

const RULES: &str = "deploy/observability/rules/alerts.yml";
const RECORDINGS: &str = "deploy/observability/rules/recording.yml";

/// What Prometheus itself stores.
const OF_PROMETHEUS: [&str; 2] = ["up", "ALERTS"];
const OF_THE_SCRAPE: [&str; 2] = ["job", "instance"];
const WORDS: [&str; 8] = ["and", "or", "unless", "by", "on", "without", "ignoring", "bool"];

#[test]
fn every_query_of_a_dashboard_names_metrics_that_exist() {
    let names: Vec<String> = dashboards().iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, ["dependencies", "gateway", "sale", "worker"]);
    for (name, dashboard) in dashboards() {
        let queries = queries(&dashboard);
        assert!(queries.len() > 10, "{name} has {} queries", queries.len());
        for (panel, expr) in queries {
            check(&expr, &format!("{name}, {panel}"));
        }
        let ids: BTreeSet<_> =
            dashboard["panels"].as_array().unwrap().iter().map(|p| p["id"].as_i64()).collect();
        assert_eq!(ids.len(), dashboard["panels"].as_array().unwrap().len(), "{name}: ids are unique");
    }
}

#[test]
fn every_metric_of_ours_is_on_a_dashboard_or_in_an_alert() {
    let mut shown: BTreeSet<String> = BTreeSet::new();
    let expressions =
        dashboards().into_iter().flat_map(|(_, dashboard)| queries(&dashboard)).map(|(_, expr)| expr);
    let rules = [RULES, RECORDINGS].into_iter().flat_map(rules).map(|rule| rule.expr);
    expressions.chain(rules).for_each(|expr| shown.extend(names(&expr)));
    // Each is the sum of outcomes that are shown one by one.
    let summed =
        ["already_bought", "sold_out", "rejected_limit", "rejected_auth", "rejected_window", "unavailable"];
    let polls = ["long_polls_total", "long_polls_timed_out_total", "streams_total"];
    for family in catalogue::all() {
        let told = family.series_names().iter().any(|name| shown.contains(name));
        let elsewhere = summed.iter().any(|word| family.name == format!("spike_gateway_{word}_total"))
            || polls.iter().any(|word| family.name == format!("spike_gateway_{word}"))
            || family.name == "spike_gateway_outcome_unknown_total"
            || family.name == "spike_gateway_control_requests_total";
        assert!(told || elsewhere, "{} is nowhere to be seen", family.name);
    }
}

#[test]
fn every_rule_names_metrics_that_exist() {
    let (alerts, recordings) = (rules(RULES), rules(RECORDINGS));
    assert!(alerts.len() >= 10 && recordings.len() >= 5);
    for Rule { name, expr, .. } in alerts.iter().chain(&recordings) {
        check(expr, name);
    }
    assert!(
        alerts.iter().all(|rule| rule.kind == "alert") && recordings.iter().all(|rule| rule.kind == "record")
    );
}

#[test]
fn every_alert_is_tested_and_has_its_entry_in_the_runbook() {
    let (tests, runbook) = (read("deploy/observability/rules/tests/alerts.yml"), read("docs/RUNBOOK.md"));
    let anchors: BTreeSet<String> =
        runbook.lines().filter_map(|line| line.strip_prefix("## ")).map(anchor).collect();
    for Rule { name, runbook: at, .. } in rules(RULES) {
        let entry = at.strip_prefix("docs/RUNBOOK.md#").unwrap_or_else(|| panic!("{name} points to {at:?}"));
        assert!(anchors.contains(entry), "{name}: the runbook has no {entry} among {anchors:?}");
        assert!(runbook.contains(&format!("`{name}`")), "the runbook does not name {name}");
        let cases: Vec<&str> = tests.split(&format!("alertname: {name}\n")).skip(1).collect();
        assert!(
            cases.iter().any(|case| case.trim_start().starts_with("exp_alerts:\n")),
            "{name} is never seen to call"
        );
        assert!(
            cases.iter().any(|case| case.trim_start().starts_with("exp_alerts: []")),
            "{name} is never seen to keep quiet"
        );
    }
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-')
        .collect::<String>();
    kept.trim().replace(' ', "-")
}

fn check(expr: &str, place: &str) {
    let families = catalogue::all();
    let recorded: BTreeSet<String> = rules(RECORDINGS).into_iter().map(|rule| rule.name).collect();
    let names = names(expr);
    assert!(!names.is_empty(), "{place}: {expr} names nothing");
    for name in names {
        let family = families.iter().find(|family| family.series_names().contains(&name));
        assert!(
            family.is_some() || recorded.contains(&name) || OF_PROMETHEUS.contains(&name.as_str()),
            "{place}: there is no {name}: {expr}"
        );
    }
    for (name, label, value) in matchers(expr) {
        let Some(family) = families.iter().find(|family| family.series_names().contains(&name)) else {
            continue;
        };
        if !OF_THE_SCRAPE.contains(&label.as_str()) {
            check_label(family, &label, &value, place);
        }
    }
}

fn check_label(family: &Family, label: &str, value: &str, place: &str) {
    if label == "le" {
        let bounds = family.bounds();
        let known = bounds.upper.iter().any(|upper| bounds.shown(*upper).to_string() == value);
        return assert!(known, "{place}: {} has no bucket {value}", family.name);
    }
    let described = family.labels.iter().find(|one| one.name == label);
    let described = described.unwrap_or_else(|| panic!("{place}: {} has no label {label}", family.name));
    if let Values::Closed(words) = described.values {
        for word in value.split('|') {
            assert!(words.contains(&word), "{place}: {} is never {label}={word}", family.name);
        }
    }
}

/// The names of metrics: every word that is no function, no keyword and in no brackets of labels or times.
fn names(expr: &str) -> BTreeSet<String> {
    let mut plain = String::new();
    let (mut curly, mut square) = (0, 0);
    for c in without_label_lists(expr).chars() {
        match c {
            '{' => curly += 1,
            '}' => curly -= 1,
            '[' => square += 1,
            ']' => square -= 1,
            _ if curly == 0 && square == 0 => plain.push(c),
            _ => {}
        }
    }
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut names = BTreeSet::new();
    let mut rest = plain.as_str();
    while let Some(start) = rest.find(word) {
        let tail = &rest[start..];
        let end = tail.find(|c| !word(c)).unwrap_or(tail.len());
        let (name, after) = tail.split_at(end);
        let function = after.trim_start().starts_with('(');
        if !function && !WORDS.contains(&name) && !name.starts_with(|c: char| c.is_ascii_digit()) {
            names.insert(name.to_owned());
        }
        rest = after;
    }
    names
}

/// Without the labels of `by (…)`, `on (…)` and their kind.
fn without_label_lists(expr: &str) -> String {
    let mut left = expr.to_owned();
    for word in ["by (", "on (", "without (", "ignoring ("] {
        while let Some(at) = left.find(&format!(" {word}")) {
            let end = at + left[at..].find(')').expect("a closed list");
            left.replace_range(at..=end, " ");
        }
    }
    left
}

/// Metric, label and value of every matcher.
fn matchers(expr: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut before = "";
    for part in expr.split('}') {
        if let Some((head, inside)) = part.split_once('{') {
            before = head;
            let name = before.rsplit(|c| !word(c)).next().unwrap_or_default();
            for matcher in inside.split("\",") {
                let Some((label, value)) = matcher.split_once('=') else { continue };
                let value = value.trim_start_matches('~').trim_matches('"');
                found.push((
                    name.to_owned(),
                    label.trim().trim_end_matches('!').to_owned(),
                    value.to_owned(),
                ));
            }
        }
    }
    let _ = before;
    found
}

#[test]
fn names_and_matchers_are_found_in_an_expression() {
    let expr = r#"sum by (le, route) (rate(a_bucket{route="buy",le="0.05"}[5m])) / (b:c > 0) or on () vector(0) and x_total{y=~"p|q"}"#;
    assert_eq!(names(expr).into_iter().collect::<Vec<_>>(), ["a_bucket", "b:c", "x_total"]);
    let text = |one: &str| one.to_owned();
    assert_eq!(
        matchers(expr),
        [
            (text("a_bucket"), text("route"), text("buy")),
            (text("a_bucket"), text("le"), text("0.05")),
            (text("x_total"), text("y"), text("p|q")),
        ]
    );
}
