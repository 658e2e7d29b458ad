//! From a request to its answer: the hot routes here, everything else over the bridge. A panic answers 500.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::header::{ACCEPT, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, IF_NONE_MATCH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use spike_domain::{EventId, OrderId, Reason};
use spike_telemetry::Counter;

use super::answer::{Answer, Asked, RequestId, X_REQUEST_ID};
use super::body::{HotBody, Streaming};
use super::connection::Connection;
use super::failed::FailedBuy;
use super::measure::Measured;
use super::route::{Route, route};
use super::status::Which;
use super::stream::Opened;
use super::traced::Traced;
use super::watched::Stage;
use super::{Core, buy, status, stream};
use crate::bridge::{ClientAddress, ColdBody, NotCrossed};

/// How often hyper may go round before a body that has come with its head is given up: it hands it over in two.
const READ_ROUNDS: usize = 4;

/// Answers one request of `connection`.
pub async fn answer(
    core: Rc<Core>,
    connection: Rc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<HotBody>, Infallible> {
    let route = route(request.method(), request.uri().path());
    let measured = Measured::begin(&core, route);
    connection.progress.enter(Stage::Body);
    connection.set_read_whole(request.body().is_end_stream());
    let asked = Asked::read(request.headers(), &core.shared.config.http.cors_origins, &core.request_ids);
    let spare = asked.request_id().clone();
    let traced = Traced::begin(&core, route, request.headers(), &spare);
    let dispatched = dispatch(&core, &connection, route, request, asked, traced.as_ref());
    let mut response = match AssertUnwindSafe(dispatched).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            core.count(Counter::Panics, 1);
            panicked(spare.clone())
        }
    };
    if let Some(traced) = &traced {
        traced.answered(&mut response);
    }
    if response.status().is_server_error()
        && let Route::Buy(event) = route
    {
        tell_failed(&core, event, &spare, traced.as_ref(), &response);
    }
    if connection.progress.stage().0 != Stage::Streaming {
        connection.progress.enter(Stage::Idle);
    }
    connection.set_answered();
    measured.answered(&response);
    Ok(response)
}

/// Has it written, but not too often.
#[cold]
fn tell_failed(
    core: &Core,
    event: EventId,
    request_id: &RequestId,
    traced: Option<&Traced<'_>>,
    response: &Response<HotBody>,
) {
    if let Some(suppressed) = core.failed_lines.pass(core.now_ms(), core.shared.config.log.hot_per_s) {
        core.shared.failed_buys.tell(FailedBuy {
            event,
            core: core.number,
            request_id: request_id.to_string(),
            trace_id: traced.map(Traced::trace_id),
            status: response.status(),
            reason: response.body().refused(),
            suppressed,
        });
    }
}

async fn dispatch(
    core: &Rc<Core>,
    connection: &Connection,
    route: Route,
    request: Request<Incoming>,
    asked: Asked,
    traced: Option<&Traced<'_>>,
) -> Response<HotBody> {
    if !one_host(&request) {
        return Answer { close: true, ..Answer::refuse(Reason::BadHost, &asked) }.into_response(asked, false);
    }
    let answer = match route {
        Route::Cold => match ambiguous(&request) {
            Some(detail) => Answer {
                close: true,
                ..Answer::refuse_with(Reason::Malformed, Some(detail), &[], None, &asked)
            },
            // What is not the buy is kept out of the future that every connection carries.
            None => return Box::pin(cross(core, connection, request, asked)).await,
        },
        _ if request.headers().contains_key(TRANSFER_ENCODING) => {
            // hyper drops Content-Length where both are sent, so a hot route cannot tell honest chunks from a smuggler's.
            let detail = Some("This route takes a body with Content-Length only.");
            Answer { close: true, ..Answer::refuse_with(Reason::Malformed, detail, &[], None, &asked) }
        }
        Route::Buy(event) => buy::buy(core, connection, event, request, &asked, traced).await,
        Route::Page(event) => match page(core, event, request.headers()) {
            Some(answer) => answer,
            None => return Box::pin(cross(core, connection, request, asked)).await,
        },
        Route::Mine(event) => {
            return Box::pin(order_status(core, connection, event, Which::Mine, request, asked)).await;
        }
        Route::Status(event, order) => {
            return Box::pin(order_status(core, connection, event, Which::One(order), request, asked)).await;
        }
        Route::Stream(event, order) => {
            return Box::pin(order_events(core, connection, event, order, request, asked)).await;
        }
    };
    answer.into_response(asked, core.draining())
}

async fn order_status(
    core: &Rc<Core>,
    connection: &Connection,
    event: EventId,
    which: Which,
    request: Request<Incoming>,
    asked: Asked,
) -> Response<HotBody> {
    let given = (request.uri().query(), request.headers());
    match working(connection, status::status(core, connection, event, which, given, &asked)).await {
        Some(answer) => answer.into_response(asked, core.draining()),
        None => cross(core, connection, request, asked).await,
    }
}

async fn order_events(
    core: &Rc<Core>,
    connection: &Connection,
    event: EventId,
    order: OrderId,
    mut request: Request<Incoming>,
    asked: Asked,
) -> Response<HotBody> {
    let opened = stream::open(core, connection, event, order, request.headers(), &asked);
    match working(connection, opened).await {
        Opened::Events(body) => stream::response(body, asked, connection, core.draining()),
        Opened::Answer(answer) => answer.into_response(asked, core.draining()),
        Opened::Elsewhere => {
            // The control API knows JSON only, but for this one route.
            request.headers_mut().remove(ACCEPT);
            cross(core, connection, request, asked).await
        }
    }
}

/// Runs `future` as the connection's work: it has a deadline of its own.
async fn working<T>(connection: &Connection, future: impl Future<Output = T>) -> T {
    connection.progress.enter(Stage::Working);
    future.await
}

/// Reads the whole body, up to `most` bytes.
pub async fn read_body(connection: &Connection, body: Incoming, most: usize) -> Result<Bytes, Reason> {
    // A status that Redis does not know has been worked on already and now goes on to the database: its body is awaited
    // with the body's deadline like every other.
    connection.progress.enter(Stage::Body);
    let mut body = body;
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Reason::Malformed)?.into_data() else { continue };
        let so_far = first.as_ref().map_or(0, Bytes::len) + rest.len();
        if so_far + data.len() > most {
            return Err(Reason::BodyTooLarge);
        }
        match &first {
            None => first = Some(data),
            Some(_) => rest.extend_from_slice(&data),
        }
    }
    connection.set_read_whole(true);
    connection.progress.enter(Stage::Working);
    Ok(match first {
        Some(first) if rest.is_empty() => first,
        Some(first) => [&first[..], &rest[..]].concat().into(),
        None => Bytes::new(),
    })
}

/// Reads a body that has come with its head, without waiting for one that has not: a refusal needs no body, and a slow one
/// must not keep it back. Only a connection whose request is read to its end may go on to the fast lane.
pub async fn read_what_came(connection: &Connection, request: Request<Incoming>) {
    if request.headers().contains_key(EXPECT) {
        return;
    }
    let mut body = request.into_body();
    for _ in 0..READ_ROUNDS {
        loop {
            match body.frame().now_or_never() {
                Some(Some(Ok(_))) => {}
                Some(Some(Err(_))) => return,
                Some(None) => return connection.set_read_whole(true),
                None => break,
            }
        }
        yield_now().await;
    }
}

/// Lets hyper, which polls this from inside its own poll, go on once.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Bytes that the request says it will send; 0 without a body.
pub fn announced(headers: &HeaderMap) -> u64 {
    headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}

/// HTTP/1.1 wants exactly one Host (RFC 9112, 3.2); hyper lets none and several through.
fn one_host(request: &Request<Incoming>) -> bool {
    let hosts = request.headers().get_all(HOST).iter().count();
    hosts == 1 || (hosts == 0 && request.version() == Version::HTTP_10)
}

/// Why two readers could take the request for different ones: what follows it would then be a request to one of them and a
/// body, or a tunnel, to the other. hyper takes any list of codings that ends in `chunked`, and any target that is a URI.
fn ambiguous(request: &Request<Incoming>) -> Option<&'static str> {
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    if codings.next().is_some_and(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
        || codings.next().is_some()
    {
        return Some("The one transfer coding that is taken is chunked, once.");
    }
    if request.method() == Method::CONNECT {
        return Some("This server is no proxy.");
    }
    let path = request.uri().path();
    let whole_server = path == "*" && request.method() == Method::OPTIONS;
    (!path.starts_with('/') && !whole_server).then_some("The target must be a path or an absolute URI.")
}

/// `None` for an event the table does not hold: unknown, or closed long ago and known to the database only.
fn page(core: &Rc<Core>, event: EventId, headers: &HeaderMap) -> Option<Answer> {
    let page = core.event(event)?.event().page.load_full();
    let matches = headers.get(IF_NONE_MATCH).is_some_and(|tags| {
        tags.as_bytes() == b"*" || memchr::memmem::find(tags.as_bytes(), page.etag.as_bytes()).is_some()
    });
    let etag = Some(page.etag.clone());
    Some(if matches {
        Answer { status: StatusCode::NOT_MODIFIED, etag, ..Answer::default() }
    } else {
        Answer { etag, ..Answer::ok(page.body.clone()) }
    })
}

/// Hands a request over to the control API.
async fn cross(
    core: &Rc<Core>,
    connection: &Connection,
    request: Request<Incoming>,
    asked: Asked,
) -> Response<HotBody> {
    let most = core.shared.config.http.body_bytes_max;
    let (mut head, body) = request.into_parts();
    if announced(&head.headers) > most as u64 {
        return Answer { close: true, ..Answer::refuse(Reason::BodyTooLarge, &asked) }
            .into_response(asked, false);
    }
    let body = match read_body(connection, body, most).await {
        Ok(body) => body,
        Err(reason) => {
            return Answer { close: true, ..Answer::refuse(reason, &asked) }.into_response(asked, false);
        }
    };
    head.headers.insert(X_REQUEST_ID, asked.request_id().clone().into_value());
    head.extensions.insert(ClientAddress(buy::client_address(core, connection, &head.headers)));
    match core.shared.bridge.cross(Request::from_parts(head, body)).await {
        Ok(response) => {
            let mut response = response.map(|body| match body {
                ColdBody::Full(bytes) => HotBody::full(bytes),
                ColdBody::Stream(pieces) => {
                    HotBody::Stream { pieces, _streaming: Streaming::begin(connection.progress.clone()) }
                }
            });
            if core.draining() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
        Err(not_crossed) => {
            let reason = match not_crossed {
                NotCrossed::Full => {
                    core.count(Counter::BridgeFull, 1);
                    Reason::Overloaded
                }
                NotCrossed::Broken => Reason::Internal,
            };
            Answer::refuse(reason, &asked).into_response(asked, core.draining())
        }
    }
}

/// The answer after a panic: nothing of the request is trusted, its connection closes.
fn panicked(request_id: RequestId) -> Response<HotBody> {
    let body = crate::envelope::error(Reason::Internal, None, &[], None, None);
    let mut response = Response::new(HotBody::answer(body.into(), Some(Reason::Internal)));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(crate::envelope::JSON));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(X_REQUEST_ID, request_id.into_value());
    response
}
