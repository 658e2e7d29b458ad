//! What has become of an order, from the state kept beside the buyer's claim: polled by every buyer, so never from SQL
//! while the order is young.

use std::rc::Rc;

use http::HeaderMap;
use serde_json::json;
use spike_domain::{EventId, OrderId, Reason, UserId};
use spike_stock::Claim;
use spike_telemetry::Counter;

use super::answer::{Answer, Asked};
use super::connection::Connection;
use super::{Core, buy};
use crate::envelope;
use crate::local::EventLocal;

/// `GET …/orders/mine`: the user's claim, or its last order that ended without one.
pub async fn mine(
    core: &Rc<Core>,
    connection: &Connection,
    event: EventId,
    headers: &HeaderMap,
    asked: &Asked,
) -> Answer {
    let (view, user) = match admit(core, connection, event, headers, asked) {
        Ok(admitted) => admitted,
        Err(answer) => return answer,
    };
    match core.line.lookup(&view, user).await {
        Err(_) => unavailable(core, asked),
        Ok(found) => match found.claim.or(found.ended) {
            Some(claim) => shown(event, &claim),
            None => Answer::refuse(Reason::NotFound, asked),
        },
    }
}

/// `GET …/orders/{order}`: `None` when Redis does not know it as this user's, so that the database must be asked.
pub async fn order(
    core: &Rc<Core>,
    connection: &Connection,
    event: EventId,
    order: OrderId,
    headers: &HeaderMap,
    asked: &Asked,
) -> Option<Answer> {
    core.event(event)?; // closed long ago: only the database knows
    let (view, user) = match admit(core, connection, event, headers, asked) {
        Ok(admitted) => admitted,
        Err(answer) => return Some(answer),
    };
    let found = match core.line.lookup(&view, user).await {
        Ok(found) => found,
        Err(_) => return Some(unavailable(core, asked)),
    };
    let claim = [found.claim, found.ended].into_iter().flatten().find(|claim| claim.order == order)?;
    Some(shown(event, &claim))
}

fn admit(
    core: &Core,
    connection: &Connection,
    event: EventId,
    headers: &HeaderMap,
    asked: &Asked,
) -> Result<(std::sync::Arc<EventLocal>, UserId), Answer> {
    let batch = core.event(event).ok_or_else(|| Answer::refuse(core.unknown_event(), asked))?;
    let now = core.shared.clock.read();
    let early = |wait_ns| buy::too_early(core, wait_ns, asked);
    let address = buy::client_address(core, connection, headers);
    core.shared.limits.address(address, now.mono_ns).map_err(early)?;
    let user = buy::authenticate(core, headers, now, asked)?;
    core.shared.limits.user(user, now.mono_ns).map_err(early)?;
    Ok((batch.event(), user))
}

fn shown(event: EventId, claim: &Claim) -> Answer {
    let status = claim.state.map(spike_domain::ClaimState::as_str);
    let quantity = (claim.quantity > 0).then_some(claim.quantity);
    let data = json!({ "order_id": claim.order, "event_id": event, "status": status, "quantity": quantity });
    Answer::ok(envelope::ok(data, None).into())
}

fn unavailable(core: &Core, asked: &Asked) -> Answer {
    core.count(Counter::Unavailable, 1);
    Answer::refuse(Reason::Unavailable, asked)
}
