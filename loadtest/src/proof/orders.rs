//! I4 and I7: every acceptance has its row and every row its client; one order a key.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use spike_domain::{OrderId, OrderStatus, UserId};

use super::{Act, Bought, Case, Findings, Invariant};

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    acceptances(case, found);
    rows(case, found);
    keys(case, found);
}

/// Each 202 has a row of its user, unless a fault has destroyed the only copy.
fn acceptances(case: &Case<'_>, found: &mut Findings) {
    let mut told: HashMap<OrderId, UserId> = HashMap::new();
    for record in case.history {
        let Some(order) = record.accepted() else { continue };
        if told.insert(order, record.user).is_some_and(|other| other != record.user) {
            found.add(Invariant::I4, "order told to two users", order);
        }
    }
    for (order, user) in told {
        match case.rows.get(&order) {
            Some(row) if row.user == user => {}
            Some(_) => {
                found.add(Invariant::I4, "order written for another user", format!("{order} of {user}"));
            }
            None if case.allowed.at_risk.contains(&order) => {}
            None => found.add(Invariant::I4, "accepted order without a row", format!("{order} of {user}")),
        }
    }
}

/// Each row is explained by a client, is there once, and is withdrawn only where that is allowed.
fn rows(case: &Case<'_>, found: &mut Findings) {
    let mut known: HashSet<OrderId> = HashSet::new();
    let mut unsure: HashSet<UserId> = HashSet::new();
    for record in case.history {
        match record.act {
            Act::Buy(_, Bought::Accepted(order) | Bought::Already(Some(order))) => drop(known.insert(order)),
            Act::Buy(_, Bought::Unknown(_)) => drop(unsure.insert(record.user)),
            _ => {}
        }
    }
    let mut seen = HashSet::new();
    for row in &case.facts.rows {
        let at_risk = case.allowed.at_risk.contains(&row.order);
        let planted = case.allowed.planted.contains(&row.order);
        if !seen.insert(row.order) {
            found.add(Invariant::I4, "order with two rows", row.order);
        }
        if !planted && !known.contains(&row.order) && !unsure.contains(&row.user) {
            found.add(Invariant::I4, "row that no answer explains", format!("{} of {}", row.order, row.user));
        }
        if matches!(row.status, OrderStatus::Rejected | OrderStatus::Lost) && !at_risk && !planted {
            let text = format!("{} is {}", row.order, row.status.as_str());
            found.add(Invariant::I4, "accepted order taken back", text);
        }
    }
}

fn keys(case: &Case<'_>, found: &mut Findings) {
    let mut orders: BTreeMap<(UserId, u64), BTreeSet<OrderId>> = BTreeMap::new();
    let mut refused: Vec<((UserId, u64), OrderId)> = Vec::new();
    for record in case.history {
        match record.act {
            Act::Buy(Some(key), Bought::Accepted(order)) => {
                orders.entry((record.user, key)).or_default().insert(order);
            }
            Act::Buy(Some(key), Bought::Already(Some(order))) => refused.push(((record.user, key), order)),
            _ => {}
        }
    }
    // An order whose only copy is gone took its key with it.
    let kept = |orders: &BTreeSet<OrderId>| {
        orders.iter().filter(|order| !case.allowed.at_risk.contains(order)).count()
    };
    for ((user, key), told) in orders.iter().filter(|(_, told)| kept(told) > 1) {
        found.add(Invariant::I7, "key with two orders", format!("{user} {key:x}: {told:?}"));
    }
    for (key, order) in refused {
        if orders.get(&key).is_some_and(|told| told.contains(&order)) {
            found.add(
                Invariant::I7,
                "own key told that it has bought already",
                format!("{}: {order}", key.0),
            );
        }
    }
    let mut rows: HashMap<(UserId, &str), OrderId> = HashMap::new();
    for row in case.facts.rows.iter().filter(|row| !case.allowed.at_risk.contains(&row.order)) {
        let Some(key) = &row.key else { continue };
        if let Some(other) = rows.insert((row.user, key), row.order) {
            found.add(Invariant::I7, "key with two rows", format!("{}: {other}, {}", row.user, row.order));
        }
    }
}
