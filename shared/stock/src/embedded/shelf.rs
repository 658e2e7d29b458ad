//! Every book of the process and their journal, owned by one thread.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use crossbeam::channel::Receiver;
use spike_domain::{EntryId, EventId, OutboxEntry};
use tokio::sync::broadcast;

use crate::Refused;

use super::book::Book;
use super::journal::{Journal, Kept, NotCompacted};
use super::record::Record;

/// Most jobs of one group commit.
const GROUP_MAX: usize = 1024;

/// What is asked of the shelf: it does its work at once and answers when that is on disk.
pub type Job = Box<dyn FnOnce(&mut Shelf) -> Answer + Send>;
/// Tells the caller; `false`: the work is lost.
pub type Answer = Box<dyn FnOnce(bool) + Send>;

/// Books by event.
pub struct Shelf {
    books: HashMap<EventId, Book>,
    journal: Journal,
    /// An entry waits to be on disk before its caller is told.
    must_sync: bool,
    /// Whether followers should look again.
    hinted: bool,
    hints: broadcast::Sender<()>,
    start: Instant,
}

impl Shelf {
    /// Opens the journal of `folder`; every book is closed until it is rebuilt.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open(folder: &Path, hints: broadcast::Sender<()>) -> std::io::Result<Self> {
        let (journal, kept) = Journal::open(folder)?;
        let (hinted, start) = (false, Instant::now());
        Ok(Self { books: recovered(kept), journal, must_sync: false, hinted, hints, start })
    }

    /// The book of `event`, an empty one if there is none.
    pub fn book(&mut self, event: EventId) -> &mut Book {
        self.books.entry(event).or_default()
    }

    /// The book of `event`, if there is one.
    pub fn find(&self, event: EventId) -> Option<&Book> {
        self.books.get(&event)
    }

    /// `archive.lua`: forgets the book. Nothing of it is in the journal: its outbox is empty.
    pub fn archive(&mut self, event: EventId, epoch: u64) -> Result<(), Refused> {
        if let Some(book) = self.books.get(&event) {
            book.over(epoch)?;
            self.books.remove(&event);
        }
        Ok(())
    }

    /// Every event with a book.
    pub fn events(&self) -> Vec<EventId> {
        self.books.keys().copied().collect()
    }

    /// Milliseconds since the shelf was opened.
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The entry reaches the disk before the answer of this job.
    pub fn accepted(&mut self, event: EventId, entry: &OutboxEntry) {
        self.journal.push(&Record::Accepted(event, entry));
        self.must_sync = true;
    }

    /// The entries need not be kept. Should this be lost, the settle sweep finds them again.
    pub fn settled(&mut self, event: EventId, entries: &[EntryId]) {
        if !entries.is_empty() {
            self.journal.push(&Record::Settled(event, entries));
        }
    }

    /// Says that followers should look again, after the answer.
    pub fn hint(&mut self) {
        self.hinted = true;
    }

    /// Does jobs until every handle is gone or the disk has failed for good.
    pub fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let mut answers = vec![first(&mut self)];
            while answers.len() < GROUP_MAX
                && let Ok(next) = jobs.try_recv()
            {
                answers.push(next(&mut self));
            }
            let committed = self.commit();
            answers.into_iter().for_each(|answer| answer(matches!(committed, Committed::Yes)));
            if std::mem::take(&mut self.hinted) {
                // Nobody follows: that is no error.
                drop(self.hints.send(()));
            }
            if matches!(committed, Committed::Broken) || !self.compact() {
                return;
            }
        }
    }

    fn commit(&mut self) -> Committed {
        if !self.journal.pending() {
            return Committed::Yes;
        }
        let must_sync = std::mem::take(&mut self.must_sync);
        if let Err(error) = self.journal.append() {
            tracing::error!(%error, "the journal cannot be written; what was not acknowledged is undone");
            return self.start_again();
        }
        if must_sync && let Err(error) = self.journal.sync() {
            tracing::error!(%error, "the journal's disk has failed; the ledger is closed until a restart");
            return Committed::Broken;
        }
        Committed::Yes
    }

    /// As after a crash: what the journal holds is kept, everything else is rebuilt from the database.
    fn start_again(&mut self) -> Committed {
        match self.journal.rewind() {
            Ok(kept) => {
                self.books = recovered(kept);
                Committed::No
            }
            Err(error) => {
                tracing::error!(%error, "nor can it be cut back; the ledger is closed until a restart");
                Committed::Broken
            }
        }
    }

    /// False when the disk has failed for good.
    fn compact(&mut self) -> bool {
        if !self.journal.worth_compacting() {
            return true;
        }
        let kept = self
            .books
            .iter()
            .flat_map(|(&event, book)| book.outbox().values().map(move |entry| (event, entry)));
        match self.journal.compact(kept) {
            Ok(()) => true,
            Err(NotCompacted::Kept(error)) => {
                tracing::warn!(%error, "the journal cannot be written anew and goes on growing");
                true
            }
            Err(NotCompacted::Broken(error)) => {
                tracing::error!(%error, "the journal's folder has failed; the ledger is closed until a restart");
                false
            }
        }
    }
}

enum Committed {
    Yes,
    No,
    Broken,
}

fn recovered(kept: Kept) -> HashMap<EventId, Book> {
    kept.into_iter().map(|(event, entries)| (event, Book::recovered(entries.into_values()))).collect()
}
