//! The relay: entries of the outbox become messages. Reading, publishing and the confirm are one step here, because a relay that
//! dies or is slow between them leaves what a duplicate or a late message leaves. First delivery, takeover of idle entries and
//! republishing are the same step too: an entry is published whenever an order of it has no row.

use crate::conditions::Condition;
use crate::list::List;
use crate::model::{Model, Successors};
use crate::state::{Entry, Message, State};
use crate::step::Step;

impl Model {
    pub(super) fn relay_steps(&self, state: &State, out: &mut Successors) {
        let rows = state.database.rows();
        let again = self.holds(Condition::Republish);
        let due = |entry: &Entry| entry.orders & !rows != 0 && (again || !entry.relayed);
        let entries: List<Entry, { crate::state::ENTRIES }> =
            state.ledger.outbox.iter().filter(due).collect();
        for (at, first) in entries.iter().enumerate() {
            self.publish(state, [first].into_iter().collect(), out);
            for second in entries.iter().skip(at + 1).filter(|_| self.instance.join) {
                self.publish(state, [first, second].into_iter().collect(), out);
            }
        }
    }

    fn publish(&self, state: &State, mut message: Message, out: &mut Successors) {
        message.for_each(|entry| entry.relayed = false);
        let mut next = *state;
        if state.queue.contains(&message) || !next.queue.push(message) {
            return;
        }
        if !self.holds(Condition::Republish) {
            let carried = |entry: &Entry| message.contains(&Entry { relayed: false, ..*entry });
            next.ledger.outbox.for_each(|entry| entry.relayed |= carried(entry));
        }
        out.push((Step::Publish(message), next));
    }
}
