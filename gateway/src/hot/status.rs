//! What has become of an order, from the state kept beside the buyer's claim: polled by every buyer, so never from SQL
//! while the order is young. With `?wait=10s` the answer is held back until the state is news.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use spike_domain::{ClaimState, EventId, OrderId, Reason, UserId};
use spike_stock::Claim;
use spike_telemetry::Counter;

use super::answer::{Answer, Asked};
use super::connection::Connection;
use super::line::Look;
use super::waiting::{self, Kind, News};
use super::{Core, buy};
use crate::local::EventLocal;
use crate::wait::{known, order_tag, wait_of};
use crate::{envelope, sse};

/// Which order of the user is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The claim, or the last order that ended without one.
    Mine,
    /// This one.
    One(OrderId),
}

/// An order as the ledger shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    claim: Claim,
    state: ClaimState,
    /// While queued: see [`Shown::view`].
    position: Option<u64>,
}

/// `GET …/orders/mine` and `GET …/orders/{order}`; `None` when only the database can tell.
pub async fn status(
    core: &Rc<Core>,
    connection: &Connection,
    event: EventId,
    which: Which,
    (query, headers): (Option<&str>, &HeaderMap),
    asked: &Asked,
) -> Option<Answer> {
    if only_in_database(core, event) {
        return None;
    }
    let (view, user) = match admit(core, connection, event, headers, asked) {
        Ok(admitted) => admitted,
        Err(answer) => return Some(answer),
    };
    let wait = match wait_of(query) {
        Ok(wait) => wait,
        Err(field) => return Some(Answer::refuse_with(Reason::Validation, None, &[field], None, asked)),
    };
    let Ok(mut look) = core.look(&view, user).await else { return Some(unavailable(core, asked)) };
    if let Some(wait) = wait
        && let Some(shown) = which.shown(&look)
        && !shown.news(headers)
        && !which.over(&shown)
    {
        match outwait(core, &view, user, which, (wait, look), headers).await {
            Ok(later) => look = later,
            Err(()) => return Some(unavailable(core, asked)),
        }
        // A token may have been revoked while its bearer waited.
        if let Err(answer) = buy::authenticate(core, headers, core.shared.clock.read(), asked) {
            return Some(answer);
        }
    }
    match (which.shown(&look), which) {
        (Some(shown), _) => Some(shown.answer(event, headers)),
        (None, Which::Mine) => Some(Answer::refuse(Reason::NotFound, asked)),
        (None, Which::One(_)) => None,
    }
}

/// Whether the event is none that this gateway watches: unknown, or closed long ago and known to the database only.
pub fn only_in_database(core: &Core, event: EventId) -> bool {
    core.event(event).is_none() && core.shared.events.complete()
}

/// Token and buckets of somebody who asks for an order.
pub fn admit(
    core: &Core,
    connection: &Connection,
    event: EventId,
    headers: &HeaderMap,
    asked: &Asked,
) -> Result<(Arc<EventLocal>, UserId), Answer> {
    let batch = core.event(event).ok_or_else(|| Answer::refuse(core.unknown_event(), asked))?;
    let now = core.shared.clock.read();
    let early = |met| buy::too_early(core, met, asked);
    let address = buy::client_address(core, connection, headers);
    core.shared.limits.address(address, now.mono_ns).map_err(early)?;
    let user = buy::authenticate(core, headers, now, asked)?;
    core.shared.limits.user(user, now.mono_ns).map_err(early)?;
    Ok((batch.event(), user))
}

/// 503: the ledger cannot be asked.
pub fn unavailable(core: &Core, asked: &Asked) -> Answer {
    core.count(Counter::Unavailable, 1);
    Answer::refuse(Reason::Unavailable, asked)
}

impl Which {
    /// Whether nothing can follow what was shown: of an order that has ended; in place of somebody's order in a sale
    /// there may come another.
    fn over(self, shown: &Shown) -> bool {
        matches!(self, Self::One(_)) && shown.ended()
    }

    /// The order as this look shows it.
    pub fn shown(self, look: &Look) -> Option<Shown> {
        let claim = match self {
            Self::Mine => look.claim.or(look.ended),
            Self::One(order) => {
                [look.claim, look.ended].into_iter().flatten().find(|claim| claim.order == order)
            }
        }?;
        let state = claim.state?;
        let queued = state == ClaimState::Queued;
        // What was accepted a moment ago may not be counted yet where the two were not read in one step.
        let position = look.inflight.filter(|_| queued).map(|units| units.max(claim.quantity.into()));
        Some(Shown { claim, state, position })
    }
}

impl Shown {
    /// The state's word.
    pub fn status(&self) -> &'static str {
        self.state.as_str()
    }

    /// Whether nothing follows this state.
    pub fn ended(&self) -> bool {
        sse::ended(self.status())
    }

    /// `queue_position` is a bound, in units: all that is accepted and not written yet, this order included. At most so
    /// many units are written before this order is; what was accepted after it is counted as well, because the ledger
    /// does not keep a place for each order.
    pub fn view(&self, event: EventId) -> Value {
        let quantity = (self.claim.quantity > 0).then_some(self.claim.quantity);
        let mut view = json!({ "order_id": self.claim.order, "event_id": event, "status": self.status(),
            "quantity": quantity });
        if let Some(position) = self.position {
            view["queue_position"] = position.into();
        }
        view
    }

    fn tag(&self) -> String {
        order_tag(self.claim.order, self.status())
    }

    /// Whether this is something else than the client knows; one that says nothing of it knows that it is queued.
    fn news(&self, headers: &HeaderMap) -> bool {
        !known(headers, &self.tag()).unwrap_or(self.state == ClaimState::Queued)
    }

    fn answer(&self, event: EventId, headers: &HeaderMap) -> Answer {
        let (etag, own) = (Some(self.tag()), true);
        if known(headers, &self.tag()) == Some(true) {
            return Answer { status: StatusCode::NOT_MODIFIED, etag, own, ..Answer::default() };
        }
        Answer { etag, own, ..Answer::ok(envelope::ok(self.view(event), None).into()) }
    }
}

/// Waits until the order's state is news or the time is over, and says what the ledger shows then. Where no place is free
/// the wait is over at once. Errors: the ledger cannot be asked.
async fn outwait(
    core: &Rc<Core>,
    view: &EventLocal,
    user: UserId,
    which: Which,
    (wait, seen): (Duration, Look),
    headers: &HeaderMap,
) -> Result<Look, ()> {
    let Ok(place) = waiting::enter(core, Kind::Poll, view.def.id, user, seen) else { return Ok(seen) };
    let news = async {
        loop {
            match place.next().await {
                News::Look(look) if which.shown(&look).is_some_and(|shown| !shown.news(headers)) => {}
                News::Look(look) => return Some(look),
                News::Heartbeat => {}
                News::Over => return None,
            }
        }
    };
    match monoio::time::timeout(wait, news).await {
        Ok(Some(look)) => Ok(look),
        ended => {
            core.count(Counter::LongPollsTimedOut, u64::from(ended.is_err()));
            core.look(view, user).await.map_err(drop)
        }
    }
}
