//! The auditor: what the buyers were told, what the database holds and what the ledger counts must be one story.
//!
//! Pure: everything is passed in, when the sale is over and nothing is under way any more.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use spike_domain::{Conservation, OrderId, OrderStatus, UserId};

use crate::progress::Counts;
use crate::sale::History;

/// One row of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderRow {
    /// Its primary key.
    pub order: OrderId,
    /// Whose it is.
    pub user: UserId,
    /// Its status.
    pub status: OrderStatus,
    /// Its units.
    pub quantity: u32,
}

/// What is audited.
#[derive(Debug, Clone, Copy)]
pub struct AuditInput<'a> {
    /// The units on sale.
    pub stock: u64,
    /// The units each press asked for.
    pub quantity: u32,
    /// The presses.
    pub requests: u64,
    /// Their answers.
    pub counts: Counts,
    /// What the buyers were told.
    pub history: &'a History,
    /// Every row of the event, of any status.
    pub rows: &'a [OrderRow],
    /// The figures of the ledger and the database.
    pub conservation: Conservation,
}

/// What the auditor found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Units sold beyond the stock.
    pub oversold: u64,
    /// Users with more than one live order, or told of more than one, and orders told to more than one user.
    pub doubled: u64,
    /// Acknowledged orders without a row.
    pub lost: u64,
    /// Acknowledged orders whose row is REJECTED or LOST.
    pub withdrawn: u64,
    /// Rows of which no buyer knows, and no press of whose user has an unknown effect.
    pub unexplained: u64,
    /// The figures as they were given.
    pub conservation: Conservation,
    /// Each finding in words; a kind of finding is shown by its first cases.
    pub differences: Vec<String>,
}

impl Audit {
    /// Whether there is nothing to find fault with.
    pub fn clean(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Holds the three against each other.
pub fn audit(input: &AuditInput<'_>) -> Audit {
    let mut findings = Findings::default();
    let rows = by_order(input.rows, &mut findings);
    let oversold = check_units(input, &mut findings);
    let doubled = check_doubles(input, &mut findings);
    let (lost, withdrawn) = check_acknowledged(input, &rows, &mut findings);
    let unexplained = check_explained(input, &mut findings);
    check_counts(input, &mut findings);
    Audit {
        oversold,
        doubled,
        lost,
        withdrawn,
        unexplained,
        conservation: input.conservation,
        differences: findings.into_lines(),
    }
}

/// Findings by kind, each with a few cases: a broken run has thousands of the same.
#[derive(Default)]
struct Findings {
    facts: Vec<String>,
    cases: BTreeMap<&'static str, (u64, Vec<String>)>,
}

impl Findings {
    const CASES_SHOWN: usize = 5;

    fn fact(&mut self, text: String) {
        self.facts.push(text);
    }

    fn case(&mut self, kind: &'static str, text: String) {
        let (count, shown) = self.cases.entry(kind).or_default();
        *count += 1;
        if shown.len() < Self::CASES_SHOWN {
            shown.push(text);
        }
    }

    fn into_lines(mut self) -> Vec<String> {
        for (kind, (count, shown)) in self.cases {
            let more = if count > shown.len() as u64 { ", …" } else { "" };
            self.facts.push(format!("{count} × {kind}: {}{more}", shown.join(", ")));
        }
        self.facts
    }
}

fn by_order(rows: &[OrderRow], findings: &mut Findings) -> HashMap<OrderId, OrderRow> {
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        if found.insert(row.order, *row).is_some() {
            findings.case("order with more than one row", row.order.to_string());
        }
    }
    found
}

/// Conservation, and that the rows are what it counted.
fn check_units(input: &AuditInput<'_>, findings: &mut Findings) -> u64 {
    let figures = &input.conservation;
    let live_units: i64 =
        input.rows.iter().filter(|row| row.status.live()).map(|row| i64::from(row.quantity)).sum();
    let oversold = u64::try_from(figures.L.max(live_units) - figures.S).unwrap_or(0);
    if oversold > 0 {
        findings.fact(format!("{oversold} units sold beyond the stock of {}", figures.S));
    }
    if !figures.holds() {
        let Conservation { S, R, L, F, K } = figures;
        findings.fact(format!("S = R + L + F + K does not hold: {S} and {R} + {L} + {F} + {K}"));
    }
    if !figures.at_rest() {
        findings.fact(format!("not drained: F = {}, K = {}", figures.F, figures.K));
    }
    if live_units != figures.L {
        findings.fact(format!("the rows hold {live_units} live units, L says {}", figures.L));
    }
    if i64::try_from(input.stock) != Ok(figures.S) {
        findings.fact(format!("{} units were put on sale, S says {}", input.stock, figures.S));
    }
    oversold
}

fn check_doubles(input: &AuditInput<'_>, findings: &mut Findings) -> u64 {
    let mut users: BTreeSet<UserId> = BTreeSet::new();
    let mut live: HashMap<UserId, OrderId> = HashMap::new();
    for row in input.rows.iter().filter(|row| row.status.live()) {
        if live.insert(row.user, row.order).is_some_and(|other| other != row.order) {
            findings.case("user with more than one live order", row.user.to_string());
            users.insert(row.user);
        }
    }
    for (user, order) in &input.history.doubled {
        findings.case("user told of a second order", format!("{user} of {order}"));
        users.insert(*user);
    }
    let mut owners: HashMap<OrderId, UserId> = HashMap::new();
    for (user, order) in told(input.history) {
        if owners.insert(order, user).is_some_and(|other| other != user) {
            findings.case("order told to more than one user", order.to_string());
            users.insert(user);
        }
    }
    users.len() as u64
}

/// Every (user, order) that any answer vouched for.
fn told(history: &History) -> impl Iterator<Item = (UserId, OrderId)> {
    [&history.acknowledged, &history.doubled, &history.named].into_iter().flatten().copied()
}

/// Every order told to a buyer has its row (I4); how many have none, and how many were taken back.
fn check_acknowledged(
    input: &AuditInput<'_>,
    rows: &HashMap<OrderId, OrderRow>,
    findings: &mut Findings,
) -> (u64, u64) {
    let (mut lost, mut withdrawn) = (0, 0);
    for (user, order) in told(input.history) {
        let Some(row) = rows.get(&order) else {
            lost += 1;
            findings.case("acknowledged order without a row", format!("{order} of user {user}"));
            continue;
        };
        if row.user != user {
            findings
                .case("order told to one user and written for another", format!("{order} of user {user}"));
        }
        if matches!(row.status, OrderStatus::Rejected | OrderStatus::Lost) {
            withdrawn += 1;
            findings.case("acknowledged order taken back", format!("{order} is {}", row.status.as_str()));
        }
        if row.quantity != input.quantity {
            findings.case("order of another quantity", format!("{order} of {}", row.quantity));
        }
    }
    (lost, withdrawn)
}

/// Every row belongs to someone who was told of it or has reason to look it up.
fn check_explained(input: &AuditInput<'_>, findings: &mut Findings) -> u64 {
    let known: HashSet<OrderId> = told(input.history)
        .map(|(_, order)| order)
        .chain(input.history.unknown.iter().filter_map(|unknown| unknown.order))
        .collect();
    let unsure: HashSet<UserId> = input.history.unknown.iter().map(|unknown| unknown.user).collect();
    let mut unexplained = 0;
    for row in input.rows.iter().filter(|row| !known.contains(&row.order) && !unsure.contains(&row.user)) {
        unexplained += 1;
        findings.case("row that no answer explains", format!("{} of user {}", row.order, row.user));
    }
    unexplained
}

/// The kinds of answers add up, and the acceptances are those of the history.
fn check_counts(input: &AuditInput<'_>, findings: &mut Findings) {
    let counts = &input.counts;
    if counts.answered() != input.requests {
        findings.fact(format!("{} requests have {} answers", input.requests, counts.answered()));
    }
    let acknowledged = input.history.acknowledged.len() as u64;
    if input.history.doubled.is_empty() && acknowledged != counts.accepted {
        findings.fact(format!("{} acceptances are counted, {acknowledged} remembered", counts.accepted));
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
