//! What the buyers of a load were told, as the checker takes it. A load keeps no time of an answer but those of "sold out",
//! which are all that the checker asks the time of.

use spike_domain::UserId;

use super::{Act, Bought, Record};
use crate::open::SaleTold;

/// Who was told "sold out" is not kept, and not asked.
const NOBODY: UserId = UserId(0);

/// One record for each order that was told, each press of unknown effect, and each answer "sold out".
pub fn told(sale: &SaleTold) -> Vec<Record> {
    let record = |user, sent_ms, answered_ms, bought| Record {
        user,
        sent_ms,
        answered_ms,
        act: Act::Buy(None, bought),
    };
    let history = &sale.history;
    let accepted = history.acknowledged.iter().chain(&history.doubled);
    let mut records: Vec<Record> =
        accepted.map(|&(user, order)| record(user, 0, 0, Bought::Accepted(order))).collect();
    let named = history.named.iter();
    records.extend(named.map(|&(user, order)| record(user, 0, 0, Bought::Already(Some(order)))));
    let unknown = history.unknown.iter();
    records.extend(unknown.map(|press| record(press.user, 0, 0, Bought::Unknown(press.order))));
    let sold_out = sale.sold_out.iter();
    records.extend(sold_out.map(|told| record(NOBODY, told.sent_ms, told.answered_ms, Bought::SoldOut)));
    records
}

#[cfg(test)]
mod tests {
    use spike_domain::{EventId, OrderId, OrderStatus};

    use super::*;
    use crate::open::SoldOutTold;
    use crate::progress::Counts;
    use crate::proof::{Allowances, Facts, Invariant, LedgerFacts, Row, prove};
    use crate::sale::{History, Unknown};

    const NOW_MS: u64 = 1_700_000_000_000;

    fn row(user: i64) -> Row {
        Row {
            order: OrderId::new(NOW_MS),
            user: UserId(user),
            quantity: 1,
            status: OrderStatus::Pending,
            key: None,
            accepted_at_ms: NOW_MS,
            expires_at_ms: NOW_MS + 3_600_000,
            updated_at_ms: NOW_MS,
        }
    }

    /// A sale of two that went well.
    fn sold() -> (Facts, SaleTold) {
        let rows = vec![row(1), row(2)];
        let orders: Vec<(UserId, OrderId)> = rows.iter().map(|row| (row.user, row.order)).collect();
        let facts = Facts {
            total: 2,
            per_user_limit: 1,
            reserved: 2,
            ledger: LedgerFacts {
                claims: orders.iter().map(|&(user, order)| (user, order, 1)).collect(),
                ..LedgerFacts::default()
            },
            rows,
            read_at_ms: NOW_MS + 5_000,
            ..Facts::default()
        };
        let told = SaleTold {
            event: EventId(1),
            requests: 3,
            counts: Counts { accepted: 2, sold_out: 1, ..Counts::default() },
            history: History { acknowledged: orders, ..History::default() },
            sold_out: vec![SoldOutTold { sent_ms: NOW_MS + 10, answered_ms: NOW_MS + 12 }],
        };
        (facts, told)
    }

    fn broken(facts: &Facts, sale: &SaleTold) -> Vec<Invariant> {
        prove(facts, &told(sale), &Allowances::default()).iter().map(|found| found.invariant).collect()
    }

    #[test]
    fn a_sale_that_went_well_is_proved() {
        let (facts, sale) = sold();
        assert_eq!(broken(&facts, &sale), []);
    }

    #[test]
    fn what_buyers_were_told_is_held_against_the_rows() {
        let (facts, sale) = sold();
        let mut early = sale.clone();
        early.sold_out[0] = SoldOutTold { sent_ms: NOW_MS - 2_000, answered_ms: NOW_MS - 1_990 };
        assert_eq!(broken(&facts, &early), [Invariant::I8], "sold out while all of it was there");
        let mut silent = sale.clone();
        let last = silent.history.acknowledged.pop().unwrap();
        assert_eq!(broken(&facts, &silent), [Invariant::I4], "a row that nobody was told of");
        silent.history.unknown.push(Unknown { user: last.0, order: None });
        assert_eq!(broken(&facts, &silent), [], "its buyer does not know");
        silent.history.unknown.clear();
        silent.history.named.push(last);
        assert_eq!(broken(&facts, &silent), [], "its buyer was told that it has bought");
        let mut lost = sale;
        lost.history.acknowledged.push((UserId(9), OrderId::new(NOW_MS)));
        assert_eq!(broken(&facts, &lost), [Invariant::I4]);
    }
}
