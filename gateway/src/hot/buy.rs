//! `POST /api/v1/spike/events/{id}/orders`: the buy, decided from local memory until only the ledger can say yes.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;

use http::{HeaderMap, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use spike_domain::{EventId, EventState, LedgerState, OrderId, Phase, Reason, UserId};
use spike_metrics::words::Stage;
use spike_stock::Refused;
use spike_stock::reserve::{Buyer, Decision};
use spike_telemetry::Counter;

use super::Core;
use super::answer::{Answer, Asked};
use super::batch::{Batch, Ruling, Undecided};
use super::connection::Connection;
use super::listener::canonical;
use super::measure::Stages;
use super::press::{self, BadPress};
use super::service::{announced, read_body, read_what_came};
use super::traced::Traced;
use crate::envelope::FieldError;
use crate::local::clock::Reading;
use crate::local::{EventLocal, Sale};
use crate::rate_limit::Met;
use crate::tokens::bearer;

/// Answers a buy.
pub async fn buy(
    core: &Rc<Core>,
    connection: &Connection,
    event: EventId,
    request: Request<Incoming>,
    asked: &Asked,
    traced: Option<&Traced<'_>>,
) -> Answer {
    let Some(batch) = core.event(event) else { return Answer::refuse(core.unknown_event(), asked) };
    let now = core.shared.clock.read();
    let view = batch.event();
    let stages = Stages::begin(core, now.mono_ns);
    let refused = refused_locally(core, &view, now, request.headers(), asked);
    stages.done(Stage::Flag);
    if let Some(answer) = refused {
        if answer.status == StatusCode::CONFLICT && core.shared.config.hot.fast_lane {
            // Whoever presses once more is answered there.
            read_what_came(connection, request).await;
            connection.send_to_lane();
        }
        return answer;
    }
    let user = match admitted(core, connection, (&view, now), request.headers(), asked, &stages) {
        Ok(user) => user,
        Err(answer) => return answer,
    };
    let buyer = match read_press(connection, &view, user, now, request, asked).await {
        Ok(buyer) => buyer,
        Err(answer) => return answer,
    };
    stages.done(Stage::Body);
    let answer = reserve(core, &batch, event, buyer, asked, traced).await;
    stages.done(Stage::Reserve);
    answer
}

/// The user of a valid access token; 401 otherwise, one answer for every kind of bad token. 503 while this process does not
/// know yet what has been revoked.
pub fn authenticate(core: &Core, headers: &HeaderMap, now: Reading, asked: &Asked) -> Result<UserId, Answer> {
    if !core.shared.tokens.revocations().loaded() {
        core.count(Counter::Unavailable, 1);
        return Err(Answer::refuse(Reason::Recovering, asked));
    }
    match bearer(headers).and_then(|token| core.access(token, now.unix_s())) {
        Some(access) => Ok(access.user),
        None => {
            core.count(Counter::RejectedAuth, 1);
            Err(Answer::refuse(Reason::Unauthorized, asked))
        }
    }
}

/// 429 with the limit that was met and the time to wait.
pub fn too_early(core: &Core, met: Met, asked: &Asked) -> Answer {
    core.count(Counter::RejectedLimit, 1);
    core.metrics.denied(met.policy.name);
    let (limit, retry_after_s) = (Some(Box::new(met.policy)), Some(met.wait_s()));
    Answer { limit, retry_after_s, ..Answer::refuse(Reason::TooManyRequests, asked) }
}

/// Whom this request is limited as: the peer, or the address that a trusted proxy names in the configured header.
pub fn client_address(core: &Core, connection: &Connection, headers: &HeaderMap) -> IpAddr {
    let http = &core.shared.config.http;
    let Some(name) = &http.client_ip_header else { return connection.peer };
    if !http.trusted_proxies.iter().any(|block| block.contains(connection.peer)) {
        return connection.peer;
    }
    let lists: Vec<&[u8]> = headers.get_all(name.as_str()).iter().map(http::HeaderValue::as_bytes).collect();
    named_client(&lists, |hop| http.trusted_proxies.iter().any(|block| block.contains(hop)))
        .unwrap_or(connection.peer)
}

/// The right-most address that is not `ours` was written by the outermost of our proxies; what stands left of it was
/// written by anybody. A hop that is no address ends the search, or it would hide the one that a proxy vouches for.
fn named_client(lists: &[&[u8]], ours: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let hops = lists.iter().rev().flat_map(|list| list.rsplit(|&byte| byte == b','));
    hops.map_while(|hop| Some(canonical(std::str::from_utf8(hop).ok()?.trim().parse().ok()?)))
        .find(|hop| !ours(*hop))
}

/// Flag, window and state: what local memory can refuse before it knows who asks.
fn refused_locally(
    core: &Core,
    view: &EventLocal,
    now: Reading,
    headers: &HeaderMap,
    asked: &Asked,
) -> Option<Answer> {
    let keyed = headers.contains_key("idempotency-key");
    let refusal = |counter, reason, body: &bytes::Bytes, data| {
        core.count(counter, 1);
        if asked.problem() {
            Answer::refuse_with(reason, None, &[], Some(data), asked)
        } else {
            Answer::prebuilt(reason, body.clone())
        }
    };
    // A winner whose 202 was lost comes back with its key: it must still find its order.
    if !keyed && view.sold_out.ask(now.mono_ms()) == Sale::SoldOut {
        return Some(refusal(
            Counter::SoldOut,
            Reason::SoldOut,
            &view.refusals.sold_out,
            serde_json::Value::Null,
        ));
    }
    let closed =
        view.state == EventState::Closed || view.ledger.is_some_and(|l| l.state == LedgerState::Closed);
    match view.def.window.phase(now.unix_ms) {
        Phase::NotStarted if !closed => {
            let data = json!({ "starts_at": spike_domain::clock::rfc3339(view.def.window.starts_at_ms) });
            Some(refusal(Counter::RejectedWindow, Reason::NotStarted, &view.refusals.not_started, data))
        }
        Phase::Running if !closed => not_selling(view).map(|reason| {
            core.count(Counter::Unavailable, 1);
            Answer::refuse(reason, asked)
        }),
        _ => {
            let data = json!({ "ended_at": spike_domain::clock::rfc3339(view.def.window.ends_at_ms) });
            Some(refusal(Counter::RejectedWindow, Reason::Ended, &view.refusals.ended, data))
        }
    }
}

/// Why an event inside its window does not sell now.
fn not_selling(view: &EventLocal) -> Option<Reason> {
    match view.ledger.map(|ledger| ledger.state) {
        _ if view.state == EventState::Paused => Some(Reason::Paused),
        Some(LedgerState::Open) => None,
        Some(LedgerState::Paused) => Some(Reason::Paused),
        Some(LedgerState::Closed) => Some(Reason::Ended),
        Some(LedgerState::Recovering) | None => Some(Reason::Recovering),
    }
}

/// Token and buckets; cheap refusals first, the one that costs a signature in the middle.
fn admitted(
    core: &Core,
    connection: &Connection,
    (view, now): (&EventLocal, Reading),
    headers: &HeaderMap,
    asked: &Asked,
    stages: &Stages<'_>,
) -> Result<UserId, Answer> {
    let limits = &core.shared.limits;
    let early = |met| too_early(core, met, asked);
    limits.address(client_address(core, connection, headers), now.mono_ns).map_err(early)?;
    stages.done(Stage::Bucket);
    let user = authenticate(core, headers, now, asked)?;
    stages.done(Stage::Auth);
    limits.press(user, view.def.id, now.mono_ns).map_err(early)?;
    limits.user(user, now.mono_ns).map_err(early)?;
    limits.global(now.mono_ns).map_err(early)?;
    limits.event(&view.bucket, now.mono_ns).map_err(early)?;
    stages.done(Stage::Bucket);
    if core.pending.get() >= core.shared.config.hot.pending_max {
        core.count(Counter::Unavailable, 1);
        return Err(Answer::refuse(Reason::Overloaded, asked));
    }
    Ok(user)
}

async fn read_press(
    connection: &Connection,
    view: &EventLocal,
    user: UserId,
    now: Reading,
    request: Request<Incoming>,
    asked: &Asked,
) -> Result<Buyer, Answer> {
    let (head, body) = request.into_parts();
    if announced(&head.headers) > press::BODY_MAX as u64 {
        return Err(Answer { close: true, ..Answer::refuse(Reason::BodyTooLarge, asked) });
    }
    let bytes = read_body(connection, body, press::BODY_MAX)
        .await
        .map_err(|reason| Answer { close: true, ..Answer::refuse(reason, asked) })?;
    let quantity = press::quantity(&head.headers, &bytes).map_err(|bad| bad_press(bad, asked))?;
    if quantity > view.def.per_user_limit {
        return Err(over_limit(view, asked));
    }
    let key = press::key_digest(&head.headers).map_err(|bad| bad_press(bad, asked))?;
    Ok(Buyer { user, order: OrderId::new(now.unix_ms), quantity, key, trace: None })
}

async fn reserve(
    core: &Rc<Core>,
    batch: &Rc<Batch>,
    event: EventId,
    mut buyer: Buyer,
    asked: &Asked,
    traced: Option<&Traced<'_>>,
) -> Answer {
    let (order, quantity) = (buyer.order, buyer.quantity);
    if let Some(traced) = traced {
        buyer.trace = traced.submitted(order);
    }
    let outcome = {
        let _under_way = UnderWay::begin(&core.pending);
        fail::fail_point!("hot-reserve");
        batch.submit(core, buyer).await
    };
    // Only where the ledger has answered.
    let has_answered = matches!(outcome, Some(Ok(_) | Err(Undecided::Refused(_) | Undecided::Fenced)));
    if let Some(traced) = traced.filter(|_| has_answered) {
        traced.decided();
    }
    match outcome {
        Some(Ok(ruling)) => ruled(core, batch, event, order, quantity, ruling, asked),
        Some(Err(undecided)) => undecided_answer(core, undecided, event, order, asked),
        // The call's task has panicked: the ledger may have decided.
        None => undecided_answer(core, Undecided::Unknown, event, order, asked),
    }
}

#[allow(clippy::too_many_arguments, reason = "every one of them is part of some answer")]
fn ruled(
    core: &Core,
    batch: &Batch,
    event: EventId,
    order: OrderId,
    quantity: u32,
    ruling: Ruling,
    asked: &Asked,
) -> Answer {
    match ruling.decision {
        Decision::Accepted => {
            core.count(Counter::Accepted, 1);
            Answer::queued(event, order, false)
        }
        Decision::Known(claim) if claim.quantity == quantity => Answer::queued(event, claim.order, true),
        Decision::Known(_) => Answer::refuse(Reason::IdempotencyMismatch, asked),
        Decision::AlreadyBought(claim) => {
            core.count(Counter::AlreadyBought, 1);
            let status = claim.state.map(spike_domain::ClaimState::as_str);
            Answer::refuse_naming(Reason::AlreadyBought, event, claim.order, status, asked)
        }
        Decision::OverLimit => over_limit(&batch.event(), asked),
        Decision::Short if ruling.stock == 0 => {
            core.count(Counter::SoldOut, 1);
            if asked.problem() {
                return Answer::refuse(Reason::SoldOut, asked);
            }
            Answer::prebuilt(Reason::SoldOut, batch.event().refusals.sold_out.clone())
        }
        Decision::Short => {
            let data = json!({ "stock": ruling.stock });
            Answer::refuse_with(Reason::InsufficientStock, None, &[], Some(data), asked)
        }
    }
}

fn undecided_answer(
    core: &Core,
    undecided: Undecided,
    event: EventId,
    order: OrderId,
    asked: &Asked,
) -> Answer {
    let reason = match undecided {
        Undecided::Unknown => {
            core.count(Counter::OutcomeUnknown, 1);
            return Answer::refuse_naming(Reason::OutcomeUnknown, event, order, None, asked);
        }
        Undecided::Refused(Refused::Full) => Reason::OutboxFull,
        Undecided::Refused(Refused::Paused) => Reason::Paused,
        Undecided::Refused(Refused::Closed) => Reason::Ended,
        Undecided::Refused(_) | Undecided::Fenced => Reason::Recovering,
        Undecided::Down => Reason::Unavailable,
        Undecided::Late => Reason::Overloaded,
    };
    core.count(Counter::Unavailable, 1);
    Answer::refuse(reason, asked)
}

fn over_limit(view: &EventLocal, asked: &Asked) -> Answer {
    let message = format!("must be an integer from 1 to {}", view.def.per_user_limit);
    Answer::refuse_with(Reason::Validation, None, &[FieldError::new("quantity", message)], None, asked)
}

fn bad_press(bad: BadPress, asked: &Asked) -> Answer {
    let errors: Vec<FieldError> = bad.field.into_iter().collect();
    Answer::refuse_with(bad.reason, bad.detail, &errors, None, asked)
}

/// A buy that is counted while it waits, however its waiting ends.
struct UnderWay<'a>(&'a Cell<usize>);

impl<'a> UnderWay<'a> {
    fn begin(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_whom_the_outermost_proxy_of_ours_names() {
        let ours = |hop: IpAddr| matches!(hop, IpAddr::V4(v4) if v4.octets()[0] == 10);
        let cases: &[(&[&str], Option<&str>)] = &[
            (&[], None),
            (&["1.2.3.4"], Some("1.2.3.4")),
            (&["9.9.9.9, 1.2.3.4"], Some("1.2.3.4")),
            (&["9.9.9.9, 1.2.3.4, 10.0.0.2,10.0.0.1"], Some("1.2.3.4")),
            (&["nonsense, 1.2.3.4"], Some("1.2.3.4")),
            (&["nonsense, 1.2.3.4", "10.0.0.1"], Some("1.2.3.4")),
            (&["9.9.9.9", "1.2.3.4"], Some("1.2.3.4")),
            (&["1.2.3.4, nonsense, 10.0.0.1"], None),
            (&["1.2.3.4, "], None),
            (&["1.2.3.4", "\u{ff}"], None),
            (&["10.0.0.1"], None),
            (&["::ffff:1.2.3.4, ::ffff:10.0.0.1"], Some("1.2.3.4")),
            (&["2001:db8::1"], Some("2001:db8::1")),
        ];
        for (lists, want) in cases {
            let lists: Vec<&[u8]> = lists.iter().map(|list| list.as_bytes()).collect();
            assert_eq!(named_client(&lists, ours), want.map(|text| text.parse().unwrap()), "{lists:?}");
        }
    }
}
