//! I8 and I9: "sold out" was true a moment ago, and unpaid orders end in time.

use std::collections::HashMap;

use spike_domain::{OrderId, OrderStatus};

use super::{Act, Bought, Case, Findings, Invariant};

/// How long "sold out" may be told after it has stopped being true.
const STALE_MS_MAX: u64 = 1_000;
/// How late an unpaid order may be cancelled.
const LATE_MS_MAX: u64 = 10_000;
/// How far apart the clocks of two processes of one machine, and the stamps they give, may be.
const SKEW_MS: u64 = 50;

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    sold_out(case, found);
    deadlines(case, found);
}

/// Every "sold out" had a moment, at most a second before it was asked, at which all units may have been taken.
fn sold_out(case: &Case<'_>, found: &mut Findings) {
    let taken = Taken::of(case);
    for record in case.history {
        if !matches!(record.act, Act::Buy(_, Bought::SoldOut)) {
            continue;
        }
        let from = record.sent_ms.saturating_sub(STALE_MS_MAX + SKEW_MS);
        let most = taken.most_between(from, record.answered_ms + SKEW_MS);
        if most < case.facts.total {
            let text = format!("{} at {}: {most} of {} taken", record.user, record.sent_ms, case.facts.total);
            found.add(Invariant::I8, "sold out while there was stock", text);
        }
    }
}

/// The most units that can have been taken, over time.
struct Taken(Vec<(u64, i64)>);

impl Taken {
    fn of(case: &Case<'_>) -> Self {
        let markers: HashMap<OrderId, Option<u64>> =
            case.facts.markers.iter().map(|marker| (marker.order, marker.done_at_ms)).collect();
        let mut steps: Vec<(u64, i64)> = Vec::with_capacity(2 * case.facts.rows.len() + 1);
        for row in &case.facts.rows {
            let units = i64::from(row.quantity);
            steps.push((row.accepted_at_ms.saturating_sub(SKEW_MS), units));
            let end = match row.status {
                OrderStatus::Pending | OrderStatus::Paid => None,
                OrderStatus::Cancelled => markers.get(&row.order).copied().flatten(),
                OrderStatus::Rejected | OrderStatus::Lost => {
                    Some(markers.get(&row.order).copied().flatten().unwrap_or(row.updated_at_ms))
                }
            };
            steps.extend(end.map(|at| (at + SKEW_MS, -units)));
        }
        // Nobody knows for how long the ledger that was destroyed had held these.
        let gone = case.allowed.at_risk.iter().filter(|order| !case.rows.contains_key(order)).count();
        steps.push((0, i64::try_from(gone).unwrap_or(i64::MAX) * i64::from(case.facts.per_user_limit)));
        // At the same moment first what was taken: the most is asked for.
        steps.sort_unstable_by_key(|&(at, units)| (at, -units));
        let mut sum = 0;
        for step in &mut steps {
            sum += step.1;
            step.1 = sum;
        }
        Self(steps)
    }

    fn most_between(&self, from: u64, to: u64) -> i64 {
        let first = self.0.partition_point(|(at, _)| *at <= from).saturating_sub(1);
        let steps = self.0[first..].iter().take_while(|(at, _)| *at <= to);
        steps.map(|(_, taken)| *taken).max().unwrap_or(0)
    }
}

fn deadlines(case: &Case<'_>, found: &mut Findings) {
    for row in &case.facts.rows {
        let ended_at = match row.status {
            OrderStatus::Cancelled => row.updated_at_ms,
            OrderStatus::Pending => case.facts.read_at_ms,
            OrderStatus::Paid | OrderStatus::Rejected | OrderStatus::Lost => continue,
        };
        let limit = limit(row.expires_at_ms, &case.allowed.idle);
        if ended_at > limit {
            let text =
                format!("{} {}: {} ms late", row.order, row.status.as_str(), ended_at - row.expires_at_ms);
            found.add(Invariant::I9, "unpaid order not cancelled in time", text);
        }
    }
}

/// When an order that expired at `expires` must be cancelled: its bound begins again whenever nobody could act before it.
fn limit(expires: u64, idle: &[(u64, u64)]) -> u64 {
    let mut sorted: Vec<_> = idle.to_vec();
    sorted.sort_unstable();
    let mut limit = expires + LATE_MS_MAX;
    for (from, to) in sorted {
        if from <= limit && to > expires {
            limit = limit.max(to + LATE_MS_MAX);
        }
    }
    limit
}
