//! The rules of the house that a program can check. Each is a pure function from the tree to its faults.

mod commands;
mod layers;
mod lengths;
mod links;
mod modules;
mod rules;
mod stray;
mod tree;
mod words;

use std::fmt;
use std::path::Path;

use anyhow::Context;

use rules::Rules;
use tree::Tree;

/// A place and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file, from the root.
    pub file: String,
    /// The line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what),
            line => write!(f, "{}:{line}: {}", self.file, self.what),
        }
    }
}

/// Every fault of the tree at `root`, in order.
///
/// # Errors
/// When the tree or `xtask/tidy.toml` cannot be read.
pub fn check(root: &Path) -> anyhow::Result<Vec<Fault>> {
    let text = std::fs::read_to_string(root.join("xtask/tidy.toml")).context("xtask/tidy.toml")?;
    let rules: Rules = toml::from_str(&text).context("xtask/tidy.toml")?;
    let tree = Tree::read(root)?;
    let checks: [fn(&Tree, &Rules) -> Vec<Fault>; 7] = [
        lengths::check,
        layers::check,
        modules::check,
        stray::check,
        words::check,
        links::check,
        commands::check,
    ];
    let mut faults: Vec<Fault> = checks.iter().flat_map(|check| check(&tree, &rules)).collect();
    faults.sort();
    Ok(faults)
}
