//! Workers and the settle sweep: messages become rows, are acknowledged, and leave the outbox.

use super::free_slot;
use crate::conditions::Condition;
use crate::list::{Orders, each};
use crate::model::{Model, Successors};
use crate::state::{Entry, Message, Row, State, Worker, WorkerStep};
use crate::step::Step;

impl Model {
    /// Messages and settled entries that a free worker may take up. A message in another worker's hand may come too: the
    /// broker has lost that worker's connection.
    pub(super) fn receive_steps(&self, state: &State, out: &mut Successors) {
        let Some(slot) = free_slot(&state.workers, self.instance.workers) else { return };
        for message in state.queue.iter() {
            let mut next = *state;
            next.workers[slot] = Worker { step: WorkerStep::Insert, message, ..Worker::default() };
            out.push((Step::Receive(message), next));
        }
        if !self.holds(Condition::SettleSweep) {
            return;
        }
        let rows = state.database.rows();
        let whole = |entry: &Entry| match self.holds(Condition::WholeEntries) {
            true => entry.orders & !rows == 0,
            false => entry.orders & rows != 0,
        };
        for entry in state.ledger.outbox.iter().filter(whole) {
            let (step, epoch) = (WorkerStep::Settle, state.database.epoch);
            let message = [Entry { relayed: false, ..entry }].into_iter().collect();
            let mut next = *state;
            next.workers[slot] = Worker { step, message, epoch, ..Worker::default() };
            out.push((Step::Sweep(entry), next));
        }
    }

    pub(super) fn worker_steps(&self, state: &State, out: &mut Successors) {
        for (slot, worker) in state.workers.iter().enumerate() {
            if worker.step == WorkerStep::Idle {
                continue;
            }
            let mut next = *state;
            if self.advance(&mut next, slot) {
                out.push((Step::Work(worker.step, worker.message), next));
            }
        }
    }

    /// Does a worker's next step. False when the instance has no room for what comes of it.
    fn advance(&self, state: &mut State, slot: usize) -> bool {
        let worker = state.workers[slot];
        match worker.step {
            WorkerStep::Idle => return false,
            WorkerStep::Insert => self.insert(state, slot),
            WorkerStep::InsertUnguarded => {
                let own = orders(&worker.message, |entry| entry.epoch == worker.epoch);
                self.write_orders(&mut state.database, own);
                let foreign = foreign(state, &worker.message, worker.epoch);
                state.workers[slot].step = if foreign == 0 { WorkerStep::Ack } else { WorkerStep::Adopt };
            }
            WorkerStep::Adopt => return self.ask_ledger(state, slot),
            WorkerStep::InsertAdopted => self.insert_adopted(state, slot),
            WorkerStep::Ack => {
                state.queue.take(|message| *message == worker.message);
                state.workers[slot].step = WorkerStep::Settle;
            }
            WorkerStep::Settle => {
                let written = |entry: &Entry| {
                    self.holds(Condition::PoisonRow) || !each(entry.orders).any(|order| self.poison(order))
                };
                let entries = worker.message.iter().filter(written).collect();
                self.settle(&mut state.ledger, worker.epoch, &entries);
                state.workers[slot] = Worker::default();
            }
        }
        true
    }

    /// First transaction: rows for entries of the event's epoch; the others must have rows already, or the ledger is asked.
    fn insert(&self, state: &mut State, slot: usize) {
        let epoch = state.database.epoch;
        let message = state.workers[slot].message;
        let own = orders(&message, |entry| entry.epoch == epoch);
        state.workers[slot].epoch = epoch;
        if !self.holds(Condition::InsertEpoch) && own != 0 {
            state.workers[slot].step = WorkerStep::InsertUnguarded;
            return;
        }
        if !self.write_run(state, slot, own, own) {
            return;
        }
        let foreign = foreign(state, &message, epoch);
        let step = if foreign == 0 { WorkerStep::Ack } else { WorkerStep::Adopt };
        state.workers[slot].step = step;
        state.workers[slot].done = 0;
    }

    /// Writes `all` in one transaction, or one order a transaction where one of them is refused. True when all is written.
    fn write_run(&self, state: &mut State, slot: usize, all: Orders, counted: Orders) -> bool {
        let spoilt = each(all).any(|order| self.poison(order) && state.database.of(order).row == Row::Absent);
        let done = state.workers[slot].done;
        if !spoilt && done == 0 {
            self.write_orders(&mut state.database, all & counted);
            self.write_rejected(&mut state.database, all & !counted);
            return true;
        }
        let Some(order) = each(all & !done).next() else { return true };
        let bit = 1 << order;
        if self.poison(order) {
            self.write_poison(&mut state.database, order);
        } else if counted & bit != 0 {
            self.write_orders(&mut state.database, bit);
        } else {
            self.write_rejected(&mut state.database, bit);
        }
        state.workers[slot].done |= bit;
        all & !state.workers[slot].done == 0
    }

    /// The ledger judges every order of the entries of other epochs. Refused: the whole attempt begins again.
    fn ask_ledger(&self, state: &mut State, slot: usize) -> bool {
        let worker = state.workers[slot];
        let foreign = orders(&worker.message, |entry| entry.epoch != worker.epoch);
        let verdict = self.adopt(&mut state.ledger, worker.epoch, foreign);
        state.workers[slot] = match verdict {
            Some(Some(counted)) => Worker { step: WorkerStep::InsertAdopted, counted, ..worker },
            Some(None) => return false,
            None => begin_again(&worker),
        };
        true
    }

    /// Second transaction: the judged orders, if the epoch of the verdict still is the event's.
    fn insert_adopted(&self, state: &mut State, slot: usize) {
        let worker = state.workers[slot];
        if state.database.epoch != worker.epoch && self.holds(Condition::VerdictEpoch) {
            state.workers[slot] = begin_again(&worker);
            return;
        }
        let judged = orders(&worker.message, |entry| entry.epoch != worker.epoch);
        if self.write_run(state, slot, judged, worker.counted) {
            state.workers[slot] =
                Worker { step: WorkerStep::Ack, counted: 0, done: 0, ..state.workers[slot] };
        }
    }
}

/// The message is tried again later, by this worker or by another one.
fn begin_again(worker: &Worker) -> Worker {
    Worker { step: WorkerStep::Insert, message: worker.message, ..Worker::default() }
}

fn orders(message: &Message, which: impl Fn(&Entry) -> bool) -> Orders {
    message.iter().filter(which).fold(0, |orders, entry| orders | entry.orders)
}

/// Orders of entries of other epochs that have an order without a row.
fn foreign(state: &State, message: &Message, epoch: u8) -> Orders {
    let rows = state.database.rows();
    orders(message, |entry| entry.epoch != epoch && entry.orders & !rows != 0)
}
