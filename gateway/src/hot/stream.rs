//! `GET …/orders/{order}/events`: the order's states as server-sent events, until a final one.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use spike_domain::{EventId, OrderId, Reason, UserId};

use super::answer::{Answer, Asked};
use super::body::{HotBody, Streaming};
use super::connection::Connection;
use super::line::Look;
use super::status::{self, Which};
use super::waiting::{self, Kind, News, Place, Taken};
use super::{Core, buy};
use crate::sse;

/// What a request for a stream comes to.
pub enum Opened {
    /// The stream.
    Events(Box<EventBody>),
    /// Something else.
    Answer(Answer),
    /// Redis does not know the order as this user's: the database must be asked.
    Elsewhere,
}

/// Opens the stream of an order.
pub async fn open(
    core: &Rc<Core>,
    connection: &Connection,
    event: EventId,
    order: OrderId,
    headers: &HeaderMap,
    asked: &Asked,
) -> Opened {
    if status::only_in_database(core, event) {
        return Opened::Elsewhere;
    }
    let (view, user) = match status::admit(core, connection, event, headers, asked) {
        Ok(admitted) => admitted,
        Err(answer) => return Opened::Answer(answer),
    };
    let Ok(look) = core.look(&view, user).await else {
        return Opened::Answer(status::unavailable(core, asked));
    };
    let Some(shown) = Which::One(order).shown(&look) else { return Opened::Elsewhere };
    if sse::heard_the_end(headers, shown.status()) {
        return Opened::Answer(Answer { status: StatusCode::NO_CONTENT, ..Answer::default() });
    }
    let mut body = EventBody { event, order, user, place: None, first: None, shown };
    body.first = Some(sse::first(shown.status(), &shown.view(event)));
    if !shown.ended() {
        let place = match waiting::enter(core, Kind::Stream, event, user, look) {
            Ok(place) => place,
            Err(Taken::All) => return Opened::Answer(Answer::refuse(Reason::Overloaded, asked)),
            Err(Taken::ByTheUser) => return Opened::Answer(Answer::refuse(Reason::TooManyRequests, asked)),
        };
        place.only_while(token_check(core, headers));
        body.place = Some(place);
    }
    Opened::Events(Box::new(body))
}

/// Head and body of an opened stream.
pub fn response(
    body: Box<EventBody>,
    asked: Asked,
    connection: &Connection,
    draining: bool,
) -> Response<HotBody> {
    let streaming = Streaming::begin(connection.progress.clone());
    let answer = Answer::default().into_response(asked, draining);
    let mut response = answer.map(|_| HotBody::Events { events: body, _streaming: streaming });
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(sse::MEDIA_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies of nginx' kind would keep events back until a buffer is full.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// A revoked or expired token is not good for a stream either.
fn token_check(core: &Rc<Core>, headers: &HeaderMap) -> waiting::Allowed {
    let mut kept = HeaderMap::new();
    if let Some(token) = headers.get(http::header::AUTHORIZATION) {
        kept.insert(http::header::AUTHORIZATION, token.clone());
    }
    let core = core.clone();
    Box::new(move || {
        let asked = Asked::read(&kept, &[], &core.request_ids);
        buy::authenticate(&core, &kept, core.shared.clock.read(), &asked).is_ok()
    })
}

/// The events of one order, as hyper takes them.
pub struct EventBody {
    event: EventId,
    order: OrderId,
    user: UserId,
    /// `None` once the order's state is final or nothing more can be told.
    place: Option<Place>,
    first: Option<Bytes>,
    shown: status::Shown,
}

impl EventBody {
    /// The next piece; `None` at the end.
    pub fn poll_piece(self: Pin<&mut Self>, context: &Context<'_>) -> Poll<Option<Bytes>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(first));
        }
        loop {
            let Some(place) = &this.place else { return Poll::Ready(None) };
            match place.poll_next(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(News::Heartbeat) => return Poll::Ready(Some(sse::HEARTBEAT)),
                Poll::Ready(News::Look(look)) => {
                    if let Some(piece) = this.piece(&look) {
                        return Poll::Ready(Some(piece));
                    }
                }
                Poll::Ready(News::Over) => this.place = None,
            }
        }
    }

    fn piece(&mut self, look: &Look) -> Option<Bytes> {
        let Some(shown) = Which::One(self.order).shown(look) else {
            // The ledger shows another order of this user by now: the next connection asks the database.
            tracing::debug!(order = %self.order, user = %self.user, "a streamed order is not shown any more");
            self.place = None;
            return None;
        };
        if shown == self.shown {
            return None;
        }
        self.shown = shown;
        if shown.ended() {
            self.place = None;
        }
        Some(sse::event(shown.status(), &shown.view(self.event)))
    }
}
