//! Clients and gateways: presses of *buy*, first ones and repeated ones.

use crate::instance::{Fault, Press};
use crate::ledger::Answer;
use crate::model::{Model, Successors};
use crate::state::{Row, State};
use crate::step::Step;

impl Model {
    pub(super) fn press_steps(&self, state: &State, out: &mut Successors) {
        for press in 0..self.instance.presses.len() {
            let again = state.told[press] != 0;
            if again && !self.may_fail(state, Fault::Repeat) || !again && self.twin_waits(state, press) {
                continue;
            }
            let Some(mut next) = self.press(state, &[press]) else { continue };
            next.faults_left -= u8::from(again);
            out.push((Step::Press { first: press as u8, second: None, again }, next));
        }
        if self.instance.batch
            && state.told[..2] == [0, 0]
            && let Some(next) = self.press(state, &[0, 1])
        {
            out.push((Step::Press { first: 0, second: Some(1), again: false }, next));
        }
    }

    /// One call of `reserve`, and what its clients are told. `None` when nothing comes of it.
    fn press(&self, state: &State, presses: &[usize]) -> Option<State> {
        let mut next = *state;
        let answers = self.reserve(&mut next.ledger, presses, state.accepted)?;
        for (&press, answer) in presses.iter().zip(answers) {
            let order = match answer {
                Answer::Accepted(order) | Answer::Known(order) => order + 1,
                Answer::Refused => 0,
            };
            if let Answer::Accepted(order) = answer {
                next.accepted |= 1 << order;
            }
            let told = state.told[press];
            if self.instance.presses[press].keyed && told != 0 && order != told {
                next.answer_changed |= !self.may_change(state, told - 1);
            }
            if order != 0 {
                next.told[press] = order;
            }
        }
        (next != *state).then_some(next)
    }

    /// Whether a key may name another order than the one told before: that one vanished with lost data.
    fn may_change(&self, state: &State, told: u8) -> bool {
        state.data_lost && matches!(state.database.of(told).row, Row::Absent | Row::Lost | Row::Rejected)
    }

    /// Users who want the same and have not pressed yet are the same user: the one before goes first.
    fn twin_waits(&self, state: &State, press: usize) -> bool {
        let presses = self.instance.presses;
        let Some(before) = presses[press].user.checked_sub(1) else { return false };
        let wishes = |user: u8| presses.iter().filter(move |press| press.user == user).map(wish);
        let first = |user: u8| presses.iter().position(|press| press.user == user);
        let fresh = |user: u8| {
            (0..presses.len()).filter(|&at| presses[at].user == user).all(|at| state.told[at] == 0)
        };
        let user = presses[press].user;
        let twins = wishes(user).eq(wishes(before)) && first(user) == Some(press);
        twins && fresh(user) && fresh(before)
    }
}

/// What a press wants, whoever presses.
fn wish(press: &Press) -> Press {
    Press { user: 0, ..*press }
}
