//! Two versions beside each other: a worker that finds the mark of a compared ledger adds its own scripts to those of the other.

use crate::conditions::Condition;
use crate::model::{Model, Successors};
use crate::state::{Ledger, State};
use crate::step::Step;

impl Model {
    pub(super) fn join_steps(&self, state: &State, out: &mut Successors) {
        if state.joining {
            let mut next = State { joining: false, ..*state };
            next.ledger.fence_open = true;
            out.push((Step::Join, next));
        } else if self.needs_scripts(state) {
            out.push((Step::LookAtMark, State { joining: true, ..*state }));
        } else if self.instance.versions && state.ledger.mark {
            out.push((Step::OthersLook, State { joining: true, ..*state }));
        }
    }

    /// Whether the ledger is as it should be and has been compared, but the scripts are missing.
    pub(super) fn needs_scripts(&self, state: &State) -> bool {
        let scripts_loaded = State { ledger: Ledger { fence_open: true, ..state.ledger }, ..*state };
        let compared = state.ledger.mark || !self.holds(Condition::JoinMark);
        self.instance.versions && !state.ledger.fence_open && compared && self.healthy(&scripts_loaded)
    }
}
