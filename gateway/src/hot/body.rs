//! The body of an answer: bytes at hand, or a stream from the sidecar.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use spike_domain::Reason;
use tokio::sync::mpsc;

use super::stream::EventBody;
use super::watched::{Progress, Stage};
use crate::bridge::Piece;

/// A body that hyper sends.
pub enum HotBody {
    /// Everything at once.
    Full {
        /// `None` when sent.
        bytes: Option<Bytes>,
        /// Why this is a refusal, where a hot core made it: what it is counted as.
        refused: Option<Reason>,
    },
    /// Pieces from the sidecar. Dropping it ends the sidecar's work for this answer.
    Stream {
        /// As they come.
        pieces: mpsc::Receiver<Piece>,
        /// The connection's stage meanwhile.
        _streaming: Streaming,
    },
    /// The states of one order.
    Events {
        /// As they come.
        events: Box<EventBody>,
        /// The connection's stage meanwhile.
        _streaming: Streaming,
    },
}

/// A connection is streaming for as long as this lives.
pub struct Streaming(Rc<Progress>);

impl Streaming {
    /// Begins now: with the head of the answer.
    pub fn begin(progress: Rc<Progress>) -> Self {
        progress.enter(Stage::Streaming);
        Self(progress)
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        if self.0.stage().0 == Stage::Streaming {
            self.0.enter(Stage::Idle);
        }
    }
}

/// The sidecar's work for a streamed answer ended before the answer did. The connection is closed without the last chunk,
/// so that nobody takes a part for the whole.
#[derive(Debug, thiserror::Error)]
#[error("the streamed answer broke off")]
pub struct BrokenOff;

impl HotBody {
    /// A body of bytes at hand.
    pub fn full(bytes: Bytes) -> Self {
        Self::Full { bytes: (!bytes.is_empty()).then_some(bytes), refused: None }
    }

    /// The same of a hot answer, with the reason if it is a refusal.
    pub fn answer(bytes: Bytes, refused: Option<Reason>) -> Self {
        Self::Full { bytes: (!bytes.is_empty()).then_some(bytes), refused }
    }

    /// Why it is a refusal, where a hot core made it.
    pub fn refused(&self) -> Option<Reason> {
        if let Self::Full { refused, .. } = self { *refused } else { None }
    }
}

impl Body for HotBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Full { bytes, .. } => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream { pieces, .. } => pieces.poll_recv(context).map(|piece| match piece {
                Some(Piece::Data(bytes)) => Some(Ok(Frame::data(bytes))),
                Some(Piece::End) => None,
                None => Some(Err(BrokenOff)),
            }),
            Self::Events { events, .. } => Pin::new(&mut **events)
                .poll_piece(context)
                .map(|piece| piece.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full { bytes: None, .. })
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full { bytes, .. } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Stream { .. } | Self::Events { .. } => SizeHint::default(),
        }
    }
}
