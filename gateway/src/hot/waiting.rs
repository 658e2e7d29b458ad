//! Those who wait for news of their order: long polls and streams of one core.
//!
//! One watcher a core asks the ledger for all of them together, and runs only while somebody waits: a buyer who waits
//! costs a field of one command every so often, not a poll of their own. It wakes whom something has changed for.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use spike_domain::{EventId, UserId};
use spike_telemetry::Counter;

use super::Core;
use super::line::Look;

/// Shortest rest between two looks of the watcher, in ms; it grows by one for every twenty who wait.
const LOOK_MS: u64 = 100;
const LOOK_MS_MAX: u64 = 1000;
/// Users asked about in one command.
const USERS_PER_CALL: usize = 500;
/// A position in the queue alone is news this often, in ms.
const POSITION_MS: u64 = 1000;
/// How often a stream's token is looked at again, in ms: a revoked one ends its stream.
const ALLOWED_MS: u64 = 1000;
/// Longest silence of a stream, in ms.
const HEARTBEAT_MS: u64 = 15_000;
/// Places of each kind that one user may hold on a core: enough for a few open tabs, too few to keep others out.
const PLACES_A_USER: usize = 4;

/// The places of a core.
#[derive(Default)]
pub struct Waiting {
    places: RefCell<HashMap<u64, Waiter>>,
    next: Cell<u64>,
    polls: Cell<usize>,
    streams: Cell<usize>,
    /// Places each user holds; those who hold none are not in it.
    of_users: RefCell<HashMap<(UserId, Kind), usize>>,
    watched: Cell<bool>,
}

/// How somebody waits; each kind has a bound of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One answer, held back.
    Poll,
    /// A stream of them, with heartbeats.
    Stream,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// All places of the core are taken.
    All,
    /// The user holds as many as one user may.
    ByTheUser,
}

/// What a waiter is woken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The ledger says something else than before.
    Look(Look),
    /// Nothing has been said for long: say that the line is alive.
    Heartbeat,
    /// Wait no longer: the process leaves, the event is gone, or the token is not good any more.
    Over,
}

/// Whether the one who waits may still know; asked now and then.
pub type Allowed = Box<dyn Fn() -> bool>;

/// Somebody's place; leaving it is dropping it.
pub struct Place {
    core: Rc<Core>,
    number: u64,
    user: UserId,
    kind: Kind,
    mailbox: Rc<Mailbox>,
}

struct Waiter {
    event: EventId,
    user: UserId,
    kind: Kind,
    allowed: Option<Allowed>,
    mailbox: Rc<Mailbox>,
}

/// What the watcher leaves for a waiter.
#[derive(Default)]
struct Mailbox {
    look: Cell<Option<Look>>,
    heartbeat: Cell<bool>,
    over: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// The last look that was left here, and when something was.
    known: Cell<Option<Look>>,
    left_at_ms: Cell<u64>,
    allowed_at_ms: Cell<u64>,
}

/// Takes a place.
///
/// # Errors
/// All places are taken, or the user holds enough of them.
pub fn enter(core: &Rc<Core>, kind: Kind, event: EventId, user: UserId, seen: Look) -> Result<Place, Taken> {
    let waiting = &core.waiting;
    waiting.take(core, kind, user)?;
    let number = waiting.next.get();
    waiting.next.set(number + 1);
    let mailbox = Rc::new(Mailbox::default());
    mailbox.known.set(Some(seen));
    mailbox.left_at_ms.set(core.now_ms());
    mailbox.allowed_at_ms.set(core.now_ms());
    let waiter = Waiter { event, user, kind, allowed: None, mailbox: mailbox.clone() };
    waiting.places.borrow_mut().insert(number, waiter);
    if !waiting.watched.replace(true) {
        monoio::spawn(watch(core.clone()));
    }
    Ok(Place { core: core.clone(), number, user, kind, mailbox })
}

impl Kind {
    /// Those open now, and all there have been.
    fn counters(self) -> (Counter, Counter) {
        match self {
            Self::Poll => (Counter::LongPollsOpen, Counter::LongPolls),
            Self::Stream => (Counter::StreamsOpen, Counter::Streams),
        }
    }
}

impl Waiting {
    fn take(&self, core: &Core, kind: Kind, user: UserId) -> Result<(), Taken> {
        let (count, most) = self.count(core, kind);
        let mut of_users = self.of_users.borrow_mut();
        let held = of_users.get(&(user, kind)).copied().unwrap_or(0);
        if held >= PLACES_A_USER {
            core.count(Counter::WaitersRefused, 1);
            return Err(Taken::ByTheUser);
        }
        if count.get() >= most {
            core.count(Counter::WaitersRefused, 1);
            return Err(Taken::All);
        }
        count.set(count.get() + 1);
        of_users.insert((user, kind), held + 1);
        let (open, all) = kind.counters();
        core.count(open, 1);
        core.count(all, 1);
        Ok(())
    }

    fn give_back(&self, core: &Core, kind: Kind, user: UserId) {
        let (count, _) = self.count(core, kind);
        count.set(count.get() - 1);
        core.metrics.subtract(kind.counters().0, 1);
        let mut of_users = self.of_users.borrow_mut();
        match of_users.get_mut(&(user, kind)) {
            Some(held) if *held > 1 => *held -= 1,
            _ => drop(of_users.remove(&(user, kind))),
        }
    }

    fn count(&self, core: &Core, kind: Kind) -> (&Cell<usize>, usize) {
        match kind {
            Kind::Poll => (&self.polls, core.shared.config.hot.long_polls_max),
            Kind::Stream => (&self.streams, core.shared.config.hot.streams_max),
        }
    }
}

impl Place {
    /// Ends the wait as soon as `allowed` says no.
    pub fn only_while(&self, allowed: Allowed) {
        if let Some(waiter) = self.core.waiting.places.borrow_mut().get_mut(&self.number) {
            waiter.allowed = Some(allowed);
        }
    }

    /// Waits for news.
    pub async fn next(&self) -> News {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The same, for a body.
    pub fn poll_next(&self, context: &Context<'_>) -> Poll<News> {
        let mailbox = &self.mailbox;
        if let Some(look) = mailbox.look.take() {
            return Poll::Ready(News::Look(look));
        }
        if mailbox.over.get() {
            return Poll::Ready(News::Over);
        }
        if mailbox.heartbeat.take() {
            return Poll::Ready(News::Heartbeat);
        }
        *mailbox.waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let waiter = self.core.waiting.places.borrow_mut().remove(&self.number);
        // Dropped after the borrow: what a waiter holds may hold the core.
        drop(waiter);
        self.core.waiting.give_back(&self.core, self.kind, self.user);
    }
}

impl Mailbox {
    fn wake(&self, now_ms: u64) {
        self.left_at_ms.set(now_ms);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    fn offer(&self, look: Look, now_ms: u64) {
        let known = self.known.get();
        let same_order = known.is_some_and(|known| known.same_order(&look));
        let early = now_ms.saturating_sub(self.left_at_ms.get()) < POSITION_MS;
        if known == Some(look) || (same_order && early) {
            return;
        }
        self.known.set(Some(look));
        self.look.set(Some(look));
        self.wake(now_ms);
    }
}

/// Looks for everybody until nobody waits.
async fn watch(core: Rc<Core>) {
    let _off = Off(core.clone());
    loop {
        let waiting = core.waiting.places.borrow().len();
        if waiting == 0 {
            return;
        }
        let more_ms = u64::try_from(waiting / 20).unwrap_or(LOOK_MS_MAX);
        monoio::time::sleep(Duration::from_millis((LOOK_MS + more_ms).min(LOOK_MS_MAX))).await;
        round(&core).await;
    }
}

struct Off(Rc<Core>);

impl Drop for Off {
    fn drop(&mut self) {
        self.0.waiting.watched.set(false);
    }
}

/// Each event is asked about by itself, all at once: one whose ledger answers late or wrongly holds nobody else up.
async fn round(core: &Rc<Core>) {
    let parts = by_event(core).into_iter().map(|(event, waiters)| async move {
        // A ledger's answer of the wrong shape must not take the core down.
        if AssertUnwindSafe(look_for(core, event, &waiters)).catch_unwind().await.is_err() {
            core.count(Counter::Panics, 1);
        }
    });
    join_all(parts).await;
}

/// Looks for those who wait for one event.
async fn look_for(core: &Rc<Core>, event: EventId, waiters: &[(UserId, Rc<Mailbox>)]) {
    let Some(batch) = core.event(event) else {
        waiters.iter().for_each(|(_, mailbox)| end(mailbox, core.now_ms()));
        return;
    };
    let view = batch.event();
    for chunk in waiters.chunks(USERS_PER_CALL) {
        let users: Vec<UserId> = chunk.iter().map(|(user, _)| *user).collect();
        // While the ledger cannot be asked there is no news.
        let Ok(looks) = core.looks(&view, &users).await else { return };
        let now_ms = core.now_ms();
        for ((_, mailbox), look) in chunk.iter().zip(looks) {
            match look {
                Some(look) => mailbox.offer(look, now_ms),
                // Asking again brings nothing else; the others of this command have their news.
                None => end(mailbox, now_ms),
            }
        }
    }
}

type Mailboxes = Vec<(UserId, Rc<Mailbox>)>;

/// Those who go on waiting, by event; what needs no look is settled on the way.
fn by_event(core: &Core) -> HashMap<EventId, Mailboxes> {
    let (now_ms, draining) = (core.now_ms(), core.draining());
    let heartbeat_ms = HEARTBEAT_MS.min(core.shared.config.http.idle_timeout_ms / 3);
    let mut groups: HashMap<EventId, Mailboxes> = HashMap::new();
    for waiter in core.waiting.places.borrow().values() {
        let mailbox = &waiter.mailbox;
        if draining || !still_allowed(waiter, now_ms) {
            end(mailbox, now_ms);
            continue;
        }
        if waiter.kind == Kind::Stream && now_ms.saturating_sub(mailbox.left_at_ms.get()) >= heartbeat_ms {
            mailbox.heartbeat.set(true);
            mailbox.wake(now_ms);
        }
        groups.entry(waiter.event).or_default().push((waiter.user, mailbox.clone()));
    }
    groups
}

fn still_allowed(waiter: &Waiter, now_ms: u64) -> bool {
    let Some(allowed) = &waiter.allowed else { return true };
    let asked_at = &waiter.mailbox.allowed_at_ms;
    if now_ms.saturating_sub(asked_at.get()) < ALLOWED_MS {
        return true;
    }
    asked_at.set(now_ms);
    allowed()
}

fn end(mailbox: &Mailbox, now_ms: u64) {
    mailbox.over.set(true);
    mailbox.wake(now_ms);
}
