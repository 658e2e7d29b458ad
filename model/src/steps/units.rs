//! The end of a sale: units that nobody holds go back to the inventory, once nothing accepted is on its way.

use crate::conditions::Condition;
use crate::model::{Model, Successors};
use crate::state::{LedgerState, State};
use crate::step::Step;

impl Model {
    pub(super) fn unit_steps(&self, state: &State, out: &mut Successors) {
        let free = self.free_units(state);
        if state.returning != 0 {
            let same_epoch = state.returning == state.database.epoch;
            let mut next = State { returning: 0, ..*state };
            if same_epoch {
                next.database.returned += free;
            }
            out.push((Step::ReturnUnits(free), next));
        } else if free > 0 && state.database.wanted == LedgerState::Closed && self.nothing_on_its_way(state) {
            out.push((Step::LookAtRest, State { returning: state.database.epoch, ..*state }));
        }
    }

    /// Units of the event that neither a live order nor the inventory has.
    fn free_units(&self, state: &State) -> i8 {
        let database = &state.database;
        database.capacity(self.instance.stock) - self.units(database.live())
    }

    fn nothing_on_its_way(&self, state: &State) -> bool {
        let ledger = &state.ledger;
        let stands =
            ledger.fence_open && ledger.state == LedgerState::Closed && ledger.epoch == state.database.epoch;
        let at_rest = ledger.inflight == 0 && ledger.outbox.is_empty();
        stands && (at_rest || !self.holds(Condition::ReturnAtRest))
    }
}
