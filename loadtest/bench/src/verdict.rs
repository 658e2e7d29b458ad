//! The audit of one sale: what its buyers were told against Redis and the database, and I1 to I9.

use std::fmt::Write as _;
use std::time::Duration;

use loadtest::open::SaleTold;
use loadtest::proof::{self, Allowances, Facts, Invariant, Violation};
use loadtest::record::AuditRecord;
use loadtest::{AuditInput, Counts, History};
use spike_arena::rest::{Books, BothSides};
use spike_domain::EventId;

/// Units a press of a load asks for.
const QUANTITY: u32 = 1;
/// What only the buyers' answers can show.
const OF_ANSWERS: [Invariant; 3] = [Invariant::I4, Invariant::I7, Invariant::I8];

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The figures, and every finding in words.
    pub audit: AuditRecord,
    /// Broken invariants.
    pub violations: Vec<Violation>,
    /// Whether it is known what the buyers were told.
    pub told: bool,
}

impl Verdict {
    /// Reads both sides of a sale at rest, which drained in `drained`, and holds them against what its buyers were told, where that
    /// is known.
    ///
    /// # Errors
    /// When Redis or the database does not answer.
    pub async fn reach(books: &Books, told: Option<&SaleTold>, drained: Duration) -> anyhow::Result<Self> {
        let facts = books.facts().await?;
        let both = books.read().await?;
        Ok(Self::of(&facts, &both, told, drained))
    }

    fn of(facts: &Facts, both: &BothSides, told: Option<&SaleTold>, drained: Duration) -> Self {
        let supposed = || suppose(facts);
        let sale = told.cloned().unwrap_or_else(supposed);
        let mut audit = loadtest::audit(&AuditInput {
            stock: u64::try_from(facts.total).unwrap_or(0),
            quantity: QUANTITY,
            requests: sale.requests,
            counts: sale.counts,
            history: &sale.history,
            rows: &both.rows,
            conservation: both.conservation,
        });
        if told.is_none() {
            // Rows of any quantity were bought by somebody.
            audit.differences.retain(|difference| !difference.contains("order of another quantity"));
        }
        let violations = proof::prove(facts, &proof::told(&sale), &Allowances::default());
        let mut audit = AuditRecord::new(&audit, drained);
        audit.differences.extend(both.differences.iter().cloned());
        audit.differences.extend(violations.iter().map(ToString::to_string));
        Self { audit, violations, told: told.is_some() }
    }

    /// Whether there was nothing to find fault with.
    pub fn clean(&self) -> bool {
        self.audit.clean()
    }

    /// A line an invariant, the findings, and the verdict.
    pub fn table(&self, event: EventId) -> String {
        let mut text = format!("event {event}\n");
        for invariant in Invariant::ALL {
            let broken = self.violations.iter().any(|found| found.invariant == invariant);
            let known = self.told || !OF_ANSWERS.contains(&invariant);
            let state = match (broken, known) {
                (true, _) => "BROKEN",
                (false, true) => "holds",
                (false, false) => "holds in the rows; --told would show it of the answers",
            };
            let _ = writeln!(text, "  {invariant}  {:<36} {state}", words(invariant));
        }
        let spike_domain::Conservation { S, R, L, F, K } = self.audit.conservation;
        let (oversold, doubled, lost) = (self.audit.oversold, self.audit.doubled, self.audit.lost);
        let _ = writeln!(text, "  S {S} = R {R} + L {L} + F {F} + K {K}");
        let _ = writeln!(text, "  oversold {oversold}, doubled {doubled}, lost {lost}");
        for difference in &self.audit.differences {
            let _ = writeln!(text, "  - {difference}");
        }
        text.push_str(if self.clean() {
            "PASS: the audit is clean\n"
        } else {
            "FAIL: the audit found fault\n"
        });
        text
    }
}

/// What buyers must have been told if each row was told to its user.
fn suppose(facts: &Facts) -> SaleTold {
    let acknowledged: Vec<_> = facts.rows.iter().map(|row| (row.user, row.order)).collect();
    let accepted = acknowledged.len() as u64;
    SaleTold {
        event: EventId(0),
        requests: accepted,
        counts: Counts { accepted, ..Counts::default() },
        history: History { acknowledged, ..History::default() },
        sold_out: Vec::new(),
    }
}

fn words(invariant: Invariant) -> &'static str {
    match invariant {
        Invariant::I1 => "S = R + L + F + K, at rest F = K = 0",
        Invariant::I2 => "no oversell",
        Invariant::I3 => "one live claim a user",
        Invariant::I4 => "every 202 has its row",
        Invariant::I5 => "paid or cancelled, money accounted for",
        Invariant::I6 => "one restock a cancelled order",
        Invariant::I7 => "one effect a key",
        Invariant::I8 => "no stale or false \"sold out\"",
        Invariant::I9 => "unpaid orders end in time",
    }
}

/// What several loads told the buyers of `event`, as one.
pub fn join(event: EventId, loads: impl IntoIterator<Item = SaleTold>) -> Option<SaleTold> {
    let mut of_event = loads.into_iter().filter(|told| told.event == event);
    let mut all = of_event.next()?;
    for told in of_event {
        all.requests += told.requests;
        let counts = &mut all.counts;
        counts.accepted += told.counts.accepted;
        counts.sold_out += told.counts.sold_out;
        counts.duplicates += told.counts.duplicates;
        counts.rejected += told.counts.rejected;
        counts.errors += told.counts.errors;
        all.history.acknowledged.extend(told.history.acknowledged);
        all.history.doubled.extend(told.history.doubled);
        all.history.named.extend(told.history.named);
        all.history.unknown.extend(told.history.unknown);
        all.sold_out.extend(told.sold_out);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use loadtest::OrderRow;
    use loadtest::proof::{LedgerFacts, Row};
    use spike_domain::{Conservation, OrderId, OrderStatus, UserId};

    use super::*;

    const NOW_MS: u64 = 1_700_000_000_000;

    fn sold() -> (Facts, BothSides) {
        let row = |user| Row {
            order: OrderId::new(NOW_MS),
            user: UserId(user),
            quantity: 1,
            status: OrderStatus::Pending,
            key: None,
            accepted_at_ms: NOW_MS,
            expires_at_ms: NOW_MS + 3_600_000,
            updated_at_ms: NOW_MS,
        };
        let rows = vec![row(1), row(2)];
        let both = BothSides {
            conservation: Conservation { S: 2, R: 0, L: 2, F: 0, K: 0 },
            rows: rows
                .iter()
                .map(|row| OrderRow { order: row.order, user: row.user, status: row.status, quantity: 1 })
                .collect(),
            differences: Vec::new(),
        };
        let claims = rows.iter().map(|row| (row.user, row.order, 1)).collect();
        let ledger = LedgerFacts { claims, ..LedgerFacts::default() };
        let facts = Facts {
            total: 2,
            per_user_limit: 1,
            reserved: 2,
            rows,
            ledger,
            read_at_ms: NOW_MS,
            ..Facts::default()
        };
        (facts, both)
    }

    #[test]
    fn a_clean_sale_passes_with_and_without_what_was_told() {
        let (facts, both) = sold();
        let told = suppose(&facts);
        let verdict = Verdict::of(&facts, &both, Some(&told), Duration::from_millis(1500));
        assert!(verdict.clean() && verdict.audit.drain_s == 1.5, "{verdict:?}");
        let table = verdict.table(EventId(3));
        assert!(
            table.contains("PASS") && table.matches("holds").count() == 9 && !table.contains("--told"),
            "{table}"
        );
        let blind = Verdict::of(&facts, &both, None, Duration::ZERO);
        assert!(blind.clean());
        assert_eq!(blind.table(EventId(3)).matches("--told").count(), 3);
    }

    #[test]
    fn a_broken_sale_says_what_is_broken() {
        let (mut facts, mut both) = sold();
        facts.ledger.stock = 1;
        both.conservation.R = 1;
        let verdict = Verdict::of(&facts, &both, None, Duration::ZERO);
        let table = verdict.table(EventId(3));
        assert!(!verdict.clean() && table.contains("FAIL"), "{table}");
        let broken: Vec<&str> = table.lines().filter(|line| line.ends_with("BROKEN")).collect();
        assert_eq!(broken.iter().map(|line| &line[2..4]).collect::<Vec<_>>(), ["I1", "I6"], "{table}");
    }

    #[test]
    fn several_loads_of_one_event_are_one_story() {
        let (facts, _) = sold();
        let one = SaleTold { event: EventId(3), ..suppose(&facts) };
        let other = SaleTold { event: EventId(4), ..one.clone() };
        let all = join(EventId(3), [one.clone(), other, one]).unwrap();
        assert_eq!((all.requests, all.counts.accepted, all.history.acknowledged.len()), (4, 4, 4));
        assert_eq!(join(EventId(5), []), None);
    }
}
