//! The files of the repository: those that git tracks or would track.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// A file.
#[derive(Debug, Default)]
pub struct File {
    /// Its size in bytes.
    pub bytes: u64,
    /// What is in it; empty where that is no text.
    pub text: String,
}

/// All files by their path from the root, with `/` between its parts.
#[derive(Debug, Default)]
pub struct Tree {
    pub files: BTreeMap<String, File>,
}

impl Tree {
    /// Reads it.
    ///
    /// # Errors
    /// When this is no git repository, or a file cannot be read.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
        let output = git.output().context("tidy asks git which files there are")?;
        ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
        let names = String::from_utf8(output.stdout).context("a file name that is no UTF-8")?;
        let mut files = BTreeMap::new();
        for name in names.split_terminator('\0') {
            let path = root.join(name);
            // Removed and not committed yet; or a link, which is judged by what it leads to.
            if !path.is_file() {
                continue;
            }
            let bytes = std::fs::read(&path).with_context(|| name.to_owned())?;
            let file = File { bytes: bytes.len() as u64, text: String::from_utf8(bytes).unwrap_or_default() };
            files.insert(name.to_owned(), file);
        }
        Ok(Self { files })
    }

    /// Files whose name ends so, with what is in them.
    pub fn ending<'t>(&'t self, end: &'t str) -> impl Iterator<Item = (&'t str, &'t str)> {
        self.files
            .iter()
            .filter(move |(name, _)| name.ends_with(end))
            .map(|(name, file)| (&**name, &*file.text))
    }

    /// Whether there is such a file, or a folder with something in it.
    pub fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty()
            || self.files.contains_key(path)
            || self.files.range(folder.clone()..).next().is_some_and(|(name, _)| name.starts_with(&folder))
    }

    /// A tree of these files.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let file = |text: &str| File { bytes: text.len() as u64, text: text.to_owned() };
        Self { files: files.iter().map(|(name, text)| ((*name).to_owned(), file(text))).collect() }
    }
}
