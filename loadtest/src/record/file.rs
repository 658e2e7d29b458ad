//! The file of a record.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Record;

/// Why there is no record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not a record.
    #[error("{path} is no record of a load test: {source}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where it goes wrong.
        source: serde_json::Error,
    },
}

impl Record {
    /// Writes the record as indented JSON. A file of that name is replaced when the new one is whole.
    pub fn write(&self, path: &Path) -> Result<(), RecordError> {
        let failed = |source| RecordError::File { path: path.to_owned(), source };
        let mut text = serde_json::to_string_pretty(self).expect("names, numbers and lists");
        text.push('\n');
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        fs::write(&part, text).and_then(|()| fs::rename(&part, path)).map_err(failed)
    }

    /// Reads a record.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        let text =
            fs::read_to_string(path).map_err(|source| RecordError::File { path: path.to_owned(), source })?;
        serde_json::from_str(&text).map_err(|source| RecordError::Malformed { path: path.to_owned(), source })
    }
}
