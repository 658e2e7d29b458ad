//! Every step that a state allows. Work comes first and in the order in which it helps, so that the first step that is work
//! leads to rest when nothing new happens.

mod faults;
mod gateway;
mod join;
mod orders;
mod rebuild;
mod relay;
mod restock;
mod units;
mod worker;

use crate::model::{Model, Successors};
use crate::state::State;
use crate::step::{Cause, Step};

impl Model {
    /// Puts everything that can happen in `state` into `out`, which is emptied first.
    pub fn successors(&self, state: &State, out: &mut Successors) {
        out.clear();
        self.work(state, false, out);
        self.press_steps(state, out);
        self.order_choices(state, out);
        self.operator_steps(state, out);
        self.fault_steps(state, out);
        out.iter_mut().for_each(|(_, next)| *next = next.sorted());
    }

    /// The next step of the drain: nobody buys, cancels or operates, nothing fails, epochs rise as far as they must. `None`: the
    /// system is at rest.
    pub fn drain(&self, state: &State) -> Option<(Step, State)> {
        let mut out = Successors::new();
        self.work(state, true, &mut out);
        out.into_iter()
            .find(|(step, _)| step.cause() == Cause::Work)
            .map(|(step, next)| (step, next.sorted()))
    }

    fn work(&self, state: &State, unbounded: bool, out: &mut Successors) {
        self.rebuild_steps(state, unbounded, out);
        self.restock_steps(state, out);
        self.worker_steps(state, out);
        self.receive_steps(state, out);
        self.relay_steps(state, out);
        self.payment_steps(state, out);
        self.marker_steps(state, out);
        self.unit_steps(state, out);
    }
}

/// The first slot that does nothing, if fewer than `most` are busy.
fn free_slot<T: Default + PartialEq>(slots: &[T], most: usize) -> Option<usize> {
    let idle = T::default();
    let busy = slots.iter().filter(|slot| **slot != idle).count();
    (busy < most).then(|| slots.iter().position(|slot| *slot == idle))?
}
