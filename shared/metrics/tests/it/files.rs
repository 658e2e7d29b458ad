//! The files of `deploy/observability`, read as plainly as their tests need.

use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository's root")
}

/// A file of the repository.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every dashboard with its name.
pub fn dashboards() -> Vec<(String, serde_json::Value)> {
    let folder = root().join("deploy/observability/grafana/dashboards");
    let files =
        std::fs::read_dir(folder).expect("a folder of dashboards").map(|file| file.expect("a file").path());
    let mut read: Vec<_> = files
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a dashboard");
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        })
        .collect();
    read.sort_by(|(one, _), (other, _)| one.cmp(other));
    read
}

/// Every query of a dashboard, with its panel's title.
pub fn queries(dashboard: &serde_json::Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().expect("panels");
    let of_panel = |panel: &serde_json::Value| {
        let title = panel["title"].as_str().expect("a title").to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets
            .into_iter()
            .map(|target| (title.clone(), target["expr"].as_str().expect("an expression").to_owned()))
            .collect::<Vec<_>>()
    };
    panels.iter().flat_map(of_panel).collect()
}

/// A rule of a file of rules.
#[derive(Debug, Default)]
pub struct Rule {
    /// `alert` or `record`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its expression, on one line.
    pub expr: String,
    /// Where its runbook entry is; empty for a recording.
    pub runbook: String,
}

/// The rules of a file: the few forms of YAML that ours are written in. `promtool` reads them in earnest.
pub fn rules(path: &str) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut folded = false;
    for line in read(path).lines() {
        let plain = line.trim();
        if let Some((kind, name)) = ["alert", "record"]
            .iter()
            .find_map(|kind| Some((kind, plain.strip_prefix(&format!("- {kind}: "))?)))
        {
            folded = false;
            rules.push(Rule { kind: (*kind).to_owned(), name: name.to_owned(), ..Rule::default() });
            continue;
        }
        let Some(rule) = rules.last_mut() else { continue };
        if let Some(expr) = plain.strip_prefix("expr: ") {
            folded = expr == ">-";
            rule.expr = if folded { String::new() } else { expr.to_owned() };
        } else if let Some(at) = plain.strip_prefix("runbook_url: ") {
            rule.runbook = at.to_owned();
        } else if folded && line.starts_with("          ") {
            rule.expr = format!("{} {plain}", rule.expr);
        } else {
            folded = false;
        }
    }
    rules
}
