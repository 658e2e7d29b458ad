//! The embedded ledger: the same verbs as Redis and its scripts, in this process and its data folder.
//!
//! One thread owns every [`book::Book`] and the [`journal`]. Calls that arrive while it commits form the next group: all of
//! them are decided in memory, what was accepted is written and fsynced once, then all are answered. After a restart the
//! journal gives the outbox back and nothing else: every book is behind its fence until the worker has rebuilt it from the
//! database, exactly as with a Redis that has lost its data.

pub mod book;
mod group;
mod journal;
mod record;
mod shelf;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crossbeam::channel::{Sender, bounded};
use spike_domain::{EntryId, EventDef, EventId, LedgerState, OrderId, OutboxEntry, QueuedOrder, UserId};
use tokio::sync::{broadcast, oneshot, watch};

use crate::outbox::Page;
use crate::reserve::{Buyer, Decided};
use crate::{Claim, EndedOrder, Meta, Opening, Refused, Settled, StockError, View};
use book::Opened;
use group::after;
use shelf::{Answer, Job, Shelf};

/// Jobs that may wait for the thread.
const WAITING_MAX: usize = 16_384;
/// Hints that a slow follower may miss: it polls anyway.
const HINTS: usize = 64;

/// A handle on the ledger of a data folder; clones share it.
#[derive(Clone)]
pub struct EmbeddedLedger {
    jobs: Sender<Job>,
    hints: broadcast::Sender<()>,
    closed: watch::Receiver<bool>,
}

/// Claim and last ended order of each user asked about, and the units in flight.
pub type Lookups = (Vec<(Option<Claim>, Option<Claim>)>, Option<u64>);

type Result<T> = std::result::Result<T, StockError>;

impl EmbeddedLedger {
    /// Opens the ledger of `folder`. It closes, and lets go of the folder, when the last clone is dropped.
    ///
    /// # Errors
    /// The folder cannot be used, or another process has it open.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let (hints, _) = broadcast::channel(HINTS);
        let shelf = Shelf::open(folder, hints.clone())?;
        let (jobs, work) = bounded(WAITING_MAX);
        let (closed, closing) = watch::channel(false);
        std::thread::Builder::new().name("ledger".into()).spawn(move || {
            if catch_unwind(AssertUnwindSafe(|| shelf.run(&work))).is_err() {
                tracing::error!("the ledger's thread panicked; the ledger is closed until a restart");
            }
            closed.send_replace(true);
            // Whoever still waits, or comes between the flag and its reading, is answered: a dropped job says so.
            work.iter().for_each(drop);
        })?;
        Ok(Self { jobs, hints, closed: closing })
    }

    /// Waits until the ledger can take nothing any more: its disk has failed. Only a restart of the process helps.
    pub async fn failed(&self) {
        let mut closed = self.closed.clone();
        // An error means that the thread is gone, which says the same.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// Decides a batch of buyers; what is accepted is on disk when this returns.
    pub async fn reserve(
        &self,
        event: EventId,
        epoch: u64,
        now_ms: u64,
        buyers: &[Buyer],
    ) -> Result<Decided> {
        let buyers = buyers.to_vec();
        self.fenced(event, move |shelf| {
            let (decided, entry) = shelf.book(event).reserve(epoch, now_ms, &buyers)?;
            entry.iter().for_each(|entry| shelf.accepted(event, entry));
            Ok(decided)
        })
        .await
    }

    /// Drops entries whose orders all have rows; returns the units that left flight by this call.
    pub async fn settle(&self, event: EventId, epoch: u64, entries: &[Settled]) -> Result<u64> {
        let entries = entries.to_vec();
        self.decide(move |shelf| {
            let (units, gone) = shelf.book(event).settle(epoch, &entries)?;
            shelf.settled(event, &gone);
            Ok(units)
        })
        .await
    }

    /// Gives the units of ended orders back; returns the units released by this call.
    pub async fn release(&self, event: EventId, epoch: u64, orders: &[EndedOrder]) -> Result<u64> {
        let orders = orders.to_vec();
        self.decide(move |shelf| {
            let units = shelf.book(event).release(epoch, &orders)?;
            if units > 0 {
                shelf.hint();
            }
            Ok(units)
        })
        .await
    }

    /// Decides orders accepted in another epoch: true = counted, false = rejected, in their order.
    pub async fn adopt(
        &self,
        event: EventId,
        epoch: u64,
        now_ms: u64,
        orders: &[QueuedOrder],
    ) -> Result<Vec<bool>> {
        let orders = orders.to_vec();
        self.fenced(event, move |shelf| {
            let (counted, entry) = shelf.book(event).adopt(epoch, now_ms, &orders)?;
            entry.iter().for_each(|entry| shelf.accepted(event, entry));
            Ok(counted)
        })
        .await
    }

    /// First step of a rebuild.
    pub async fn begin(&self, event: EventId, epoch: u64) -> Result<()> {
        self.decide(move |shelf| {
            shelf.hint();
            shelf.book(event).begin(epoch)
        })
        .await
    }

    /// Middle step of a rebuild: replaces claims and keys, each a value as Redis would hold it.
    pub async fn load(
        &self,
        event: EventId,
        epoch: u64,
        claims: &[(UserId, String)],
        fields: &[(String, String)],
    ) -> Result<()> {
        let bad = |value: &String| StockError::reply("load", value);
        let claims = claims.iter().map(|(user, value)| {
            Ok((
                *user,
                Claim::parse(value.as_bytes())
                    .filter(|claim| claim.state.is_some())
                    .ok_or_else(|| bad(value))?,
            ))
        });
        let claims = claims.collect::<Result<Vec<_>>>()?;
        let fields = fields.iter().map(|(field, value)| {
            Ok((field.clone(), Claim::parse_key(value.as_bytes()).ok_or_else(|| bad(value))?))
        });
        let fields = fields.collect::<Result<Vec<_>>>()?;
        self.decide(move |shelf| shelf.book(event).load(epoch, claims, fields)).await
    }

    /// Last step of a rebuild; returns the new version.
    pub async fn open_book(&self, event: EventId, epoch: u64, opening: &Opening<'_>) -> Result<u64> {
        let Opening { state, stock, inflight, cap, def } = *opening;
        let opened = Opened { state, stock, inflight, cap, def: def.clone() };
        self.decide(move |shelf| {
            shelf.hint();
            shelf.book(event).open(epoch, opened)
        })
        .await
    }

    /// Opens the fence: only a rebuild that has just opened this event's book may call it.
    pub async fn load_fenced(&self, event: EventId) -> Result<()> {
        self.decide(move |shelf| shelf.book(event).open_fence()).await
    }

    /// Whether the fence of `event` is open.
    pub async fn fence_open(&self, event: EventId) -> Result<bool> {
        self.ask(move |shelf| shelf.find(event).is_some_and(book::Book::fence_open)).await
    }

    /// Pauses, resumes or closes a standing ledger, and renews its document if one is given.
    pub async fn transition(
        &self,
        event: EventId,
        epoch: u64,
        state: LedgerState,
        def: Option<&EventDef>,
    ) -> Result<u64> {
        assert!(state.standing(), "only a rebuild sets recovering");
        let def = def.cloned();
        self.decide(move |shelf| {
            shelf.hint();
            shelf.book(event).transition(epoch, state, def)
        })
        .await
    }

    /// Shows new states beside their claims. Refused while there is no ledger or a rebuild is under way: try again.
    pub async fn mark(&self, event: EventId, orders: &[EndedOrder]) -> Result<()> {
        let orders = orders.to_vec();
        self.decide(move |shelf| shelf.book(event).mark(&orders)).await
    }

    /// The event's figures; `None` without a ledger.
    pub async fn meta(&self, event: EventId) -> Result<Option<Meta>> {
        self.ask(move |shelf| shelf.find(event).and_then(book::Book::meta)).await
    }

    /// The highest epoch the ledger knows of, its outbox included (V12); 0 without any.
    pub async fn held_epoch(&self, event: EventId) -> Result<u64> {
        self.ask(move |shelf| shelf.find(event).map_or(0, book::Book::held_epoch)).await
    }

    /// What followers need of each event.
    pub async fn views(&self, events: &[EventId]) -> Result<Vec<Result<Option<View>>>> {
        let events = events.to_vec();
        self.ask(move |shelf| {
            let meta = |event: &EventId| shelf.find(*event).and_then(book::Book::meta);
            events.iter().map(|event| Ok(meta(event).map(|meta| View::from(&meta)))).collect()
        })
        .await
    }

    /// Events that have a book.
    pub async fn events(&self) -> Result<Vec<EventId>> {
        self.ask(|shelf| shelf.events()).await
    }

    /// Drops the closed, empty book of an archived event.
    ///
    /// # Errors
    /// As `archive.lua` refuses; a book that is gone is no error.
    pub async fn archive(&self, event: EventId, epoch: u64) -> Result<()> {
        Ok(self.ask(move |shelf| shelf.archive(event, epoch)).await??)
    }

    /// The user's claim, and its last order that ended without one. Behind the fence nobody knows.
    pub async fn lookup(&self, event: EventId, user: UserId) -> Result<(Option<Claim>, Option<Claim>)> {
        let found = self.ask(move |shelf| {
            let book = shelf.find(event)?;
            book.fence_open().then(|| (book.claim(user), book.ended(user)))
        });
        found.await?.ok_or(StockError::Fenced)
    }

    /// The same for several users, in their order, and the units in flight.
    pub async fn lookups(&self, event: EventId, users: &[UserId]) -> Result<Lookups> {
        let users = users.to_vec();
        let found = self.ask(move |shelf| {
            let book = shelf.find(event).filter(|book| book.fence_open())?;
            let pairs = users.iter().map(|user| (book.claim(*user), book.ended(*user))).collect();
            Some((pairs, book.meta().and_then(|meta| meta.inflight)))
        });
        found.await?.ok_or(StockError::Fenced)
    }

    /// Every order that a claim or a key knows, once.
    pub async fn known_orders(&self, event: EventId) -> Result<Vec<QueuedOrder>> {
        self.ask(move |shelf| shelf.find(event).map(book::Book::known_orders).unwrap_or_default()).await
    }

    /// Every order that is somebody's claim.
    pub async fn claimed_orders(&self, event: EventId) -> Result<Vec<OrderId>> {
        self.ask(move |shelf| shelf.find(event).map(book::Book::claimed_orders).unwrap_or_default()).await
    }

    /// Up to `count` entries after `from`, whoever holds them.
    pub async fn entries(&self, event: EventId, from: Option<EntryId>, count: usize) -> Result<Page> {
        self.ask(move |shelf| {
            let entries: Vec<OutboxEntry> = match shelf.find(event) {
                Some(book) => after(book.outbox(), from).take(count).cloned().collect(),
                None => Vec::new(),
            };
            let next =
                (entries.len() == count).then(|| entries.last().map(|entry| entry.id.to_string())).flatten();
            Page { entries, next, ..Page::default() }
        })
        .await
    }

    /// Entries in the outbox of an event.
    pub async fn outbox_length(&self, event: EventId) -> Result<u64> {
        self.ask(move |shelf| shelf.find(event).map_or(0, |book| book.outbox().len() as u64)).await
    }

    /// Up to `count` entries never delivered, now delivered to `consumer`.
    pub async fn read_new(&self, event: EventId, consumer: &str, count: usize) -> Result<Vec<OutboxEntry>> {
        let consumer = consumer.to_owned();
        self.ask(move |shelf| {
            let now_ms = shelf.now_ms();
            shelf.book(event).read_new(&consumer, now_ms, count)
        })
        .await
    }

    /// Up to `count` entries after `from` that `consumer` has not acknowledged.
    pub async fn read_pending(
        &self,
        event: EventId,
        consumer: &str,
        from: &str,
        count: usize,
    ) -> Result<Vec<OutboxEntry>> {
        let (consumer, from) = (consumer.to_owned(), EntryId::parse(from));
        self.ask(move |shelf| shelf.book(event).read_pending(&consumer, from, count)).await
    }

    /// Takes over entries that another consumer has held for `idle_ms`; one page holds them all.
    pub async fn claim_idle(
        &self,
        event: EventId,
        consumer: &str,
        idle_ms: u64,
        count: usize,
    ) -> Result<Page> {
        let consumer = consumer.to_owned();
        self.ask(move |shelf| {
            let now_ms = shelf.now_ms();
            Page {
                entries: shelf.book(event).claim_idle(&consumer, idle_ms, now_ms, count),
                ..Page::default()
            }
        })
        .await
    }

    /// Acknowledges entries; returns how many were pending.
    pub async fn ack(&self, event: EventId, entries: &[EntryId]) -> Result<u64> {
        let entries = entries.to_vec();
        self.ask(move |shelf| shelf.book(event).group.ack(&entries)).await
    }

    /// Says that followers should look again.
    pub async fn hint(&self) -> Result<()> {
        self.ask(Shelf::hint).await
    }

    /// Hints from now on.
    pub fn hints(&self) -> broadcast::Receiver<()> {
        self.hints.subscribe()
    }

    /// A call behind the fence.
    async fn fenced<T: Send + 'static>(
        &self,
        event: EventId,
        work: impl FnOnce(&mut Shelf) -> std::result::Result<T, Refused> + Send + 'static,
    ) -> Result<T> {
        let outcome = self.ask(move |shelf| {
            let open = shelf.find(event).is_some_and(book::Book::fence_open);
            open.then(|| work(shelf))
        });
        outcome.await?.ok_or(StockError::Fenced)?.map_err(StockError::Refused)
    }

    /// A call that may be refused.
    async fn decide<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Shelf) -> std::result::Result<T, Refused> + Send + 'static,
    ) -> Result<T> {
        self.ask(work).await?.map_err(StockError::Refused)
    }

    /// Runs `work` on the ledger's thread and waits until what it wrote is on disk.
    async fn ask<T: Send + 'static>(&self, work: impl FnOnce(&mut Shelf) -> T + Send + 'static) -> Result<T> {
        let (reply, receiver) = oneshot::channel();
        let job: Job = Box::new(move |shelf| {
            if reply.is_closed() {
                // The caller has given up and been told so: what it asked is not done behind its back.
                return Box::new(|_kept| ());
            }
            let value = work(shelf);
            let answer: Answer = Box::new(move |kept| {
                if kept {
                    // Fails only when the caller has gone away.
                    let _ = reply.send(value);
                }
            });
            answer
        });
        if *self.closed.borrow() {
            return Err(StockError::Closed);
        }
        self.jobs.try_send(job).map_err(|_| StockError::Closed)?;
        receiver.await.map_err(|_| StockError::Lost)
    }
}
