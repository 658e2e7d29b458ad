//! An instance with the conditions that hold in it, and the arithmetic of its orders.

use crate::conditions::{Condition, Rules};
use crate::instance::{Fault, Instance};
use crate::list::{Orders, each};
use crate::state::{Database, Ledger, LedgerState, OrderRows, Row, State};
use crate::step::Step;

/// What a state leads to.
pub type Successors = Vec<(Step, State)>;

/// What is explored, under which conditions.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// The sale.
    pub instance: Instance,
    /// The conditions that hold.
    pub rules: Rules,
}

impl Model {
    /// The state in which a warmed-up event begins.
    pub fn start(&self) -> State {
        let (epoch, state) = (1, LedgerState::Open);
        State {
            ledger: Ledger {
                fence_open: true,
                mark: self.instance.versions,
                epoch,
                state,
                stock: self.instance.stock,
                ..Ledger::default()
            },
            database: Database { epoch, wanted: state, ..Database::default() },
            epoch_max: epoch,
            faults_left: self.instance.faults_max,
            moves_left: self.instance.moves_max,
            ..State::default()
        }
    }

    /// Whether a condition holds in this run.
    pub fn holds(&self, condition: Condition) -> bool {
        self.rules.hold(condition)
    }

    /// Whether a fault of this kind may still happen.
    pub fn may_fail(&self, state: &State, kind: Fault) -> bool {
        state.faults_left > 0 && self.instance.faults.has(kind)
    }

    /// The press that led to an order. Orders are numbered so that this needs no memory: the first orders of all presses,
    /// then the second ones.
    pub fn press_of(&self, order: u8) -> usize {
        usize::from(order) % self.instance.presses.len()
    }

    /// The id that the next accepted order of a press gets; `None` where the instance allows no further one.
    pub fn next_order(&self, press: usize, accepted: Orders) -> Option<u8> {
        let presses = self.instance.presses.len();
        let before = each(accepted).filter(|&order| self.press_of(order) == press).count();
        let order = press + presses * before;
        (before < usize::from(self.instance.orders_a_press) && order < 8).then_some(order as u8)
    }

    /// Who bought an order.
    pub fn user(&self, order: u8) -> usize {
        usize::from(self.instance.presses[self.press_of(order)].user)
    }

    /// Units of an order.
    pub fn quantity(&self, order: u8) -> i8 {
        self.instance.presses[self.press_of(order)].quantity
    }

    /// Whether an order was bought with a key.
    pub fn keyed(&self, order: u8) -> bool {
        self.instance.presses[self.press_of(order)].keyed
    }

    /// Whether no INSERT takes an order.
    pub fn poison(&self, order: u8) -> bool {
        self.instance.presses[self.press_of(order)].poison
    }

    /// Units of a set of orders.
    pub fn units(&self, orders: Orders) -> i8 {
        each(orders).map(|order| self.quantity(order)).sum()
    }

    /// Whether an order is its user's claim.
    pub fn holds_claim(&self, ledger: &Ledger, order: u8) -> bool {
        ledger.claims[self.user(order)] == order + 1
    }

    /// Whether the ledger takes part in the work of its epoch: it stands, or (condition switched off) is open.
    pub fn takes_part(&self, state: LedgerState) -> bool {
        if self.holds(Condition::Standing) { state.standing() } else { state == LedgerState::Open }
    }

    /// Whether the watch leaves the ledger as it is, but for its state.
    pub fn healthy(&self, state: &State) -> bool {
        let ledger = &state.ledger;
        ledger.fence_open
            && ledger.state.standing()
            && ledger.epoch == state.database.epoch
            && !state.restored
    }
}

impl Database {
    /// Orders whose rows fit.
    pub fn orders_where(&self, fits: impl Fn(&OrderRows) -> bool) -> Orders {
        let bit = |(order, rows): (usize, &OrderRows)| if fits(rows) { 1 << order } else { 0 };
        self.orders.iter().enumerate().map(bit).fold(0, |set, bit: Orders| set | bit)
    }

    /// Orders with a row of any status.
    pub fn rows(&self) -> Orders {
        self.orders_where(|rows| rows.row != Row::Absent)
    }

    /// Orders with a live row.
    pub fn live(&self) -> Orders {
        self.orders_where(|rows| matches!(rows.row, Row::Pending | Row::Paid))
    }

    /// Units that may be live: what has gone back to the inventory is not for sale any more.
    pub fn capacity(&self, stock: i8) -> i8 {
        stock - self.returned
    }

    /// An order's rows.
    pub fn of(&self, order: u8) -> &OrderRows {
        &self.orders[usize::from(order)]
    }

    /// An order's rows, to be changed.
    pub fn of_mut(&mut self, order: u8) -> &mut OrderRows {
        &mut self.orders[usize::from(order)]
    }
}

impl Ledger {
    /// Orders of all entries.
    pub fn outbox_orders(&self) -> Orders {
        self.outbox.iter().fold(0, |orders, entry| orders | entry.orders)
    }

    /// Orders that a claim or a key knows.
    pub fn known(&self) -> Orders {
        let bit = |&order: &u8| if order == 0 { 0 } else { 1 << (order - 1) };
        self.claims.iter().chain(&self.keyed).map(bit).fold(self.keyless, |set, bit: Orders| set | bit)
    }
}
