//! The watch and the rebuild: the ledger made anew from rows and outbox.

use super::free_slot;
use crate::conditions::Condition;
use crate::list::each;
use crate::model::{Model, Successors};
use crate::state::{LedgerState, Rebuild, RebuildStep, Row, State};
use crate::step::Step;

impl Model {
    pub(super) fn rebuild_steps(&self, state: &State, unbounded: bool, out: &mut Successors) {
        for (slot, rebuild) in state.rebuilds.iter().enumerate() {
            if rebuild.step == RebuildStep::Idle {
                continue;
            }
            let mut next = *state;
            let goes_on = self.rebuild_on(&mut next, slot);
            if !goes_on {
                next.rebuilds[slot] = Rebuild::default();
            }
            out.push((Step::Rebuild(rebuild.epoch, rebuild.step), next));
        }
        self.join_steps(state, out);
        if self.needs_scripts(state) {
            // The watch joins the fence instead.
        } else if !self.healthy(state) {
            if let Some(next) = self.bump(state, unbounded) {
                out.push((Step::Bump(next.database.epoch), next));
            }
        } else if state.ledger.state != state.database.wanted {
            let mut next = *state;
            self.transition(&mut next.ledger, state.database.epoch, state.database.wanted);
            out.push((Step::Transition(state.database.wanted), next));
        }
        if let (wanted @ (LedgerState::Open | LedgerState::Paused | LedgerState::Closed), epoch) =
            state.slow_watch
        {
            let mut next = State { slow_watch: Default::default(), ..*state };
            self.transition(&mut next.ledger, epoch, wanted);
            out.push((Step::Transition(wanted), next));
        }
        if state.neighbour_fenced {
            let mut next = *state;
            next.neighbour_fenced = false;
            next.ledger.fence_open |= !self.holds(Condition::FencePerEvent);
            out.push((Step::NeighbourRebuilt, next));
        }
    }

    /// The first step: an epoch above every one before. `None`: every rebuild is busy, or the instance ends here.
    pub(super) fn bump(&self, state: &State, unbounded: bool) -> Option<State> {
        let slot = free_slot(&state.rebuilds, self.instance.rebuilds)?;
        let above = if self.holds(Condition::EpochAboveAll) { state.epoch_max } else { state.database.epoch };
        let epoch = above + 1;
        if epoch > self.instance.epoch_max && !unbounded {
            return None;
        }
        let step = if self.holds(Condition::Begin) { RebuildStep::Begin } else { RebuildStep::Read };
        let mut next = *state;
        next.epoch_max = state.epoch_max.max(epoch);
        next.database.epoch = epoch;
        next.rebuilds[slot] = Rebuild { step, epoch, ..Rebuild::default() };
        Some(next)
    }

    /// A rebuild's next step; false when it is refused or done.
    fn rebuild_on(&self, state: &mut State, slot: usize) -> bool {
        let Rebuild { step, epoch, .. } = state.rebuilds[slot];
        let following = match step {
            RebuildStep::Idle => return false,
            RebuildStep::Begin if self.begin(&mut state.ledger, epoch) => RebuildStep::Read,
            RebuildStep::Read => {
                let rebuild = &mut state.rebuilds[slot];
                rebuild.outbox = state.ledger.outbox;
                rebuild.known = state.ledger.known();
                RebuildStep::Snapshot
            }
            RebuildStep::Snapshot if self.snapshot(state, slot) => RebuildStep::Load,
            RebuildStep::Load if self.begun(&state.ledger, epoch) => {
                let plan = self.plan(&state.rebuilds[slot]);
                let ledger = &mut state.ledger;
                (ledger.claims, ledger.keyed, ledger.keyless) = (plan.claims, plan.keyed, plan.keyless);
                RebuildStep::Open
            }
            RebuildStep::Open if self.begun(&state.ledger, epoch) => {
                self.open(state, slot);
                match self.holds(Condition::CloseMarkers) {
                    true => RebuildStep::Fence,
                    false => RebuildStep::CloseMarkers,
                }
            }
            RebuildStep::CloseMarkers => {
                state.database.close_markers();
                RebuildStep::Fence
            }
            RebuildStep::Fence if self.instance.versions => {
                state.ledger.mark = true;
                RebuildStep::Scripts
            }
            RebuildStep::Fence | RebuildStep::Scripts => {
                state.ledger.fence_open = true;
                return false;
            }
            RebuildStep::Begin | RebuildStep::Snapshot | RebuildStep::Load | RebuildStep::Open => {
                return false;
            }
        };
        state.rebuilds[slot].step = following;
        true
    }

    /// The transaction in the middle; false when the epoch has moved.
    fn snapshot(&self, state: &mut State, slot: usize) -> bool {
        let database = &mut state.database;
        let rebuild = &mut state.rebuilds[slot];
        if database.epoch != rebuild.epoch && self.holds(Condition::SnapshotEpoch) {
            return false;
        }
        if self.holds(Condition::CloseMarkers) {
            database.close_markers();
        }
        if self.holds(Condition::LostRows) {
            let in_outbox = rebuild.outbox.iter().fold(0, |orders, entry| orders | entry.orders);
            for order in each(rebuild.known & !in_outbox & !database.rows()) {
                database.of_mut(order).row = Row::Lost;
            }
        }
        rebuild.known = 0;
        (rebuild.live, rebuild.rows) = (database.live(), database.rows());
        rebuild.cancelled = database.orders_where(|rows| rows.row == Row::Cancelled);
        rebuild.wanted = database.wanted;
        true
    }

    /// The figures become valid; what was read is not needed any more.
    fn open(&self, state: &mut State, slot: usize) {
        let rebuild = state.rebuilds[slot];
        let plan = self.plan(&rebuild);
        let ledger = &mut state.ledger;
        self.set_epoch(ledger, rebuild.epoch);
        (ledger.stock, ledger.inflight, ledger.state) = (plan.stock, plan.inflight, rebuild.wanted);
        state.restored &= rebuild.outdated;
        state.rebuilds[slot] = Rebuild { step: rebuild.step, epoch: rebuild.epoch, ..Rebuild::default() };
    }
}
