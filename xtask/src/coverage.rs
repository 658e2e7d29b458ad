//! How much of the critical paths the tests execute, from the report of cargo-llvm-cov.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// What `xtask/coverage.toml` says: paths by their name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Demands {
    paths: BTreeMap<String, Demand>,
}

/// Files, each by the beginning of its name from the root, and the least part of their lines, in per cent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Demand {
    files: Vec<String>,
    lines: f64,
}

/// The parts that are read of `cargo llvm-cov report --json --summary-only` (llvm-cov's export format, version 3).
#[derive(Deserialize)]
struct Export {
    data: Vec<Data>,
}

#[derive(Deserialize)]
struct Data {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    filename: String,
    summary: Summary,
}

#[derive(Deserialize)]
struct Summary {
    lines: Lines,
}

#[derive(Deserialize, Clone, Copy)]
struct Lines {
    count: u64,
    covered: u64,
}

/// A path with its lines, those executed, and its worst files.
#[derive(Debug, PartialEq)]
pub struct Row {
    name: String,
    covered: u64,
    count: u64,
    demanded: f64,
    worst: Vec<(f64, String)>,
}

impl Row {
    /// Whether enough lines were executed.
    pub fn is_met(&self) -> bool {
        self.percent() >= self.demanded
    }

    fn percent(&self) -> f64 {
        percent(self.covered, self.count)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_met() { "met" } else { "MISSED" };
        let Self { name, covered, count, demanded, .. } = self;
        write!(
            f,
            "{name:<10} {:>5.1} % of {count} lines ({covered}), {demanded} % demanded: {verdict}",
            self.percent()
        )?;
        for (percent, file) in &self.worst {
            write!(f, "\n           {percent:>5.1} % {file}")?;
        }
        Ok(())
    }
}

/// A row a path, from the report at `report`.
///
/// # Errors
/// When the report or `xtask/coverage.toml` cannot be read, or a folder of a path has no file in the report.
pub fn rows(root: &Path, report: &Path) -> anyhow::Result<Vec<Row>> {
    let demands = std::fs::read_to_string(root.join("xtask/coverage.toml")).context("xtask/coverage.toml")?;
    let demands: Demands = toml::from_str(&demands).context("xtask/coverage.toml")?;
    let text = std::fs::read_to_string(report).with_context(|| report.display().to_string())?;
    let export: Export = serde_json::from_str(&text).with_context(|| report.display().to_string())?;
    let lines: BTreeMap<&str, Lines> = export
        .data
        .iter()
        .flat_map(|data| &data.files)
        .filter_map(|file| Some((relative(root, &file.filename)?, file.summary.lines)))
        .filter(|(name, _)| !is_test(name))
        .collect();
    demands.paths.into_iter().map(|(name, demand)| row(name, &demand, &lines)).collect()
}

fn row(name: String, demand: &Demand, lines: &BTreeMap<&str, Lines>) -> anyhow::Result<Row> {
    let of_path: Vec<(&str, Lines)> = lines
        .iter()
        .filter(|(file, _)| demand.files.iter().any(|beginning| file.starts_with(beginning)))
        .map(|(file, lines)| (*file, *lines))
        .collect();
    for beginning in &demand.files {
        let known = of_path.iter().any(|(file, _)| file.starts_with(beginning.as_str()));
        ensure!(known, "the report knows no file of {name} in {beginning}");
    }
    let mut worst: Vec<(f64, String)> = of_path
        .iter()
        .map(|(file, lines)| (percent(lines.covered, lines.count), (*file).to_owned()))
        .filter(|(percent, _)| *percent < demand.lines)
        .collect();
    worst.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(Row {
        name,
        covered: of_path.iter().map(|(_, lines)| lines.covered).sum(),
        count: of_path.iter().map(|(_, lines)| lines.count).sum(),
        demanded: demand.lines,
        worst,
    })
}

fn relative<'a>(root: &Path, file: &'a str) -> Option<&'a str> {
    Path::new(file).strip_prefix(root).ok()?.to_str()
}

/// Code of tests, which executes itself.
fn is_test(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.contains("/tests/") || file.contains("/testing/")
}

#[allow(clippy::cast_precision_loss, reason = "lines of a program are far fewer than 2^52")]
fn percent(covered: u64, count: u64) -> f64 {
    if count == 0 { 100.0 } else { covered as f64 * 100.0 / count as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: u64, covered: u64) -> Lines {
        Lines { count, covered }
    }

    #[test]
    fn a_path_is_the_sum_of_its_files_and_names_those_below_it() {
        let demand = Demand { files: vec!["a/src/".to_owned()], lines: 90.0 };
        let known = BTreeMap::from([
            ("a/src/good.rs", lines(90, 90)),
            ("a/src/poor.rs", lines(10, 5)),
            ("b/src/x.rs", lines(9, 0)),
        ]);
        let row = row("a".to_owned(), &demand, &known).unwrap();
        assert_eq!((row.covered, row.count), (95, 100));
        assert!(row.is_met());
        assert_eq!(row.worst, [(50.0, "a/src/poor.rs".to_owned())]);
    }

    #[test]
    fn a_path_that_falls_short_or_is_not_there_is_told() {
        let demand = Demand { files: vec!["a/src/".to_owned()], lines: 90.0 };
        let known = BTreeMap::from([("a/src/poor.rs", lines(100, 89))]);
        assert!(!row("a".to_owned(), &demand, &known).unwrap().is_met());
        let nowhere = row("a".to_owned(), &demand, &BTreeMap::new()).unwrap_err();
        assert_eq!(nowhere.to_string(), "the report knows no file of a in a/src/");
        let demand = Demand { files: vec!["a/src/".to_owned(), "gone/".to_owned()], lines: 90.0 };
        let half = row("a".to_owned(), &demand, &known).unwrap_err();
        assert_eq!(half.to_string(), "the report knows no file of a in gone/");
    }

    #[test]
    fn every_path_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let text = std::fs::read_to_string(root.join("xtask/coverage.toml")).unwrap();
        let demands: Demands = toml::from_str(&text).unwrap();
        for file in demands.paths.values().flat_map(|demand| &demand.files) {
            assert!(root.join(file).is_dir(), "{file}");
        }
        assert!(is_test("a/src/tests.rs") && is_test("a/src/tests/page.rs") && !is_test("a/src/testing.rs"));
    }
}
