//! One connection: the fast lane and hyper's HTTP/1.1 by turns over a watched stream, bounded by the core's sweep, ended by
//! drain, caught when it panics.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::FutureExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use monoio::net::TcpStream;
use monoio::net::tcp::stream_poll::TcpStreamPoll;
use monoio_compat::hyper::MonoioIo;
use spike_config::HttpConfig;
use spike_telemetry::Counter;

use super::lane::{self, Left};
use super::watched::{Progress, Stage, Watched};
use super::{Core, service};

/// How long a connection may be idle before hyper's buffers (some 25 KiB) are freed and it waits in the fast lane, in ms.
const REST_MS: u64 = 1_000;

/// What a connection is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Finish the request in hand, then close.
    Drain,
    /// Close now: a deadline has passed.
    Close,
}

/// What a drain does to connections that have not been answered yet. hyper would close them at once, and with them a
/// request that is on its way; the answer to it closes them anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh {
    /// Leaves them alone.
    Spared,
    /// Closes those that still say nothing.
    Told,
}

/// The part of a connection that the rest of its core can reach.
pub struct Connection {
    /// The peer, or whom a trusted proxy speaks for.
    pub peer: IpAddr,
    /// Its stamps.
    pub progress: Rc<Progress>,
    answered: Cell<bool>,
    /// The request in hand has been read to its last byte.
    read_whole: Cell<bool>,
    /// hyper has it.
    at_hyper: Cell<bool>,
    /// It is to go to the fast lane when nothing is in hand.
    to_lane: Cell<bool>,
    order: Cell<Option<Order>>,
    waker: RefCell<Option<Waker>>,
}

impl Connection {
    /// Remembers that a request has been answered.
    pub fn set_answered(&self) {
        self.answered.set(true);
    }

    /// Remembers whether all bytes of the request in hand have been read: none of them may be taken for the next one.
    pub fn set_read_whole(&self, whole: bool) {
        self.read_whole.set(whole);
    }

    /// Sends it to the fast lane as soon as nothing is in hand.
    pub fn send_to_lane(&self) {
        self.to_lane.set(true);
    }

    /// What it has been told, once.
    pub fn take_order(&self) -> Option<Order> {
        self.order.take()
    }

    /// Has this task woken by orders.
    pub fn listen(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
    }

    /// Whether hyper, which has just returned, holds nothing of a request or of an answer.
    fn leaves_hyper(&self) -> bool {
        self.to_lane.get()
            && self.answered.get()
            && self.read_whole.get()
            && self.progress.stage().0 == Stage::Idle
            && self.progress.stuck_since_ms().is_none()
    }

    fn tell(&self, order: Order) {
        self.order.set(Some(order));
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }
}

/// The open connections of a core.
#[derive(Default)]
pub struct Connections {
    slots: RefCell<Vec<Option<Rc<Connection>>>>,
    free: RefCell<Vec<usize>>,
    now_ms: Rc<Cell<u64>>,
    /// Connections that have left hyper's buffers since the last look.
    rested: Cell<usize>,
}

impl Connections {
    /// How many have given hyper's buffers back since this was last asked.
    pub fn rested(&self) -> usize {
        self.rested.take()
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.slots.borrow().len() - self.free.borrow().len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets the clock that connections stamp their progress with.
    pub fn tick(&self, now_ms: u64) {
        self.now_ms.set(now_ms);
    }

    /// Closes the connections whose deadline has passed; returns how many.
    pub fn sweep(&self, limits: &HttpConfig) -> u64 {
        let now_ms = self.now_ms.get();
        let mut closed = 0;
        for connection in self.slots.borrow().iter().flatten() {
            if overdue(&connection.progress, now_ms, limits) {
                connection.tell(Order::Close);
                closed += 1;
            } else if connection.at_hyper.get() && rests(&connection.progress, now_ms) {
                connection.send_to_lane();
                connection.wake();
            }
        }
        closed
    }

    /// Asks every connection to close after the request in hand.
    pub fn drain(&self, fresh: Fresh) {
        for connection in self.slots.borrow().iter().flatten() {
            if fresh == Fresh::Told || connection.answered.get() {
                connection.tell(Order::Drain);
            }
        }
    }

    fn open(&self, peer: IpAddr) -> (usize, Rc<Connection>) {
        let connection = Rc::new(Connection {
            peer,
            progress: Rc::new(Progress::new(self.now_ms.clone())),
            answered: Cell::new(false),
            read_whole: Cell::new(true),
            at_hyper: Cell::new(false),
            to_lane: Cell::new(false),
            order: Cell::new(None),
            waker: RefCell::new(None),
        });
        let mut slots = self.slots.borrow_mut();
        let slot = self.free.borrow_mut().pop().unwrap_or_else(|| {
            slots.push(None);
            slots.len() - 1
        });
        slots[slot] = Some(connection.clone());
        (slot, connection)
    }

    fn close(&self, slot: usize) {
        self.slots.borrow_mut()[slot] = None;
        self.free.borrow_mut().push(slot);
    }
}

/// Whether a connection has taken longer than its stage allows.
fn overdue(progress: &Progress, now_ms: u64, limits: &HttpConfig) -> bool {
    let (stage, since) = progress.stage();
    let limit = match stage {
        // A stream that has been silent for so long has lost its maker: a live one sends heartbeats.
        Stage::Idle | Stage::Streaming => Some(limits.idle_timeout_ms),
        Stage::Head => Some(limits.header_timeout_ms),
        Stage::Body => Some(limits.body_timeout_ms),
        Stage::Working => None,
    };
    let past = |since: u64, limit: u64| now_ms.saturating_sub(since) > limit;
    limit.is_some_and(|limit| past(since, limit))
        || progress.stuck_since_ms().is_some_and(|since| past(since, limits.write_timeout_ms))
}

/// Whether a connection has been idle for so long that hyper's buffers are better freed.
fn rests(progress: &Progress, now_ms: u64) -> bool {
    let (stage, since) = progress.stage();
    stage == Stage::Idle && now_ms.saturating_sub(since) >= REST_MS
}

type Io = Watched<MonoioIo<TcpStreamPoll>>;

/// Serves one accepted stream to its end: in the fast lane, at hyper when there is work for it, and back.
pub async fn serve(core: Rc<Core>, stream: TcpStream, peer: IpAddr) {
    let Ok(stream) = stream.try_into_poll_io() else { return };
    let (slot, connection) = core.connections.open(peer);
    let _open = Open { core: core.clone(), slot };
    let mut io = Watched::new(MonoioIo::new(stream), connection.progress.clone());
    let mut first = Bytes::new();
    loop {
        let driven = AssertUnwindSafe(lane::drive(&core, &connection, &mut io, first)).catch_unwind().await;
        match driven {
            Ok(Left::ForHyper(bytes)) => io.unread(bytes),
            Ok(Left::Closed) => return,
            Err(_) => return core.count(Counter::Panics, 1),
        }
        // In a box of its own, which is freed when the connection comes back.
        match Box::pin(at_hyper(&core, &connection, io)).await {
            Ended::ToLane(back, rest) => (io, first) = (back, rest),
            Ended::Closed => return,
            Ended::Panicked => return core.count(Counter::Panics, 1),
        }
    }
}

async fn at_hyper(core: &Rc<Core>, connection: &Rc<Connection>, io: Io) -> Ended {
    let (serving, of) = (core.clone(), connection.clone());
    let answer = service_fn(move |request| service::answer(serving.clone(), of.clone(), request));
    let mut protocol = http1::Builder::new()
        .keep_alive(true)
        // Answers are small: one buffer costs the kernel less than two.
        .writev(false)
        .header_read_timeout(None)
        .max_buf_size(core.shared.config.http.header_bytes_max.max(8192))
        .serve_connection(io, answer);
    connection.to_lane.set(false);
    let _held = AtHyper::begin(core, connection);
    match poll_fn(|context| step(&mut protocol, connection, context)).await {
        Step::ToLane => {
            let parts = protocol.into_parts();
            // What is empty may still hold the whole buffer.
            let unused = if parts.read_buf.is_empty() { Bytes::new() } else { parts.read_buf };
            Ended::ToLane(parts.io, unused)
        }
        Step::Closed => Ended::Closed,
        Step::Panicked => Ended::Panicked,
    }
}

/// Gives the connection's slot back and counts it out, however it ends.
struct Open {
    core: Rc<Core>,
    slot: usize,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.core.connections.close(self.slot);
    }
}

/// A connection that hyper has, counted, however that ends.
struct AtHyper<'a>(&'a Core, &'a Connection);

impl<'a> AtHyper<'a> {
    fn begin(core: &'a Core, connection: &'a Connection) -> Self {
        core.count(Counter::ConnectionsAtHyper, 1);
        connection.at_hyper.set(true);
        Self(core, connection)
    }
}

impl Drop for AtHyper<'_> {
    fn drop(&mut self) {
        self.0.metrics.subtract(Counter::ConnectionsAtHyper, 1);
        self.1.at_hyper.set(false);
        let rested = &self.0.connections.rested;
        rested.set(rested.get() + 1);
    }
}

/// How hyper's part of a connection ended.
enum Ended {
    Closed,
    Panicked,
    /// The stream, and bytes that were read from it and not used.
    ToLane(Io, Bytes),
}

enum Step {
    Closed,
    Panicked,
    ToLane,
}

/// What [`step`] needs of hyper's connection, whose full type cannot be written down.
trait Protocol: Future + Unpin {
    fn graceful(self: Pin<&mut Self>);
}

impl<I, S, B> Protocol for http1::Connection<I, S>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn graceful(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// A step of hyper's connection, listening to orders before it and looking whether it is done after it.
fn step<C: Protocol>(protocol: &mut C, connection: &Connection, context: &mut Context<'_>) -> Poll<Step> {
    match connection.take_order() {
        Some(Order::Close) => return Poll::Ready(Step::Closed),
        Some(Order::Drain) => Pin::new(&mut *protocol).graceful(),
        None => {}
    }
    connection.listen(context);
    // A parser error or a reset is the peer's affair; hyper has answered what can be answered.
    match catch_unwind(AssertUnwindSafe(|| Pin::new(protocol).poll(context))) {
        Ok(Poll::Pending) if connection.leaves_hyper() => Poll::Ready(Step::ToLane),
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(_)) => Poll::Ready(Step::Closed),
        Err(_) => Poll::Ready(Step::Panicked),
    }
}
