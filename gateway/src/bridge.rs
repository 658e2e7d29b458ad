//! The one bounded way from the hot cores to the sidecar: a request goes over whole, its answer comes back as a head and
//! a stream of pieces with backpressure. A client that goes away ends the sidecar's work for it.
//!
//! A round trip costs about 22 µs of CPU, twice a whole hot answer, so hot routes never cross it.

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response};
use tokio::sync::{mpsc, oneshot};
use tower::ServiceExt;

/// Pieces of a streamed answer that may wait for a slow client.
const PIECES: usize = 4;

/// The body of a cold answer.
pub enum ColdBody {
    /// Everything at once.
    Full(Bytes),
    /// Pieces, as they are made.
    Stream(mpsc::Receiver<Bytes>),
}

struct Crossing {
    request: Request<Bytes>,
    answer: oneshot::Sender<Response<ColdBody>>,
}

/// The hot side.
#[derive(Clone)]
pub struct Entrance(mpsc::Sender<Crossing>);

/// The sidecar's side.
pub struct Exit(mpsc::Receiver<Crossing>);

/// Why a request did not come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotCrossed {
    /// As many requests wait as may wait.
    Full,
    /// The sidecar's work for it ended without an answer.
    Broken,
}

/// A bridge on which `capacity` requests may wait.
pub fn bridge(capacity: usize) -> (Entrance, Exit) {
    let (sender, receiver) = mpsc::channel(capacity);
    (Entrance(sender), Exit(receiver))
}

impl Entrance {
    /// Sends a request over and waits for the head of its answer. Dropping the future, or the body it gave, ends the
    /// sidecar's work.
    pub async fn cross(&self, request: Request<Bytes>) -> Result<Response<ColdBody>, NotCrossed> {
        let (answer, receiver) = oneshot::channel();
        self.0.try_send(Crossing { request, answer }).map_err(|_| NotCrossed::Full)?;
        receiver.await.map_err(|_| NotCrossed::Broken)
    }
}

impl Exit {
    /// Answers crossings with `router` until every entrance is gone. Runs on the sidecar's runtime.
    pub async fn serve(mut self, router: Router) {
        while let Some(crossing) = self.0.recv().await {
            tokio::spawn(answer(router.clone(), crossing));
        }
    }
}

async fn answer(router: Router, crossing: Crossing) {
    let Crossing { request, answer: mut reply } = crossing;
    let request = request.map(Body::from);
    let response = tokio::select! {
        response = router.oneshot(request) => response.unwrap_or_else(|never| match never {}),
        () = reply.closed() => return, // the client has gone away
    };
    let (head, body) = response.into_parts();
    let whole = http_body::Body::size_hint(&body).exact().is_some();
    if whole {
        // A panic inside a body is the only error here; the client then sees a broken connection.
        if let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await {
            let _ = reply.send(Response::from_parts(head, ColdBody::Full(bytes)));
        }
        return;
    }
    let (pieces, receiver) = mpsc::channel(PIECES);
    if reply.send(Response::from_parts(head, ColdBody::Stream(receiver))).is_ok() {
        stream(body, pieces).await;
    }
}

/// Sends pieces until the body ends or the client has gone away.
async fn stream(body: Body, pieces: mpsc::Sender<Bytes>) {
    let mut body = body.into_data_stream();
    loop {
        let piece = tokio::select! {
            piece = body.next() => piece,
            () = pieces.closed() => return,
        };
        match piece {
            Some(Ok(bytes)) if !bytes.is_empty() => {
                if pieces.send(bytes).await.is_err() {
                    return;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return,
        }
    }
}
