//! I1, I2 and I3: units add up, none is sold twice, and nobody holds two.

use std::collections::{BTreeMap, HashMap};

use spike_domain::{Conservation, OrderId, OrderStatus, UserId};

use super::{Case, Findings, Invariant};

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    conservation(case, found);
    claims(case, found);
}

fn conservation(case: &Case<'_>, found: &mut Findings) {
    let facts = case.facts;
    let units = |of: fn(OrderStatus) -> bool| -> i64 {
        facts.rows.iter().filter(|row| of(row.status)).map(|row| i64::from(row.quantity)).sum()
    };
    let (live, paid) = (units(OrderStatus::live), units(|status| status == OrderStatus::Paid));
    let open = facts.markers.iter().filter(|marker| marker.done_at_ms.is_none());
    let open: i64 = open.map(|marker| i64::from(marker.quantity)).sum();
    let figures =
        Conservation { S: facts.total, R: facts.ledger.stock, L: live, F: facts.ledger.inflight, K: open };
    let Conservation { S, R, L, F, K } = figures;
    if !figures.holds() {
        found.add(Invariant::I1, "S = R + L + F + K does not hold", format!("{S} and {R} + {L} + {F} + {K}"));
    }
    if !figures.at_rest() {
        found.add(Invariant::I1, "not drained", format!("F = {F}, K = {K}"));
    }
    if facts.ledger.entries > 0 {
        found.add(Invariant::I1, "entries left in the outbox", facts.ledger.entries);
    }
    if (live, paid) != (facts.reserved, facts.paid) {
        let text = format!("reserved {} paid {}, rows {live} and {paid}", facts.reserved, facts.paid);
        found.add(Invariant::I1, "the event's counters are not what its rows hold", text);
    }
    if L + F + K > S {
        found.add(Invariant::I2, "more promised than there is", format!("{L} + {F} + {K} of {S}"));
    }
}

/// Live rows and claims are the same set, one a user.
fn claims(case: &Case<'_>, found: &mut Findings) {
    let mut live: HashMap<UserId, OrderId> = HashMap::new();
    let mut units: BTreeMap<UserId, u32> = BTreeMap::new();
    for row in case.facts.rows.iter().filter(|row| row.status.live()) {
        *units.entry(row.user).or_default() += row.quantity;
        if let Some(other) = live.insert(row.user, row.order) {
            found.add(
                Invariant::I3,
                "user with two live orders",
                format!("{}: {other}, {}", row.user, row.order),
            );
        }
    }
    for (user, units) in units.into_iter().filter(|(_, units)| *units > case.facts.per_user_limit) {
        found.add(Invariant::I3, "user with more units than allowed", format!("{user}: {units}"));
    }
    for (user, order, _) in &case.facts.ledger.claims {
        match live.remove(user) {
            Some(own) if own == *order => {}
            _ => found.add(Invariant::I3, "claim without its live row", format!("{user}: {order}")),
        }
    }
    for (user, order) in live {
        found.add(Invariant::I3, "live row without its claim", format!("{user}: {order}"));
    }
}
