//! `POST /admin/spike/events/{event}/reconcile`: compares an event's ledger with the database and says where they differ.
//! A report only: nothing is changed.
//!
//! The ledger is read before the database: an order it knew then is in the outbox or has a row later, because an entry goes
//! only after its rows have come.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use serde_json::json;
use spike_domain::{Conservation, EntryId, EventId, EventState, OrderId, Reason, UserId};
use spike_store::EventAudit;

use super::conservation::{self, Reading};
use super::events::{event_view, found};
use super::{Admin, Answer, Control, Named, Refusal, Result};

/// Orders named as examples of a difference.
const EXAMPLES_MAX: usize = 20;
/// Entries read at once.
const ENTRIES_PER_READ: usize = 200;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    /// What, in a word.
    pub kind: &'static str,
    /// How much of it, in units, or in orders or users where the kind says so.
    pub count: i64,
    /// Some of the orders concerned.
    pub examples: Vec<OrderId>,
}

/// S, R, L, F, K, whether they are of one moment, and every difference found.
pub(super) async fn reconcile(
    _: Admin,
    State(control): State<Arc<Control>>,
    Named(event): Named<EventId>,
) -> Result<Answer> {
    let row = found(&control, event).await?;
    if row.state == EventState::Scheduled {
        return Err(Refusal::new(Reason::Conflict).detail("The event has not been warmed up."));
    }
    let reading = conservation::read(&control, event).await?;
    let (lost, unclaimed) = strays(&control, event).await?;
    let audit = control.store.audit_event(event).await?;
    let mut differences = in_figures(&reading, &audit);
    differences.extend(in_orders("lost-orders", &lost));
    differences.extend(in_orders("orders-without-a-claim", &unclaimed));
    Ok(Answer::ok(json!({
        "event": event_view(&row),
        "conservation": reading.figures,
        "exact": reading.exact,
        "returned": audit.figures.returned,
        "differences": differences,
    })))
}

/// What the figures alone show. Between two servers nothing is compared that may just have moved.
fn in_figures(reading: &Reading, audit: &EventAudit) -> Vec<Difference> {
    let (of, rows) = (reading.figures, &audit.figures);
    let mut found = Vec::new();
    let mut note = |kind, count: i64| {
        if count != 0 {
            found.push(Difference { kind, count, examples: Vec::new() });
        }
    };
    if reading.exact {
        note("drift", of.drift());
        let Conservation { S, R, L, F, K } = of;
        note("units-below-zero", [S, R, L, F, K].into_iter().filter(|figure| *figure < 0).sum());
        // What has gone back to the inventory is still among R and K.
        note("units-returned-and-held", (signed(rows.returned) - R - K).max(0));
    }
    note("reserved-miscounted", signed(rows.reserved) - signed(rows.live().units));
    note("paid-miscounted", signed(rows.paid) - signed(rows.of(spike_domain::OrderStatus::Paid).units));
    note("units-oversold", (signed(rows.live().units + rows.returned) - signed(rows.total)).max(0));
    note("users-with-two-live-orders", signed(audit.users_with_more_than_one_live));
    found
}

fn in_orders(kind: &'static str, orders: &[OrderId]) -> Option<Difference> {
    let examples = orders.iter().copied().take(EXAMPLES_MAX).collect();
    let count = i64::try_from(orders.len()).unwrap_or(i64::MAX);
    (count > 0).then_some(Difference { kind, count, examples })
}

/// Orders that only the ledger knows, and live ones whose claim it does not have.
async fn strays(control: &Control, event: EventId) -> Result<(Vec<OrderId>, Vec<OrderId>)> {
    let known: HashSet<OrderId> =
        control.ledger.known_orders(event).await?.into_iter().map(|order| order.order).collect();
    let waiting = in_outbox(control, event).await?;
    let rows = control.store.all_orders(event).await?;
    let written: HashSet<OrderId> = rows.iter().map(|row| row.order).collect();
    let lost = known.iter().filter(|order| !written.contains(order) && !waiting.contains(order));
    let mut lost: Vec<OrderId> = lost.copied().collect();
    lost.sort_unstable();
    let suspects = rows.iter().filter(|row| row.status.live() && !known.contains(&row.order));
    let mut unclaimed = Vec::new();
    for row in suspects {
        // Accepted or ended since the ledger was read?
        if !shows(control, event, row.user, row.order).await? {
            unclaimed.push(row.order);
        }
    }
    Ok((lost, unclaimed))
}

async fn in_outbox(control: &Control, event: EventId) -> Result<HashSet<OrderId>> {
    let (mut orders, mut after) = (HashSet::new(), None::<EntryId>);
    loop {
        let page = control.ledger.entries(event, after, ENTRIES_PER_READ).await?;
        after = page.entries.last().map(|entry| entry.id);
        orders.extend(page.entries.iter().flat_map(|entry| &entry.orders).map(|order| order.order));
        if page.next.is_none() {
            return Ok(orders);
        }
    }
}

async fn shows(control: &Control, event: EventId, user: UserId, order: OrderId) -> Result<bool> {
    let (claim, ended) = control.ledger.lookup(event, user).await?;
    Ok([claim, ended].into_iter().flatten().any(|claim| claim.order == order))
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use spike_store::{EventFigures, Tally};

    use super::*;

    /// Ten units: two paid, one pending, one returned.
    fn sound() -> (Reading, EventAudit) {
        let tally = |units| Tally { orders: units, units };
        let rows = [tally(1), tally(2), Tally::default(), Tally::default(), Tally::default()];
        let open_markers = Tally::default();
        let figures = EventFigures { total: 10, reserved: 3, paid: 2, returned: 1, open_markers, rows };
        let audit = EventAudit { figures, users_with_more_than_one_live: 0 };
        (Reading { figures: Conservation { S: 10, R: 7, L: 3, F: 0, K: 0 }, exact: true }, audit)
    }

    #[test]
    fn every_difference_is_named_with_its_size() {
        let check = |change: &dyn Fn(&mut Reading, &mut EventAudit), want: &[(&str, i64)]| {
            let (mut reading, mut audit) = sound();
            change(&mut reading, &mut audit);
            let found: Vec<_> =
                in_figures(&reading, &audit).into_iter().map(|found| (found.kind, found.count)).collect();
            assert_eq!(found, want);
        };
        check(&|_, _| (), &[]);
        check(&|reading, _| reading.figures.R = 5, &[("drift", 2)]);
        check(&|reading, _| (reading.figures.R, reading.exact) = (5, false), &[]);
        check(&|reading, _| (reading.figures.R, reading.figures.F) = (9, -2), &[("units-below-zero", -2)]);
        check(&|_, audit| audit.figures.reserved = 4, &[("reserved-miscounted", 1)]);
        check(&|_, audit| audit.figures.paid = 1, &[("paid-miscounted", -1)]);
        check(
            &|_, audit| audit.figures.returned = 8,
            &[("units-returned-and-held", 1), ("units-oversold", 1)],
        );
        check(&|_, audit| audit.users_with_more_than_one_live = 2, &[("users-with-two-live-orders", 2)]);
        assert_eq!(in_orders("lost-orders", &[]), None);
        let many: Vec<OrderId> = (0..30).map(OrderId::new).collect();
        let lost = in_orders("lost-orders", &many).unwrap();
        assert_eq!((lost.count, lost.examples.len()), (30, EXAMPLES_MAX));
    }
}
