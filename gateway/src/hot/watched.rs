//! A connection's bytes, watched: every read and write leaves a stamp, so that one sweep can tell a slow header, a slow
//! body, a slow reader and an idle connection apart. hyper's own header timer runs while idle too and costs a timer a
//! request; it stays off.

use std::cell::Cell;
use std::io::{Error, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};

/// What a connection is doing, as far as its deadlines care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing asked.
    Idle,
    /// Bytes of a head have come.
    Head,
    /// A head is complete, its body is not.
    Body,
    /// The answer is being made; its maker has a deadline of its own.
    Working,
    /// The answer is on its way, piece by piece; every write begins the stage anew.
    Streaming,
}

/// The stamps of one connection. Times are the core's tick, in ms.
#[derive(Debug)]
pub struct Progress {
    stage: Cell<Stage>,
    since_ms: Cell<u64>,
    stuck_since_ms: Cell<Option<u64>>,
    now_ms: Rc<Cell<u64>>,
}

impl Progress {
    /// An idle connection; `now_ms` is the core's clock.
    pub fn new(now_ms: Rc<Cell<u64>>) -> Self {
        Self {
            stage: Cell::new(Stage::Idle),
            since_ms: Cell::new(now_ms.get()),
            stuck_since_ms: Cell::new(None),
            now_ms,
        }
    }

    /// Enters a stage.
    pub fn enter(&self, stage: Stage) {
        self.stage.set(stage);
        self.since_ms.set(self.now_ms.get());
    }

    /// The stage and when it began.
    pub fn stage(&self) -> (Stage, u64) {
        (self.stage.get(), self.since_ms.get())
    }

    /// Since when the peer has taken no byte of what we want to send.
    pub fn stuck_since_ms(&self) -> Option<u64> {
        self.stuck_since_ms.get()
    }

    fn read(&self) {
        if self.stage.get() == Stage::Idle {
            self.enter(Stage::Head);
        }
    }

    fn wrote<T>(&self, result: &Poll<T>) {
        match result {
            Poll::Ready(_) => {
                self.stuck_since_ms.set(None);
                if self.stage.get() == Stage::Streaming {
                    self.enter(Stage::Streaming);
                }
            }
            Poll::Pending if self.stuck_since_ms.get().is_none() => {
                self.stuck_since_ms.set(Some(self.now_ms.get()));
            }
            Poll::Pending => {}
        }
    }
}

/// A stream that stamps `progress`.
pub struct Watched<T> {
    inner: T,
    progress: Rc<Progress>,
    /// Read before, and given back.
    ahead: Bytes,
}

impl<T> Watched<T> {
    /// Watches `inner`.
    pub fn new(inner: T, progress: Rc<Progress>) -> Self {
        Self { inner, progress, ahead: Bytes::new() }
    }

    /// Gives bytes back: they will be read again before all others.
    pub fn unread(&mut self, bytes: Bytes) {
        self.ahead =
            if self.ahead.is_empty() { bytes } else { [&bytes[..], &self.ahead[..]].concat().into() };
    }
}

impl<T: Read + Unpin> Read for Watched<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<Result<(), Error>> {
        let this = self.get_mut();
        if !this.ahead.is_empty() {
            let taken = this.ahead.len().min(buffer.remaining());
            buffer.put_slice(&this.ahead.split_to(taken));
            this.progress.read();
            return Poll::Ready(Ok(()));
        }
        let result = Pin::new(&mut this.inner).poll_read(context, buffer);
        if matches!(result, Poll::Ready(Ok(()))) {
            this.progress.read();
        }
        result
    }
}

impl<T: Write + Unpin> Write for Watched<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Error>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_write(context, bytes);
        this.progress.wrote(&result);
        result
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_write_vectored(context, slices);
        this.progress.wrote(&result);
        result
    }
}
