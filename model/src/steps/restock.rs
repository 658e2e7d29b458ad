//! The restock job: marker and epoch, `release`, done.

use super::free_slot;
use crate::conditions::Condition;
use crate::list::each;
use crate::model::{Model, Successors};
use crate::state::{Marker, Restock, RestockStep, State};
use crate::step::Step;

impl Model {
    pub(super) fn marker_steps(&self, state: &State, out: &mut Successors) {
        let Some(slot) = free_slot(&state.restocks, self.instance.restocks) else { return };
        let open = state.database.orders_where(|rows| rows.marker == Marker::Open);
        for order in each(open) {
            let mut next = *state;
            next.restocks[slot] = Restock { step: RestockStep::Release, order, epoch: state.database.epoch };
            out.push((Step::ReadMarker(order), next));
        }
    }

    pub(super) fn restock_steps(&self, state: &State, out: &mut Successors) {
        for (slot, job) in state.restocks.iter().enumerate() {
            let mut next = *state;
            match job.step {
                RestockStep::Idle => continue,
                RestockStep::Release => {
                    let released = self.release(&mut next.ledger, job.epoch, job.order);
                    next.restocks[slot] = match released {
                        true => Restock { step: RestockStep::Done, ..*job },
                        false => Restock::default(),
                    };
                    out.push((Step::Release(job.order), next));
                }
                RestockStep::Done => {
                    let same_epoch = state.database.epoch == job.epoch || !self.holds(Condition::DoneEpoch);
                    let rows = next.database.of_mut(job.order);
                    if same_epoch && rows.marker == Marker::Open {
                        rows.marker = Marker::Done;
                    }
                    next.restocks[slot] = Restock::default();
                    out.push((Step::MarkDone(job.order), next));
                }
            }
        }
    }
}
