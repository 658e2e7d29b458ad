//! What users, deadlines, the payment provider and the operator do to orders and to the event.

use crate::instance::Paying;
use crate::list::each;
use crate::model::{Model, Successors};
use crate::state::{LedgerState, Payment, Row, State};
use crate::step::Step;

impl Model {
    /// Cancels by users and deadlines, which are the same here because time is left open, and payments that begin.
    pub(super) fn order_choices(&self, state: &State, out: &mut Successors) {
        for order in each(state.database.orders_where(|rows| rows.row == Row::Pending)) {
            if self.instance.cancels {
                let mut next = *state;
                self.cancel(&mut next.database, order);
                out.push((Step::Cancel(order), next));
            }
            if self.instance.paying == Paying::Provider && state.database.of(order).payment == Payment::Absent
            {
                let mut next = *state;
                next.database.of_mut(order).payment = Payment::Attempted;
                out.push((Step::Attempt(order), next));
            }
        }
        for (order, rows) in (0..).zip(&state.database.orders) {
            let captured = match rows.payment {
                Payment::Attempted => Payment::Captured,
                Payment::Declined => Payment::CapturedLate,
                _ => continue,
            };
            let mut next = *state;
            next.database.of_mut(order).payment = captured;
            out.push((Step::Capture(order), next));
        }
    }

    /// The provider's answers, which the resolver asks for until there is one. Whether the deadline has passed is left open.
    pub(super) fn payment_steps(&self, state: &State, out: &mut Successors) {
        for (order, rows) in (0..).zip(&state.database.orders) {
            let in_time: &[bool] = match rows.payment {
                Payment::Captured => &[true, false],
                Payment::Attempted | Payment::CapturedLate => &[true],
                _ => continue,
            };
            for &in_time in in_time {
                let mut next = *state;
                self.apply_payment(&mut next.database, order, in_time);
                out.push((Step::ApplyPayment(order, in_time), next));
            }
        }
    }

    /// Pause, resume and close, as the state machine of events allows.
    pub(super) fn operator_steps(&self, state: &State, out: &mut Successors) {
        let read = (state.database.wanted, state.database.epoch);
        if state.slow_watch == Default::default() && state.moves_left > 0 {
            out.push((Step::SlowWatch(read.0), State { slow_watch: read, ..*state }));
        }
        if state.moves_left == 0 {
            return;
        }
        let to: &[LedgerState] = match state.database.wanted {
            LedgerState::Open => &[LedgerState::Paused, LedgerState::Closed],
            LedgerState::Paused => &[LedgerState::Open, LedgerState::Closed],
            _ => &[],
        };
        for &wanted in to {
            let mut next = *state;
            next.database.wanted = wanted;
            next.moves_left -= 1;
            out.push((Step::Operate(wanted), next));
        }
    }
}
