//! The data folder, held by one process at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use spike_config::Config;

/// The folder of the embedded parts, locked until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct DataFolder {
    _lock: File,
}

/// Why the folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it.
    #[error("the data folder {} is in use by {owner}: stop it, or name another folder in SPIKE_DATA_DIR", dir.display())]
    InUse {
        /// The folder.
        dir: PathBuf,
        /// The process, as far as it is known.
        owner: String,
    },
    /// It cannot be made or written.
    #[error("the data folder {}: {error} (SPIKE_DATA_DIR)", dir.display())]
    Unusable {
        /// The folder.
        dir: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
}

impl DataFolder {
    /// Makes and locks the folder that `config` names, if anything embedded keeps files there.
    ///
    /// # Errors
    /// As [`FolderError`].
    pub fn take(config: &Config) -> Result<Option<Self>, FolderError> {
        let keeps_files = config.redis.url.is_embedded() || config.database.url.is_embedded();
        keeps_files.then(|| Self::lock(&config.data.dir)).transpose()
    }

    /// Makes and locks `dir`.
    ///
    /// # Errors
    /// As [`FolderError`].
    pub fn lock(dir: &Path) -> Result<Self, FolderError> {
        let unusable = |error| FolderError::Unusable { dir: dir.to_owned(), error };
        let mut file = open(dir).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Only for the message: whoever has the lock may not have written its pid yet.
                let owner = match file.read_to_string(&mut pid) {
                    Ok(_) if !pid.trim().is_empty() => format!("process {}", pid.trim()),
                    _ => "another process".to_owned(),
                };
                return Err(FolderError::InUse { dir: dir.to_owned(), owner });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        sign(&mut file).map_err(unusable)?;
        Ok(Self { _lock: file })
    }
}

fn open(dir: &Path) -> io::Result<File> {
    fs::create_dir_all(dir)?;
    // Never removed: a lock on a file that has lost its name would let a second process in.
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(dir.join("lock"))
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_the_other_is_told_who() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("new").join("data");
        for _ in 0..2 {
            let held = DataFolder::lock(&dir).expect("nobody has it");
            let text = DataFolder::lock(&dir).expect_err("it is held").to_string();
            let owner = format!("process {}", std::process::id());
            assert!(text.contains(&owner) && text.contains("new/data"), "{text}");
            drop(held);
        }
        fs::write(place.path().join("file"), "").unwrap();
        let text = DataFolder::lock(&place.path().join("file")).expect_err("no folder").to_string();
        assert!(text.contains("SPIKE_DATA_DIR"), "{text}");
    }
}
