//! `xtask/tidy.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    pub length: Length,
    pub layers: BTreeMap<String, Layer>,
    pub apart: Vec<Apart>,
    pub stray: Stray,
}

/// Lines of functions and files.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Length {
    pub function: usize,
    pub test_function: usize,
    pub file: usize,
    /// `path name` to why it may be longer.
    pub functions: BTreeMap<String, String>,
    /// Path to why it may be longer.
    pub files: BTreeMap<String, String>,
}

/// A package.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Packages of ours by their short names; `shared` is all below that folder.
    pub knows: Vec<String>,
    /// Those that only its tests may know.
    #[serde(default)]
    pub tests: Vec<String>,
}

/// Modules that never name each other.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apart {
    /// A folder.
    pub files: String,
    /// A path that none of its files names.
    pub never: String,
}

/// What does not belong into the tree.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stray {
    pub root: Vec<String>,
    pub ends: Vec<String>,
    pub bytes: u64,
    /// Rust file to why no crate names it.
    pub modules: BTreeMap<String, String>,
}
