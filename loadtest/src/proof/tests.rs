//! Each violation is planted into a clean sale and must be found, under its invariant and in words.

use spike_domain::{AttemptId, AttemptStatus, ClaimState, OrderStatus, UserId};

use super::*;

/// A sale owned, so that a case can spoil one thing. Three units: user 1's order is pending, user 2's paid, user 3's was
/// cancelled at its deadline, 5,000 ms, and given back at 5,200; user 4 met "sold out" before that.
#[derive(Clone)]
struct Story {
    facts: Facts,
    history: Vec<Record>,
    allowed: Allowances,
}

const PENDING: usize = 0;
const PAID: usize = 1;
const CANCELLED: usize = 2;

impl Story {
    fn clean() -> Self {
        let orders: Vec<OrderId> = (1..=3).map(OrderId::new).collect();
        let row = |at: usize, status, updated_at_ms| Row {
            order: orders[at],
            user: UserId(at as i64 + 1),
            quantity: 1,
            status,
            key: Some(format!("{at}")),
            accepted_at_ms: 1_000,
            expires_at_ms: if at == PENDING { 60_000 } else { 5_000 },
            updated_at_ms,
        };
        let attempt = AttemptId(orders[PAID].0);
        let facts = Facts {
            total: 3,
            per_user_limit: 1,
            reserved: 2,
            paid: 1,
            rows: vec![
                row(PENDING, OrderStatus::Pending, 1_100),
                row(PAID, OrderStatus::Paid, 2_000),
                row(CANCELLED, OrderStatus::Cancelled, 5_100),
            ],
            markers: vec![Marker { order: orders[CANCELLED], quantity: 1, done_at_ms: Some(5_200) }],
            attempts: vec![Attempt { attempt, order: orders[PAID], status: AttemptStatus::Captured }],
            charges: [(attempt, true)].into(),
            ledger: LedgerFacts {
                stock: 1,
                inflight: 0,
                entries: 0,
                claims: vec![(UserId(1), orders[PENDING], 1), (UserId(2), orders[PAID], 1)],
            },
            read_at_ms: 20_000,
        };
        let bought = |at: usize| Act::Buy(Some(at as u64), Bought::Accepted(orders[at]));
        let history = vec![
            record(1, 1_000, bought(PENDING)),
            record(2, 1_000, bought(PAID)),
            record(3, 1_000, bought(CANCELLED)),
            record(2, 1_900, Act::Pay(orders[PAID], Paid::Done)),
            record(2, 3_000, Act::Look(orders[PAID], Seen::State(ClaimState::Paid))),
            record(4, 4_000, Act::Buy(None, Bought::SoldOut)),
            record(4, 6_000, Act::Buy(None, Bought::SoldOut)),
            record(3, 6_000, Act::Look(orders[CANCELLED], Seen::State(ClaimState::Cancelled))),
        ];
        Self { facts, history, allowed: Allowances::default() }
    }

    fn order(&self, at: usize) -> OrderId {
        self.facts.rows[at].order
    }

    fn told(&mut self, user: i64, sent_ms: u64, act: Act) {
        self.history.push(record(user, sent_ms, act));
    }

    /// One more order with its row, its claim and its acceptance; the stock falls.
    fn extra(&mut self, user: i64, status: OrderStatus) -> OrderId {
        let order = OrderId::new(9);
        let row = Row { order, user: UserId(user), status, key: None, ..self.facts.rows[PENDING].clone() };
        self.facts.rows.push(row);
        self.told(user, 1_000, Act::Buy(None, Bought::Accepted(order)));
        if status.live() {
            self.facts.ledger.stock -= 1;
            self.facts.reserved += 1;
            self.facts.ledger.claims.push((UserId(user), order, 1));
        }
        order
    }
}

fn record(user: i64, sent_ms: u64, act: Act) -> Record {
    Record { user: UserId(user), sent_ms, answered_ms: sent_ms + 10, act }
}

/// Spoils a clean sale and expects these invariants to be named, no other, and these words.
fn check(want: &[Invariant], words: &str, spoil: impl Fn(&mut Story)) {
    let mut story = Story::clean();
    spoil(&mut story);
    let found = prove(&story.facts, &story.history, &story.allowed);
    let mut named: Vec<Invariant> = found.iter().map(|violation| violation.invariant).collect();
    named.dedup();
    let text: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(named, want, "{words}: {text:?}");
    assert!(want.is_empty() || text.iter().any(|line| line.contains(words)), "{words}: {text:?}");
}

use Invariant::{I1, I2, I3, I4, I5, I6, I7, I8, I9};

#[test]
fn a_clean_sale_is_clean() {
    check(&[], "", |_| {});
}

#[test]
fn i1_units_that_do_not_add_up() {
    check(&[I1, I6], "3 and 2 + 2 + 0 + 0", |story| story.facts.ledger.stock = 2);
    check(&[I1], "F = 1", |story| story.facts.ledger.inflight = 1);
    check(&[I1], "outbox", |story| story.facts.ledger.entries = 1);
    check(&[I1], "counters", |story| story.facts.reserved = 3);
    check(&[I1], "counters", |story| story.facts.paid = 0);
}

#[test]
fn i2_more_promised_than_there_is() {
    check(&[I1, I2, I6], "3 + 0 + 0 of 2", |story| {
        story.facts.total = 2;
        story.extra(5, OrderStatus::Pending);
    });
    check(&[I1, I2], "2 + 2 + 0 of 3", |story| story.facts.ledger.inflight = 2);
}

#[test]
fn i3_users_and_claims() {
    check(&[I3], "two live orders", |story| {
        story.extra(1, OrderStatus::Pending);
    });
    check(&[I3], "claim without its live row: 3", |story| {
        let order = story.order(CANCELLED);
        story.facts.ledger.claims[0] = (UserId(3), order, 1);
    });
    check(&[I3], "live row without its claim", |story| story.facts.ledger.claims[0].0 = UserId(8));
    check(&[I1, I3, I6], "more units than allowed", |story| {
        story.facts.rows[PENDING].quantity = 2;
        story.facts.ledger.claims[0].2 = 2;
    });
}

#[test]
fn i4_acceptances_without_rows_and_rows_without_acceptances() {
    let lost = OrderId::new(7);
    check(&[I4], "accepted order without a row", |story| {
        story.told(5, 1_000, Act::Buy(None, Bought::Accepted(lost)));
    });
    check(&[], "", |story| {
        story.told(5, 1_000, Act::Buy(None, Bought::Accepted(lost)));
        story.allowed.at_risk.insert(lost);
    });
    check(&[I4], "another user", |story| {
        story.facts.rows[PENDING].user = UserId(9);
        story.facts.ledger.claims[0].0 = UserId(9);
        story.told(9, 1_000, Act::Buy(None, Bought::Unknown(None)));
    });
    check(&[I4], "no answer explains", |story| {
        story.extra(5, OrderStatus::Pending);
        story.history.pop();
    });
    for status in [OrderStatus::Rejected, OrderStatus::Lost] {
        check(&[I4], "taken back", |story| {
            story.extra(5, status);
        });
        check(&[], "", |story| {
            let order = story.extra(5, status);
            story.allowed.planted.insert(order);
        });
    }
    check(&[I4], "two users", |story| {
        let order = story.order(PENDING);
        story.told(9, 1_000, Act::Buy(None, Bought::Accepted(order)));
    });
}

#[test]
fn i5_paid_xor_cancelled_and_money() {
    check(&[I5], "do not fit its status", |story| story.facts.attempts.clear());
    check(&[I5], "do not fit its status", |story| {
        let (attempt, order) = (AttemptId(OrderId::new(4).0), story.order(CANCELLED));
        story.facts.attempts.push(Attempt { attempt, order, status: AttemptStatus::Captured });
        story.facts.charges.insert(attempt, true);
    });
    check(&[I5], "not taken", |story| story.facts.charges.clear());
    check(&[I5], "nobody owes", |story| {
        let (attempt, order) = (AttemptId(OrderId::new(4).0), story.order(CANCELLED));
        story.facts.attempts.push(Attempt { attempt, order, status: AttemptStatus::Declined });
        story.facts.charges.insert(attempt, true);
    });
    check(&[I5], "without a verdict", |story| {
        let (attempt, order) = (AttemptId(OrderId::new(4).0), story.order(CANCELLED));
        story.facts.attempts.push(Attempt { attempt, order, status: AttemptStatus::Open });
    });
    check(&[I5], "after its deadline", |story| story.facts.rows[PAID].updated_at_ms = 5_000);
    check(&[I5], "told to be paid", |story| {
        let order = story.order(CANCELLED);
        story.told(3, 4_000, Act::Pay(order, Paid::Done));
    });
    check(&[I5], "came back", |story| {
        let order = story.order(PAID);
        story.told(2, 4_000, Act::Look(order, Seen::State(ClaimState::Pending)));
    });
}

#[test]
fn i6_one_restock_each() {
    check(&[I6], "markers do not fit", |story| story.facts.markers.clear());
    check(&[I6], "markers do not fit", |story| {
        let again = story.facts.markers[0];
        story.facts.markers.push(again);
    });
    check(&[I6], "markers do not fit", |story| story.facts.markers[0].order = story.order(PENDING));
    check(&[I6], "without an order", |story| {
        let marker = Marker { order: OrderId::new(8), ..story.facts.markers[0] };
        story.facts.markers.push(marker);
    });
    check(&[I1, I6], "still open", |story| story.facts.markers[0].done_at_ms = None);
    check(&[I6], "another quantity", |story| story.facts.markers[0].quantity = 2);
    check(&[I1, I6], "not the stock", |story| story.facts.ledger.stock = 0);
}

#[test]
fn i7_one_order_a_key() {
    check(&[I7], "key with two orders", |story| {
        let order = story.order(PAID);
        story.history[1] = record(1, 1_000, Act::Buy(Some(0), Bought::Accepted(order)));
        story.facts.rows[PAID].user = UserId(1);
        story.facts.rows[PAID].status = OrderStatus::Cancelled;
        story.facts.rows[PAID].updated_at_ms = 1_100;
        story.facts.markers.push(Marker { order, quantity: 1, done_at_ms: Some(1_200) });
        story.facts.attempts.clear();
        story.history.retain(|record| {
            !matches!(record.act, Act::Pay(..) | Act::Look(..) | Act::Buy(_, Bought::SoldOut))
        });
        (story.facts.ledger.stock, story.facts.reserved, story.facts.paid) = (2, 1, 0);
        story.facts.ledger.claims.remove(1);
    });
    check(&[I7], "bought already", |story| {
        let order = story.order(PENDING);
        story.told(1, 2_000, Act::Buy(Some(0), Bought::Already(Some(order))));
    });
    check(&[I7], "key with two rows", |story| {
        let order = story.extra(3, OrderStatus::Pending);
        let at = story.facts.rows.iter().position(|row| row.order == order).unwrap();
        story.facts.rows[at].key = Some(CANCELLED.to_string());
    });
}

#[test]
fn i8_sold_out_that_was_not_true() {
    check(&[I8], "2 of 3 taken", |story| story.told(4, 6_400, Act::Buy(None, Bought::SoldOut)));
    check(&[], "", |story| story.told(4, 6_250, Act::Buy(None, Bought::SoldOut)));
    check(&[I8], "0 of 3 taken", |story| story.told(4, 100, Act::Buy(None, Bought::SoldOut)));
}

#[test]
fn i9_deadlines() {
    check(&[I9], "10001 ms late", |story| {
        story.facts.rows[CANCELLED].updated_at_ms = 15_001;
        story.facts.markers[0].done_at_ms = Some(15_100);
    });
    check(&[I9], "pending", |story| story.facts.read_at_ms = 70_001);
    let late = |idle: &'static [(u64, u64)]| {
        move |story: &mut Story| {
            story.facts.rows[CANCELLED].updated_at_ms = 24_000;
            story.facts.markers[0].done_at_ms = Some(24_100);
            story.allowed.idle = idle.to_vec();
        }
    };
    check(&[], "", late(&[(4_000, 8_000), (17_000, 18_000)]));
    check(&[I9], "19000 ms late", late(&[(1_000, 4_000), (4_000, 8_000)]));
    check(&[I9], "19000 ms late", late(&[(16_000, 30_000)]));
}

#[test]
fn samples_speak_while_the_sale_runs() {
    let database = DatabaseSample { total: 3, live: 3, returned: 0, doubled: 0 };
    let ledger = LedgerSample { total: 3, stock: 1, claimed: 2, inflight: 1 };
    assert_eq!(check_sample(Some(database), Some(ledger)), []);
    let named = |database, ledger| -> Vec<Invariant> {
        check_sample(database, ledger).iter().map(|violation| violation.invariant).collect()
    };
    assert_eq!(named(Some(DatabaseSample { live: 4, ..database }), None), [I2]);
    assert_eq!(named(Some(DatabaseSample { returned: 1, ..database }), None), [I2]);
    assert_eq!(named(Some(DatabaseSample { doubled: 1, ..database }), None), [I3]);
    assert_eq!(named(None, Some(LedgerSample { stock: 2, ..ledger })), [I1]);
    assert_eq!(named(None, Some(LedgerSample { inflight: -1, ..ledger })), [I1]);
}

#[test]
fn outcomes_are_ok_fail_or_unknown() {
    let order = OrderId::new(1);
    let outcome = |act| record(1, 1, act).outcome();
    assert_eq!(outcome(Act::Buy(None, Bought::Accepted(order))), Outcome::Ok);
    assert_eq!(outcome(Act::Buy(None, Bought::SoldOut)), Outcome::Fail);
    assert_eq!(outcome(Act::Pay(order, Paid::RefundDue)), Outcome::Fail);
    assert_eq!(outcome(Act::Pay(order, Paid::Unknown)), Outcome::Unknown);
    assert_eq!(outcome(Act::Look(order, Seen::Missing)), Outcome::Fail);
}
