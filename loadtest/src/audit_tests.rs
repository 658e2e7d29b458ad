//! Each violation is planted into a clean sale and must be found, by its figure and in words.

use super::*;
use crate::sale::Unknown;

/// A sale owned, so that a case can spoil one thing.
struct Story {
    stock: u64,
    requests: u64,
    counts: Counts,
    history: History,
    rows: Vec<OrderRow>,
    conservation: Conservation,
}

impl Story {
    /// Five on sale, three sold to users 1 to 3, two presses sold nothing.
    fn clean() -> Self {
        let orders: Vec<(UserId, OrderId)> = (1..=3).map(|user| (UserId(user), OrderId::new(1))).collect();
        let row = |&(user, order): &(UserId, OrderId)| OrderRow {
            order,
            user,
            status: OrderStatus::Pending,
            quantity: 1,
        };
        Self {
            stock: 5,
            requests: 5,
            counts: Counts { accepted: 3, duplicates: 1, rejected: 1, ..Counts::default() },
            rows: orders.iter().map(row).collect(),
            history: History { acknowledged: orders, ..History::default() },
            conservation: Conservation { S: 5, R: 2, L: 3, F: 0, K: 0 },
        }
    }

    fn extra_row(&mut self, user: i64) -> OrderId {
        let order = OrderId::new(2);
        self.rows.push(OrderRow { order, user: UserId(user), status: OrderStatus::Paid, quantity: 1 });
        self.conservation.L += 1;
        self.conservation.R -= 1;
        order
    }

    fn audit(&self) -> Audit {
        audit(&AuditInput {
            stock: self.stock,
            quantity: 1,
            requests: self.requests,
            counts: self.counts,
            history: &self.history,
            rows: &self.rows,
            conservation: self.conservation,
        })
    }
}

/// Spoils a clean sale and expects `[oversold, doubled, lost, withdrawn, unexplained]` and these words, nothing else.
fn check(figures: [u64; 5], words: &[&str], spoil: impl Fn(&mut Story)) {
    let mut story = Story::clean();
    spoil(&mut story);
    let audit = story.audit();
    let found = [audit.oversold, audit.doubled, audit.lost, audit.withdrawn, audit.unexplained];
    assert_eq!(found, figures, "{words:?}: {:?}", audit.differences);
    assert_eq!(audit.differences.len(), words.len(), "{words:?}: {:?}", audit.differences);
    for word in words {
        assert!(audit.differences.iter().any(|text| text.contains(word)), "{word}: {:?}", audit.differences);
    }
    assert_eq!(audit.clean(), words.is_empty());
}

const NONE: [u64; 5] = [0; 5];

#[test]
fn a_clean_sale_is_clean() {
    check(NONE, &[], |_| {});
}

#[test]
fn stock_figures_that_do_not_add_up() {
    check([1, 0, 0, 0, 0], &["1 units sold beyond the stock of 2", "does not hold"], |story| {
        story.stock = 2;
        story.conservation = Conservation { S: 2, R: -1, ..story.conservation };
    });
    check([2, 0, 0, 0, 0], &["2 units sold beyond", "does not hold", "3 live units, L says 1"], |story| {
        // The rows count, whatever the figures claim.
        story.stock = 1;
        story.conservation = Conservation { S: 1, R: -5, L: 1, F: 0, K: 0 };
    });
    check(NONE, &["does not hold: 5 and 1 + 3 + 0 + 0"], |story| story.conservation.R = 1);
    check(NONE, &["not drained: F = 1"], |story| {
        story.conservation.F = 1;
        story.conservation.R = 1;
    });
    check(NONE, &["not drained: F = 0, K = 1"], |story| {
        story.conservation.K = 1;
        story.conservation.R = 1;
    });
    check(NONE, &["3 live units, L says 2"], |story| {
        story.conservation.L = 2;
        story.conservation.R = 3;
    });
    check(NONE, &["9 units were put on sale, S says 5"], |story| story.stock = 9);
}

#[test]
fn users_with_more_than_they_may_have() {
    check([0, 1, 0, 0, 0], &["1 × user with more than one live order: 2"], |story| {
        let order = story.extra_row(2);
        // The second order was told as an unknown outcome, so only its being live is wrong.
        story.history.unknown.push(Unknown { user: UserId(2), order: Some(order) });
    });
    check([0, 1, 0, 0, 0], &["user told of a second order", "more than one live order"], |story| {
        let order = story.extra_row(2);
        story.history.doubled.push((UserId(2), order));
    });
    check([0, 1, 0, 0, 0], &["order told to more than one user", "written for another"], |story| {
        let order = story.history.acknowledged[0].1;
        story.history.named.push((UserId(9), order));
    });
}

#[test]
fn a_cancelled_order_does_not_double_the_next() {
    check(NONE, &[], |story| {
        story.history.unknown.push(Unknown { user: UserId(2), order: None });
        story.extra_row(2);
        story.rows[1].status = OrderStatus::Cancelled;
        story.conservation = Conservation { S: 5, R: 2, L: 3, F: 0, K: 0 };
    });
}

#[test]
fn acknowledged_orders_without_their_row() {
    let drop_row = |story: &mut Story| {
        story.rows.pop();
        story.conservation.L -= 1;
        story.conservation.R += 1;
    };
    check([0, 0, 1, 0, 0], &["1 × acknowledged order without a row"], drop_row);
    check([0, 0, 1, 0, 0], &["1 × acknowledged order without a row"], |story| {
        story.history.named.push((UserId(8), OrderId::new(3)));
    });
    check([0, 0, 0, 1, 0], &["1 × acknowledged order taken back"], |story| {
        story.rows[0].status = OrderStatus::Lost;
        story.conservation.L -= 1;
        story.conservation.R += 1;
    });
    check(NONE, &["written for another"], |story| story.rows[0].user = UserId(77));
    check(NONE, &["order of another quantity"], |story| {
        story.rows[0].quantity = 2;
        story.conservation.L += 1;
        story.conservation.R -= 1;
    });
}

#[test]
fn rows_nobody_was_told_of() {
    check([0, 0, 0, 0, 1], &["1 × row that no answer explains"], |story| {
        story.extra_row(4);
    });
    // An unknown outcome explains a row, by its order or by its user, and explains its absence as well.
    check(NONE, &[], |story| {
        let order = story.extra_row(4);
        story.history.unknown.push(Unknown { user: UserId(4), order: Some(order) });
    });
    check(NONE, &[], |story| {
        story.extra_row(4);
        story.history.unknown.push(Unknown { user: UserId(4), order: None });
    });
    check(NONE, &[], |story| {
        story.history.unknown.push(Unknown { user: UserId(4), order: Some(OrderId::new(9)) });
    });
    check(NONE, &["order with more than one row"], |story| {
        let row = OrderRow { status: OrderStatus::Cancelled, ..story.rows[0] };
        story.rows.insert(0, row);
    });
}

#[test]
fn answers_that_do_not_add_up() {
    check(NONE, &["6 requests have 5 answers"], |story| story.requests = 6);
    check(NONE, &["4 acceptances are counted, 3 remembered"], |story| {
        story.counts.accepted = 4;
        story.counts.rejected = 0;
    });
}

#[test]
fn a_kind_of_finding_shows_its_first_cases_only() {
    let mut story = Story::clean();
    for user in 100..120 {
        story.history.named.push((UserId(user), OrderId::new(4)));
    }
    let audit = story.audit();
    assert_eq!((audit.lost, audit.differences.len()), (20, 1));
    assert!(audit.differences[0].starts_with("20 × ") && audit.differences[0].ends_with(", …"));
    assert_eq!(audit.differences[0].matches(" of user ").count(), 5);
}
