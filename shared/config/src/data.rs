//! The folder of everything that is kept by this process itself.

use std::path::PathBuf;

use crate::reader::Reader;

/// Section `[data]`.
#[derive(Clone, Debug)]
pub struct DataConfig {
    /// Where the embedded database and the embedded ledger keep their files; one process at a time.
    ///
    /// `SPIKE_DATA_DIR`: any text that is not empty
    pub dir: PathBuf,
}

impl DataConfig {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        Self { dir: reader.section("data").text("dir").into() }
    }

    /// The file of the embedded database.
    pub fn database(&self) -> PathBuf {
        self.dir.join("spike.db")
    }

    /// The folder of the embedded ledger.
    pub fn ledger(&self) -> PathBuf {
        self.dir.join("ledger")
    }
}
