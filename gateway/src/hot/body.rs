//! The body of an answer: bytes at hand, or a stream from the sidecar.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::bridge::Piece;

/// A body that hyper sends.
pub enum HotBody {
    /// Everything at once; `None` when sent.
    Full(Option<Bytes>),
    /// Pieces from the sidecar. Dropping it ends the sidecar's work for this answer.
    Stream(mpsc::Receiver<Piece>),
}

/// The sidecar's work for a streamed answer ended before the answer did. The connection is closed without the last chunk,
/// so that nobody takes a part for the whole.
#[derive(Debug, thiserror::Error)]
#[error("the streamed answer broke off")]
pub struct BrokenOff;

impl HotBody {
    /// A body of bytes at hand.
    pub fn full(bytes: Bytes) -> Self {
        Self::Full((!bytes.is_empty()).then_some(bytes))
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
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(pieces) => pieces.poll_recv(context).map(|piece| match piece {
                Some(Piece::Data(bytes)) => Some(Ok(Frame::data(bytes))),
                Some(Piece::End) => None,
                None => Some(Err(BrokenOff)),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
