//! I6: one restock a cancelled order, in the database and in Redis.

use std::collections::HashMap;

use spike_domain::{OrderId, OrderStatus};

use super::{Case, Findings, Invariant, Marker};

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    let mut markers: HashMap<OrderId, Vec<&Marker>> = HashMap::new();
    for marker in &case.facts.markers {
        markers.entry(marker.order).or_default().push(marker);
    }
    for row in &case.facts.rows {
        let own = markers.remove(&row.order).unwrap_or_default();
        let text = || format!("{} is {} with {}", row.order, row.status.as_str(), own.len());
        let fits = match row.status {
            OrderStatus::Cancelled => own.len() == 1,
            // One that was refused before the ledger took anything for it has none.
            OrderStatus::Rejected => own.len() <= 1,
            OrderStatus::Pending | OrderStatus::Paid | OrderStatus::Lost => own.is_empty(),
        };
        if !fits {
            found.add(Invariant::I6, "order whose markers do not fit its status", text());
        }
        for marker in own {
            if marker.done_at_ms.is_none() {
                found.add(Invariant::I6, "marker that is still open", row.order);
            }
            if marker.quantity != row.quantity {
                found.add(Invariant::I6, "marker of another quantity", row.order);
            }
        }
    }
    for order in markers.into_keys() {
        found.add(Invariant::I6, "marker without an order", order);
    }
    units_given_back(case, found);
}

/// In Redis every unit is free or somebody's claim: one given back twice, or never, would be too many or missing.
fn units_given_back(case: &Case<'_>, found: &mut Findings) {
    let ledger = &case.facts.ledger;
    let claimed: i64 = ledger.claims.iter().map(|(_, _, units)| i64::from(*units)).sum();
    if ledger.stock + claimed != case.facts.total {
        let text = format!("{} + {claimed} of {}", ledger.stock, case.facts.total);
        found.add(Invariant::I6, "units free and claimed in Redis are not the stock", text);
    }
}
