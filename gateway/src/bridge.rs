//! The one bounded way from the hot cores to the sidecar: a request goes over whole, its answer comes back as a head and
//! a stream of pieces with backpressure. A client that goes away ends the sidecar's work for it.
//!
//! A round trip costs about 22 µs of CPU, twice a whole hot answer, so hot routes never cross it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tower::ServiceExt;

use crate::shed::Class;

/// Pieces of a streamed answer that may wait for a slow client.
const PIECES: usize = 4;

/// The client's address; set on every request that crosses.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

/// The body of a cold answer.
pub enum ColdBody {
    /// Everything at once.
    Full(Bytes),
    /// Pieces, as they are made. A channel that closes without [`Piece::End`] has broken: the sidecar's work failed.
    Stream(mpsc::Receiver<Piece>),
}

/// A piece of a streamed answer.
pub enum Piece {
    /// Bytes.
    Data(Bytes),
    /// The answer is whole.
    End,
}

struct Crossing {
    request: Request<Bytes>,
    answer: oneshot::Sender<Response<ColdBody>>,
}

/// The hot side.
#[derive(Clone)]
pub struct Entrance {
    waiting: mpsc::Sender<Crossing>,
    working: Arc<Semaphore>,
    capacity: usize,
}

/// The sidecar's side.
pub struct Exit {
    waiting: mpsc::Receiver<Crossing>,
    working: Arc<Semaphore>,
}

/// Why a request did not come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotCrossed {
    /// As many requests are worked on and wait as may for one of its class (see [`crate::shed`]).
    Full,
    /// The sidecar's work for it ended without an answer.
    Broken,
}

/// A bridge on which `capacity` requests may wait while as many are worked on.
pub fn bridge(capacity: usize) -> (Entrance, Exit) {
    let (sender, receiver) = mpsc::channel(capacity);
    let working = Arc::new(Semaphore::new(capacity));
    let entrance = Entrance { waiting: sender, working: working.clone(), capacity };
    (entrance, Exit { waiting: receiver, working })
}

impl Entrance {
    /// Sends a request over and waits for the head of its answer. Dropping the future, or the body it gave, ends the
    /// sidecar's work.
    pub async fn cross(&self, request: Request<Bytes>) -> Result<Response<ColdBody>, NotCrossed> {
        let class = Class::of(request.method(), request.uri().path());
        if self.taken() >= class.share(2 * self.capacity) {
            return Err(NotCrossed::Full);
        }
        let (answer, receiver) = oneshot::channel();
        self.waiting.try_send(Crossing { request, answer }).map_err(|_| NotCrossed::Full)?;
        receiver.await.map_err(|_| NotCrossed::Broken)
    }

    /// Requests that wait or are worked on; may be one too few, and more where several cores come at once. The exit takes
    /// its permit before there is something to do, which does not count.
    pub fn taken(&self) -> usize {
        let free = self.waiting.capacity() + self.working.available_permits();
        (2 * self.capacity).saturating_sub(free + 1)
    }
}

impl Exit {
    /// Answers crossings with `router` until every entrance is gone. Runs on the sidecar's runtime.
    pub async fn serve(mut self, router: Router) {
        loop {
            let permit = self.working.clone().acquire_owned().await.expect("the semaphore is never closed");
            let Some(crossing) = self.waiting.recv().await else { return };
            if crossing.answer.is_closed() {
                continue; // nobody waits for it any more: it is not begun
            }
            tokio::spawn(answer(router.clone(), crossing, permit));
        }
    }
}

/// Holds the permit until the answer is made. A stream has its own bound, its client's speed: held for its life, a few of
/// them would keep everybody else from crossing.
async fn answer(router: Router, crossing: Crossing, permit: OwnedSemaphorePermit) {
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
    drop(permit);
    let (pieces, receiver) = mpsc::channel(PIECES);
    if reply.send(Response::from_parts(head, ColdBody::Stream(receiver))).is_ok() {
        stream(body, pieces).await;
    }
}

/// Sends pieces until the body ends or the client has gone away.
async fn stream(body: Body, pieces: mpsc::Sender<Piece>) {
    let mut body = body.into_data_stream();
    loop {
        let piece = tokio::select! {
            piece = body.next() => piece,
            () = pieces.closed() => return,
        };
        match piece {
            Some(Ok(bytes)) if !bytes.is_empty() => {
                if pieces.send(Piece::Data(bytes)).await.is_err() {
                    return;
                }
            }
            Some(Ok(_)) => {}
            // Without an end the client sees a broken transfer, as it must.
            Some(Err(error)) => {
                tracing::error!(%error, "a streamed answer failed half way");
                return;
            }
            None => {
                let _ = pieces.send(Piece::End).await;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn no_more_than_the_capacity_is_worked_on_and_as_many_wait() {
        let (entrance, exit) = bridge(2);
        let running = Arc::new(AtomicUsize::new(0));
        let counted = running.clone();
        let forever = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>()
        };
        let exit = tokio::spawn(exit.serve(Router::new().fallback(forever)));
        let cross = || {
            let entrance = entrance.clone();
            tokio::spawn(async move { entrance.cross(asking_for("/api/v1/orders/7")).await.map(drop) })
        };
        let mut crossings = Vec::new();
        for worked_on in [1, 2, 2, 2] {
            crossings.push(cross());
            while running.load(Ordering::SeqCst) < worked_on {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(cross().await.unwrap(), Err(NotCrossed::Full));
        assert_eq!(running.load(Ordering::SeqCst), 2);
        crossings.remove(0).abort();
        while running.load(Ordering::SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
        exit.abort();
    }

    fn asking_for(path: &str) -> Request<Bytes> {
        Request::get(path).body(Bytes::new()).unwrap()
    }

    #[tokio::test]
    async fn when_it_fills_browsing_is_refused_first_and_the_state_of_an_order_last() {
        // Nobody works: whatever comes in waits.
        let (entrance, exit) = bridge(8);
        let _all = exit.working.clone().try_acquire_many_owned(8).unwrap();
        let mut inside = Vec::new();
        let mut until_refused = |path: &str| {
            (0..)
                .take_while(|_| {
                    let (entrance, request) = (entrance.clone(), asking_for(path));
                    let mut crossing = Box::pin(async move { entrance.cross(request).await.map(drop) });
                    let waits = futures_util::FutureExt::now_or_never(&mut crossing).is_none();
                    if waits {
                        inside.push(crossing);
                    }
                    waits
                })
                .count()
        };
        // 16 places, 8 of them taken by work: half are for browsing, 11 for logging in, all for the rest.
        assert_eq!(until_refused("/api/v1/products"), 1);
        assert_eq!(until_refused("/api/v1/users/me"), 3);
        assert_eq!(until_refused("/api/v1/orders/7"), 4);
        inside.clear();
        drop(exit);
    }
}
