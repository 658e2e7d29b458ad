//! One connection: hyper's HTTP/1.1 over a watched stream, bounded by the core's sweep, ended by drain, caught when it
//! panics.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use monoio::net::TcpStream;
use monoio_compat::hyper::MonoioIo;
use spike_config::HttpConfig;
use spike_telemetry::Counter;

use super::watched::{Progress, Stage, Watched};
use super::{Core, service};

/// What a connection is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
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
    order: Cell<Option<Order>>,
    waker: RefCell<Option<Waker>>,
}

impl Connection {
    /// Remembers that a request has been answered.
    pub fn set_answered(&self) {
        self.answered.set(true);
    }

    fn tell(&self, order: Order) {
        self.order.set(Some(order));
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
}

impl Connections {
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

/// Serves one accepted stream to its end.
pub async fn serve(core: Rc<Core>, stream: TcpStream, peer: IpAddr) {
    let Ok(stream) = stream.try_into_poll_io() else { return };
    let (slot, connection) = core.connections.open(peer);
    let _open = Open { core: core.clone(), slot };
    let io = Watched::new(MonoioIo::new(stream), connection.progress.clone());
    let (serving, of) = (core.clone(), connection.clone());
    let answer = service_fn(move |request| service::answer(serving.clone(), of.clone(), request));
    let protocol = http1::Builder::new()
        .keep_alive(true)
        .header_read_timeout(None)
        .max_buf_size(core.shared.config.http.header_bytes_max.max(8192))
        .serve_connection(io, answer);
    let served = Served { protocol: std::pin::pin!(protocol), connection: &connection };
    if let Ended::Panicked = served.await {
        core.count(Counter::Panics, 1);
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

enum Ended {
    Closed,
    Panicked,
}

/// hyper's connection, listening to orders between its own steps.
struct Served<'a, 'c, C> {
    protocol: Pin<&'a mut C>,
    connection: &'c Connection,
}

/// What [`Served`] needs of hyper's connection, whose full type cannot be written down.
trait Protocol: Future {
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

impl<C: Protocol> Future for Served<'_, '_, C> {
    type Output = Ended;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ended> {
        let this = self.get_mut();
        match this.connection.order.take() {
            Some(Order::Close) => return Poll::Ready(Ended::Closed),
            Some(Order::Drain) => this.protocol.as_mut().graceful(),
            None => {}
        }
        let mut waker = this.connection.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        drop(waker);
        // A parser error or a reset is the peer's affair; hyper has answered what can be answered.
        match catch_unwind(AssertUnwindSafe(|| this.protocol.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(_)) => Poll::Ready(Ended::Closed),
            Err(_) => Poll::Ready(Ended::Panicked),
        }
    }
}
