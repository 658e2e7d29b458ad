//! What must never be, in any state, and what must be when nothing is left to do.

use std::fmt;

use crate::conditions::Condition;
use crate::list::{Orders, each};
use crate::model::Model;
use crate::state::{LedgerState, Marker, Payment, Row, State, WorkerStep};

/// A broken invariant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Its number among the project's invariants.
    pub invariant: &'static str,
    /// What is wrong.
    pub what: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// The figures of I1, in units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figures {
    /// R: left in Redis.
    pub left: i8,
    /// L: live rows.
    pub live: i8,
    /// F: accepted and not yet in the database.
    pub flying: i8,
    /// K: dead in the database and not yet restocked.
    pub kept: i8,
}

impl Figures {
    /// R + L + F + K.
    pub fn sum(self) -> i8 {
        self.left + self.live + self.flying + self.kept
    }
}

/// The drain came back to a state it had been in.
pub const NO_END: Violation = Violation { invariant: "rest", what: "the fault-free drain does not end" };

fn broken<T>(invariant: &'static str, what: &'static str) -> Result<T, Violation> {
    Err(Violation { invariant, what })
}

fn check(holds: bool, invariant: &'static str, what: &'static str) -> Result<(), Violation> {
    if holds { Ok(()) } else { broken(invariant, what) }
}

impl Model {
    /// R, L, F and K.
    pub fn figures(&self, state: &State) -> Figures {
        let (ledger, database) = (&state.ledger, &state.database);
        let claimed = |orders: Orders| {
            each(orders)
                .filter(|&order| self.holds_claim(ledger, order))
                .map(|order| self.quantity(order))
                .sum()
        };
        let dead = |row: Row| matches!(row, Row::Cancelled | Row::Rejected | Row::Lost);
        let flying = (ledger.outbox_orders() | self.in_hand(state)) & !database.rows();
        Figures {
            left: ledger.stock,
            live: self.units(database.live()),
            flying: claimed(flying),
            kept: claimed(database.orders_where(|rows| dead(rows.row))),
        }
    }

    /// Orders that adopt has counted without an entry, while their worker still has them (V8 switched off).
    fn in_hand(&self, state: &State) -> Orders {
        if self.holds(Condition::AdoptEntry) {
            return 0;
        }
        let adopting = |step| step == WorkerStep::InsertAdopted;
        state
            .workers
            .iter()
            .filter(|worker| adopting(worker.step))
            .fold(0, |orders, worker| orders | worker.counted)
    }

    /// What holds in every state.
    ///
    /// # Errors
    /// The first invariant that does not.
    pub fn check_always(&self, state: &State) -> Result<(), Violation> {
        check(!state.answer_changed, "I7", "a key is answered with another order than before")?;
        self.check_rows(state)?;
        let valid = state.ledger.fence_open && state.ledger.state.standing() && !state.restored;
        if valid { self.check_books(state) } else { Ok(()) }
    }

    fn check_rows(&self, state: &State) -> Result<(), Violation> {
        let database = &state.database;
        let live = database.live();
        check(self.units(live) <= self.instance.stock, "I2", "more live units than there is stock")?;
        let back = database.returned;
        check(self.units(live) + back <= self.instance.stock, "I2", "a live unit is back in the inventory")?;
        for order in each(live) {
            let others = each(live & !(1 << order));
            let twice = others.filter(|&other| self.user(other) == self.user(order)).count() > 0;
            check(!twice, "I3", "a user has two live orders")?;
            check(self.quantity(order) <= self.instance.user_limit, "I3", "a user has more than the limit")?;
        }
        for order in each(state.accepted) {
            let rows = database.of(order);
            let spoilt = state.data_lost || self.poison(order);
            let unlucky = matches!(rows.row, Row::Rejected | Row::Lost) && !spoilt;
            check(!unlucky, "I4", "an accepted order is rejected although no data was lost")?;
            let paid_twice = rows.row == Row::Cancelled && rows.payment == Payment::Applied;
            check(!paid_twice, "I5", "an order is paid and cancelled")?;
            let resold = rows.row == Row::Paid && rows.marker != Marker::Absent;
            check(!resold, "I5", "an order is paid whose stock has been given back")?;
            check(rows.payment != Payment::Kept, "I5", "money of a dead order is kept")?;
            let paid = (rows.row == Row::Paid) == (rows.payment == Payment::Applied);
            check(paid || state.restored || state.data_lost, "I5", "an order and its payment disagree")?;
            let marked = rows.row != Row::Cancelled || rows.marker != Marker::Absent;
            check(marked, "I6", "a cancelled order has no marker")?;
        }
        Ok(())
    }

    /// What holds whenever the ledger's figures are valid and its fence is open, also between a bump and its begin.
    fn check_books(&self, state: &State) -> Result<(), Violation> {
        let figures = self.figures(state);
        check(figures.left >= 0, "I1", "the stock is below zero")?;
        check(figures.sum() <= self.instance.stock, "I2", "R + L + F + K > S: units are sold twice")?;
        check(figures.sum() >= self.instance.stock, "I1", "R + L + F + K < S: units are gone")?;
        for order in each(state.database.live()) {
            check(self.holds_claim(&state.ledger, order), "I3", "a live order is not its user's claim")?;
        }
        Ok(())
    }

    /// What holds when nothing is left to do.
    ///
    /// # Errors
    /// The first condition of rest that does not.
    pub fn check_rest(&self, state: &State) -> Result<(), Violation> {
        let (ledger, database) = (&state.ledger, &state.database);
        let figures = self.figures(state);
        check(ledger.outbox.is_empty(), "rest", "an entry stays in the outbox for ever")?;
        check(figures.flying == 0, "I1", "F is not 0 at rest")?;
        check(figures.kept == 0, "I6", "K is not 0 at rest: a dead order is never restocked")?;
        check(figures.left == self.instance.stock - figures.live, "I1", "R is not S - L at rest")?;
        check(ledger.inflight == 0, "rest", "units stay in flight for ever")?;
        check(state.queue.is_empty(), "rest", "a message stays in the queue for ever")?;
        let closed = database.wanted == LedgerState::Closed;
        let whole = figures.live + database.returned == self.instance.stock;
        check(whole || !closed, "rest", "units of a closed event never go back")?;
        let missing = state.accepted & !database.rows() & !state.excused;
        check(missing == 0, "I4", "an accepted order has no row at rest")?;
        let open = database.orders_where(|rows| rows.marker == Marker::Open);
        check(open == 0, "I6", "a restock marker stays open for ever")
    }
}
