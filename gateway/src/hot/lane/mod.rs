//! The fast lane: where a connection stays while nothing of it is hyper's business.
//!
//! Here a connection waits without a buffer of its own (every connection of a core reads into the same one), and here presses
//! of an event that is sold out are answered from prebuilt bytes. The first bytes that are anything else go to hyper as they
//! came, unread and unchanged; a connection comes back when hyper has nothing in hand. What that saves, and why it is kept:
//! docs/adr/0010.

pub mod page;
mod press;

use std::cell::{OnceCell, RefCell};
use std::future::poll_fn;
use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBuf, Write};
use spike_metrics::words::{HotRoute, Outcome};
use spike_telemetry::Counter;

use self::page::Page;
use super::Core;
use super::batch::Batch;
use super::connection::{Connection, Order};
use super::watched::Stage;
pub use press::{Press, recognise};

/// Bytes of one read.
const READ_BYTES: usize = 16 << 10;

/// What the connections of a core share here: one buffer to read into, one to write from.
pub struct Scratch(RefCell<Buffers>);

struct Buffers {
    read: Box<[u8]>,
    answers: Vec<u8>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self(RefCell::new(Buffers { read: vec![0; READ_BYTES].into(), answers: Vec::new() }))
    }
}

/// The prebuilt answer of a batch's event.
pub type SoldOutPage = OnceCell<Page>;

/// Why a connection has left the lane.
#[derive(Debug, PartialEq, Eq)]
pub enum Left {
    /// It is over.
    Closed,
    /// These bytes are for hyper.
    ForHyper(Bytes),
}

/// Serves `io` until it is over or has something for hyper. `first`: bytes that were read before.
pub async fn drive<T: Read + Write + Unpin>(
    core: &Core,
    connection: &Connection,
    io: &mut T,
    first: Bytes,
) -> Left {
    let mut lane = Lane { core, connection, first, unsent: Bytes::new(), for_hyper: None, closing: false };
    poll_fn(|context| lane.poll(context, io)).await
}

struct Lane<'a> {
    core: &'a Core,
    connection: &'a Connection,
    /// Read before and not looked at.
    first: Bytes,
    /// Answers that the socket has not taken yet.
    unsent: Bytes,
    /// What goes to hyper when the answers before it are out.
    for_hyper: Option<Bytes>,
    closing: bool,
}

impl Lane<'_> {
    fn poll<T: Read + Write + Unpin>(&mut self, context: &mut Context<'_>, io: &mut T) -> Poll<Left> {
        self.connection.listen(context);
        match self.connection.take_order() {
            Some(Order::Close) => return Poll::Ready(Left::Closed),
            Some(Order::Drain) => self.closing = true,
            None => {}
        }
        loop {
            if ready!(self.send(context, io)).is_err() {
                return Poll::Ready(Left::Closed);
            }
            if let Some(bytes) = self.for_hyper.take() {
                return Poll::Ready(Left::ForHyper(bytes));
            }
            if self.closing {
                // A peer that is gone needs no goodbye.
                let _ = Pin::new(io).poll_shutdown(context);
                return Poll::Ready(Left::Closed);
            }
            if !self.first.is_empty() {
                let first = std::mem::take(&mut self.first);
                let mut answers = Vec::new();
                let used = self.answer(&first, &mut answers);
                self.unsent = answers.into();
                self.for_hyper = (used < first.len()).then(|| first.slice(used..));
                continue;
            }
            match ready!(self.receive(context, io)) {
                Ok(true) => {}
                // The peer has said all it wanted, or is gone.
                Ok(false) | Err(_) => return Poll::Ready(Left::Closed),
            }
        }
    }

    /// Reads once, answers what can be answered, and keeps what cannot. False at the end of the stream.
    fn receive<T: Read + Write + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        io: &mut T,
    ) -> Poll<Result<bool, Error>> {
        let mut buffers = self.core.scratch.0.borrow_mut();
        let Buffers { read, answers } = &mut *buffers;
        let mut buffer = ReadBuf::new(read);
        ready!(Pin::new(&mut *io).poll_read(context, buffer.unfilled()))?;
        let bytes = buffer.filled();
        if bytes.is_empty() {
            return Poll::Ready(Ok(false));
        }
        answers.clear();
        let used = self.answer(bytes, answers);
        if used < bytes.len() {
            self.for_hyper = Some(Bytes::copy_from_slice(&bytes[used..]));
        }
        if !answers.is_empty() {
            let sent = match Pin::new(io).poll_write(context, answers) {
                Poll::Ready(sent) => sent?,
                Poll::Pending => 0,
            };
            self.unsent = Bytes::copy_from_slice(&answers[sent..]);
        }
        Poll::Ready(Ok(true))
    }

    /// Answers the presses at the start of `bytes`; returns how many bytes they were.
    fn answer(&self, bytes: &[u8], answers: &mut Vec<u8>) -> usize {
        let core = self.core;
        if !core.shared.config.hot.fast_lane || core.draining() {
            return 0;
        }
        let now = core.shared.clock.read();
        let now_ms = now.mono_ms();
        let (mut used, mut told) = (0, 0);
        while let Some(press) = recognise(&bytes[used..]) {
            let Some(batch) = core.event(press.event) else { break };
            if !sold_out(core, &batch, now_ms, answers) {
                break;
            }
            used += press.length;
            told += 1;
        }
        if told > 0 {
            self.count(told, now.mono_ns);
            self.connection.set_answered();
        }
        if used == bytes.len() {
            self.connection.progress.enter(Stage::Idle);
        }
        used
    }

    /// Counts what the service counts of such an answer; the page is all the work that these had.
    fn count(&self, told: u64, since_ns: u64) {
        let core = self.core;
        if core.metrics.measuring() {
            let took_ns = core.shared.clock.mono_ns().saturating_sub(since_ns);
            core.metrics.requests(HotRoute::Buy, Outcome::SoldOut, told, took_ns);
            core.count(Counter::SoldOut, told);
            core.count(Counter::FastLane, told);
        }
    }

    fn send<T: Write + Unpin>(&mut self, context: &mut Context<'_>, io: &mut T) -> Poll<Result<(), Error>> {
        while !self.unsent.is_empty() {
            match ready!(Pin::new(&mut *io).poll_write(context, &self.unsent))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                sent => self.unsent.advance(sent),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Appends the answer if the flag is certain; a flag that wants a probe gets one from hyper's side.
fn sold_out(core: &Core, batch: &Batch, now_ms: u64, answers: &mut Vec<u8>) -> bool {
    let event = batch.event();
    if !event.sold_out.certain(now_ms) {
        return false;
    }
    let origins = &core.shared.config.http.cors_origins;
    let page = batch.sold_out_page.get_or_init(|| Page::new(&event, origins));
    page.write(answers, core.request_ids.make(), &core.date.get());
    true
}
