//! I5: paid or cancelled, never both, and captured money has paid an order or comes back, once.

use std::collections::HashMap;

use spike_domain::{AttemptStatus, ClaimState, OrderId, OrderStatus};

use super::{Act, Attempt, Case, Ended, Findings, Invariant, Paid, Seen};

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    let mut attempts: HashMap<OrderId, Vec<&Attempt>> = HashMap::new();
    for attempt in &case.facts.attempts {
        attempts.entry(attempt.order).or_default().push(attempt);
    }
    for row in &case.facts.rows {
        let own = attempts.get(&row.order).map(Vec::as_slice).unwrap_or_default();
        let captured = own.iter().filter(|attempt| attempt.status == AttemptStatus::Captured).count();
        let paid = usize::from(row.status == OrderStatus::Paid);
        if captured != paid {
            let text = format!("{} is {} with {captured}", row.order, row.status.as_str());
            found.add(Invariant::I5, "order whose captured attempts do not fit its status", text);
        }
        if paid == 1 && row.updated_at_ms >= row.expires_at_ms {
            found.add(Invariant::I5, "order paid after its deadline", row.order);
        }
    }
    for attempt in case.facts.attempts.iter().filter(|attempt| !case.rows.contains_key(&attempt.order)) {
        found.add(Invariant::I5, "attempt of an order without a row", attempt.order);
    }
    provider(case, found);
    told(case, found);
}

/// The provider's books and ours agree on whose money was taken.
fn provider(case: &Case<'_>, found: &mut Findings) {
    for attempt in &case.facts.attempts {
        let taken = case.facts.charges.get(&attempt.attempt).copied().unwrap_or(false);
        let text = || format!("{:?} of order {}", attempt.status, attempt.order);
        match (attempt.status, taken) {
            (AttemptStatus::Open, _) => found.add(Invariant::I5, "attempt without a verdict at rest", text()),
            (AttemptStatus::Captured | AttemptStatus::RefundDue | AttemptStatus::Refunded, false) => {
                found.add(Invariant::I5, "money that the provider has not taken", text());
            }
            (AttemptStatus::RefundFailed, _) => {
                found.add(Invariant::I5, "money that nobody gives back", text());
            }
            (AttemptStatus::Declined, true) => {
                found.add(Invariant::I5, "taken money that nobody owes", text());
            }
            _ => {}
        }
    }
}

/// Nobody was told what is not so, and what is final stays.
fn told(case: &Case<'_>, found: &mut Findings) {
    let mut final_at: HashMap<OrderId, u64> = HashMap::new();
    for record in case.history {
        let (order, want) = match record.act {
            Act::Pay(order, Paid::Done) => (order, OrderStatus::Paid),
            Act::Cancel(order, Ended::Done) => (order, OrderStatus::Cancelled),
            Act::Look(order, Seen::State(ClaimState::Paid)) => (order, OrderStatus::Paid),
            Act::Look(order, Seen::State(ClaimState::Cancelled)) => (order, OrderStatus::Cancelled),
            _ => continue,
        };
        let first = final_at.entry(order).or_insert(record.answered_ms);
        *first = record.answered_ms.min(*first);
        if case.rows.get(&order).is_none_or(|row| row.status != want) {
            let text = format!("{order} told to be {}", want.as_str());
            found.add(Invariant::I5, "order that is not what was told", text);
        }
    }
    for record in case.history {
        let Act::Look(order, Seen::State(ClaimState::Pending | ClaimState::Queued) | Seen::Missing) =
            record.act
        else {
            continue;
        };
        if final_at.get(&order).is_some_and(|first| *first < record.sent_ms) {
            found.add(Invariant::I5, "order that came back from its end", order);
        }
    }
}
