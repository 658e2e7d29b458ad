//! may_minihttp, the leanest HTTP server we know: with an empty answer, or with the gateway's sold-out refusal.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Instant;

use may_minihttp::{HttpService, HttpServiceFactory, Request, Response};
use spike_domain::{EventId, Reason};
use spike_gateway::hot::route::{Route, route};
use spike_gateway::local::page::sold_out_body;
use spike_gateway::local::{Sale, SoldOutFlag};

/// What the server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// 200 without a body, to everything.
    Empty,
    /// The gateway's sold-out refusal to every buy of the event without an idempotency key, 404 to everything else.
    SoldOut,
}

/// A flag that outlives every measurement, in ms: half a year, within the 35 bits that it is packed into.
const FLAG_LIFE_MS: u64 = 1 << 34;
const REQUEST_ID: &str = "x-request-id";
/// Bytes of the longest request id that is taken from a client.
const REQUEST_ID_MAX: usize = 64;

/// Starts the server with so many workers and returns once it listens; it runs until the process ends.
///
/// # Errors
/// The address cannot be bound.
pub fn start(listen: SocketAddr, mode: Mode, event: EventId, workers: usize) -> io::Result<()> {
    may::config().set_workers(workers);
    match mode {
        Mode::Empty => Empties.start(listen).map(drop),
        Mode::SoldOut => SoldOuts::of(event).start(listen).map(drop),
    }
}

struct Empties;

struct Empty;

impl HttpServiceFactory for Empties {
    type Service = Empty;

    fn new_service(&self, id: usize) -> Empty {
        set_nodelay(id);
        Empty
    }
}

impl HttpService for Empty {
    fn call(&mut self, request: Request<'_, '_, '_>, _: &mut Response<'_>) -> io::Result<()> {
        // Dropping the reader takes the body off the connection.
        drop(request.body());
        Ok(())
    }
}

/// What all connections share.
struct SoldOuts {
    event: EventId,
    flag: Arc<SoldOutFlag>,
    body: &'static str,
    start: Instant,
}

impl SoldOuts {
    fn of(event: EventId) -> Self {
        let body = String::from_utf8(sold_out_body(event)).expect("JSON is UTF-8");
        let flag = SoldOutFlag::new(FLAG_LIFE_MS);
        flag.set(1, 0);
        // One leak a process: the library takes bodies that live for ever or are copied.
        Self { event, flag: Arc::new(flag), body: body.leak(), start: Instant::now() }
    }
}

impl HttpServiceFactory for SoldOuts {
    type Service = SoldOut;

    fn new_service(&self, id: usize) -> SoldOut {
        set_nodelay(id);
        SoldOut {
            event: self.event,
            flag: self.flag.clone(),
            body: self.body,
            start: self.start,
            next_id: fastrand::u64(..),
            request_id: Vec::with_capacity(REQUEST_ID.len() + 2 + REQUEST_ID_MAX),
        }
    }
}

/// One connection.
struct SoldOut {
    event: EventId,
    flag: Arc<SoldOutFlag>,
    body: &'static str,
    start: Instant,
    next_id: u64,
    /// The line of the answer under way, without its end.
    request_id: Vec<u8>,
}

impl HttpService for SoldOut {
    fn call(&mut self, request: Request<'_, '_, '_>, response: &mut Response<'_>) -> io::Result<()> {
        let refused = self.refuses(&request);
        self.name(&request);
        drop(request.body());
        // SAFETY: the library copies the headers into its buffer right after this call and drops the response before it
        // calls again; only the next call changes the line, and the service outlives both.
        let line: &'static str =
            unsafe { std::mem::transmute(std::str::from_utf8(&self.request_id).expect("ASCII")) };
        if refused {
            response.status_code(Reason::SoldOut.status().into(), "Conflict");
            response.header("content-type: application/json").header(line).body(self.body);
        } else {
            response.status_code(404, "Not Found").header(line);
        }
        Ok(())
    }
}

impl SoldOut {
    fn refuses(&self, request: &Request<'_, '_, '_>) -> bool {
        let path = request.path();
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let Ok(method) = request.method().parse() else { return false };
        let now_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let keyed =
            || request.headers().iter().any(|header| header.name.eq_ignore_ascii_case("idempotency-key"));
        route(&method, path) == Route::Buy(self.event) && !keyed() && self.flag.ask(now_ms) == Sale::SoldOut
    }

    /// Takes the client's request id or makes one, as the gateway does: a random start, then counting.
    fn name(&mut self, request: &Request<'_, '_, '_>) {
        self.request_id.clear();
        let given = request.headers().iter().find(|header| header.name.eq_ignore_ascii_case(REQUEST_ID));
        match given.map(|header| header.value).filter(|id| acceptable(id)) {
            Some(id) => {
                self.request_id.extend_from_slice(REQUEST_ID.as_bytes());
                self.request_id.extend_from_slice(b": ");
                self.request_id.extend_from_slice(id);
            }
            None => {
                write!(self.request_id, "{REQUEST_ID}: {:016x}", self.next_id)
                    .expect("a Vec takes every byte");
                self.next_id = self.next_id.wrapping_add(1);
            }
        }
    }
}

fn acceptable(id: &[u8]) -> bool {
    (1..=REQUEST_ID_MAX).contains(&id.len())
        && id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// The library leaves Nagle's algorithm on, which holds small answers back; it names each connection by its descriptor.
fn set_nodelay(id: usize) {
    let fd = RawFd::try_from(id).expect("a connection's id is its descriptor");
    // SAFETY: the library owns the accepted socket and keeps it open during this call.
    let socket = unsafe { BorrowedFd::borrow_raw(fd) };
    // It fails only for a connection that is gone already, which nobody measures.
    let _ = socket2::SockRef::from(&socket).set_tcp_nodelay(true);
}
