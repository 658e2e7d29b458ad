//! The journal: accepted entries reach the disk before anybody is told, settled ones are dropped from it again.
//!
//! One file of records, each with its length and CRC-32. A crash may tear what was written after the last fsync, and only
//! that: reading stops at the first record that is not whole. When most of the file is settled it is written anew beside the
//! old one and renamed over it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use spike_domain::{EntryId, EventId, OutboxEntry};

use super::record::{self, Record};

/// A journal smaller than this is not worth writing anew.
const COMPACT_BYTES: u64 = 32 << 20;
const FILE: &str = "journal";
const MAGIC: &[u8; 8] = b"SPIKEJ01";

/// Entries that are not settled, by event.
pub type Kept = BTreeMap<EventId, BTreeMap<EntryId, OutboxEntry>>;

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    file: File,
    /// Bytes of the file that are whole records.
    written: u64,
    /// Records not written yet.
    buffer: Vec<u8>,
    /// Size after the last compaction.
    base: u64,
}

impl Journal {
    /// Opens the journal of `folder`, which is made if missing, and reads what it keeps.
    ///
    /// # Errors
    /// The folder cannot be used, another process holds the journal, or the file is not a journal.
    pub fn open(folder: &Path) -> io::Result<(Self, Kept)> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(FILE);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        file.try_lock().map_err(|error| {
            io::Error::other(format!("{} is in use by another process: {error}", path.display()))
        })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if bytes.len() < MAGIC.len() {
            // New, or torn before its first record.
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(MAGIC)?;
            bytes = MAGIC.to_vec();
        } else if !bytes.starts_with(MAGIC) {
            return Err(io::Error::other(format!(
                "{} is not a Spike journal of this version",
                path.display()
            )));
        }
        let (kept, whole) = replay(&bytes);
        if whole < bytes.len() {
            tracing::warn!(
                torn_bytes = bytes.len() - whole,
                "the journal's torn end, never acknowledged, is cut off"
            );
        }
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        file.sync_all()?;
        sync_folder(folder)?;
        let written = whole as u64;
        Ok((Self { folder: folder.to_owned(), file, written, buffer: Vec::new(), base: written }, kept))
    }

    /// Adds a record to the next write.
    pub fn push(&mut self, record: &Record<'_>) {
        record::encode(record, &mut self.buffer);
    }

    /// Whether records wait to be written.
    pub fn pending(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Hands what waits to the system.
    ///
    /// # Errors
    /// The disk refuses, being full for example; see [`Journal::rewind`].
    pub fn append(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Returns when everything appended is on disk.
    ///
    /// # Errors
    /// The disk has failed. What the system still shows of the file may not be what is on disk, so nothing can be
    /// trusted but a new start.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// After a failed append: cuts the file back to what was written before, and reads what it keeps.
    ///
    /// # Errors
    /// The disk refuses that too: the journal cannot be used any more.
    pub fn rewind(&mut self) -> io::Result<Kept> {
        self.buffer.clear();
        self.file.set_len(self.written)?;
        self.file.sync_all()?;
        self.file.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes)?;
        Ok(replay(&bytes).0)
    }

    /// Whether writing the journal anew would free most of it.
    pub fn worth_compacting(&self) -> bool {
        self.written > COMPACT_BYTES && self.written > 4 * self.base
    }

    /// Writes the journal anew with `kept` only.
    ///
    /// # Errors
    /// See [`NotCompacted`].
    pub fn compact<'a>(
        &mut self,
        kept: impl Iterator<Item = (EventId, &'a OutboxEntry)>,
    ) -> Result<(), NotCompacted> {
        assert!(!self.pending(), "everything pushed is written before the file changes");
        let mut bytes = MAGIC.to_vec();
        for (event, entry) in kept {
            record::encode(&Record::Accepted(event, entry), &mut bytes);
        }
        let beside = self.folder.join("journal.new");
        let prepared = self.prepare(&beside, &bytes);
        if prepared.is_err() {
            // The next attempt waits until the journal has grown; half a file must not hold a full disk's last space.
            self.base = self.written;
            let _ = std::fs::remove_file(&beside);
        }
        let (file, folder) = prepared.map_err(NotCompacted::Kept)?;
        // From here on the new file is the journal, whatever the folder's sync says.
        (self.file, self.written, self.base) = (file, bytes.len() as u64, bytes.len() as u64);
        folder.sync_all().map_err(NotCompacted::Broken)
    }

    /// The new file, on disk and renamed over the old one, and its folder, opened while nothing was changed yet.
    fn prepare(&self, beside: &Path, bytes: &[u8]) -> io::Result<(File, File)> {
        let folder = File::open(&self.folder)?;
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(beside)?;
        file.try_lock().map_err(io::Error::other)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(beside, self.folder.join(FILE))?;
        Ok((file, folder))
    }
}

/// Why a journal was not written anew.
#[derive(Debug)]
pub enum NotCompacted {
    /// The old journal stays in use.
    Kept(io::Error),
    /// The new journal is in use, and nobody knows whether its name is on disk.
    Broken(io::Error),
}

/// What a journal keeps, and how many of its bytes are whole records.
fn replay(bytes: &[u8]) -> (Kept, usize) {
    let (mut kept, mut at) = (Kept::new(), MAGIC.len());
    while let Some((record, length)) = record::decode(&bytes[at..]) {
        match record {
            record::Read::Accepted(event, entry) => {
                kept.entry(event).or_default().insert(entry.id, entry);
            }
            record::Read::Settled(event, ids) => {
                let of_event = kept.entry(event).or_default();
                ids.iter().for_each(|id| drop(of_event.remove(id)));
            }
        }
        at += length;
    }
    kept.retain(|_, entries| !entries.is_empty());
    (kept, at)
}

/// A new or renamed file is durable only when its folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use spike_domain::{OrderId, QueuedOrder, UserId};

    use super::*;

    const EVENT: EventId = EventId(7);

    fn entry(sequence: u64) -> OutboxEntry {
        let order = OrderId::new(sequence);
        let order = QueuedOrder { order, user: UserId(1), quantity: 2, key: None, accepted_at_ms: 3 };
        OutboxEntry::new(EntryId { epoch: 9, sequence }, vec![order])
    }

    fn accept(journal: &mut Journal, entry: &OutboxEntry) {
        journal.push(&Record::Accepted(EVENT, entry));
        journal.append().unwrap();
        journal.sync().unwrap();
    }

    #[test]
    fn a_journal_written_anew_keeps_what_it_is_given_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let entries: Vec<OutboxEntry> = (0..5).map(entry).collect();
        let (mut journal, _) = Journal::open(folder.path()).unwrap();
        entries[..4].iter().for_each(|entry| accept(&mut journal, entry));
        journal.compact(entries[2..4].iter().map(|entry| (EVENT, entry))).unwrap();
        accept(&mut journal, &entries[4]);
        drop(journal);
        let (_, kept) = Journal::open(folder.path()).unwrap();
        assert_eq!(kept[&EVENT].values().collect::<Vec<_>>(), entries[2..].iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_journal_that_cannot_be_written_anew_stays_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let entries: Vec<OutboxEntry> = (0..3).map(entry).collect();
        let (mut journal, _) = Journal::open(folder.path()).unwrap();
        accept(&mut journal, &entries[0]);
        std::fs::create_dir(folder.path().join("journal.new")).unwrap();
        let refused = journal.compact(std::iter::empty());
        assert!(matches!(refused, Err(NotCompacted::Kept(_))), "{refused:?}");
        accept(&mut journal, &entries[1]);
        drop(journal);
        std::fs::remove_dir(folder.path().join("journal.new")).unwrap();
        let (_, kept) = Journal::open(folder.path()).unwrap();
        assert_eq!(kept[&EVENT].len(), 2);
    }

    #[test]
    fn after_a_failed_append_the_journal_is_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path()).unwrap();
        accept(&mut journal, &entry(0));
        // Half a record, as a full disk leaves it.
        journal.file.write_all(&[1, 2, 3]).unwrap();
        journal.push(&Record::Accepted(EVENT, &entry(1)));
        let kept = journal.rewind().unwrap();
        assert_eq!(kept[&EVENT].len(), 1);
        accept(&mut journal, &entry(2));
        drop(journal);
        let (_, kept) = Journal::open(folder.path()).unwrap();
        let sequences: Vec<u64> = kept[&EVENT].keys().map(|id| id.sequence).collect();
        assert_eq!(sequences, [0, 2]);
    }
}
