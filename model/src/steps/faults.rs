//! What breaks. Each fault uses up one of the budget; the two that fall back to an earlier copy choose its moment freely.

use crate::conditions::Condition;
use crate::instance::Fault;
use crate::list::{List, Orders};
use crate::model::{Model, Successors};
use crate::state::{Entry, Ledger, Rebuild, RebuildStep, Restock, RestockStep, State, Worker, WorkerStep};
use crate::step::Step;

impl Model {
    pub(super) fn fault_steps(&self, state: &State, out: &mut Successors) {
        self.copies(state, out);
        if state.faults_left == 0 {
            return;
        }
        let from = out.len();
        self.process_faults(state, out);
        self.redis_faults(state, out);
        self.store_faults(state, out);
        for (_, next) in &mut out[from..] {
            next.faults_left -= 1;
        }
    }

    /// The moments that a later fault falls back to: at most one each.
    fn copies(&self, state: &State, out: &mut Successors) {
        if self.may_fail(state, Fault::RedisTail) && state.synced.is_none() {
            out.push((Step::Sync, State { synced: Some(state.ledger), ..*state }));
        }
        if self.may_fail(state, Fault::DatabaseRestored) && state.backup.is_none() {
            out.push((Step::Backup, State { backup: Some(state.database), ..*state }));
        }
    }

    fn process_faults(&self, state: &State, out: &mut Successors) {
        for (slot, worker) in state.workers.iter().enumerate() {
            let has_done_something = worker.step > WorkerStep::Insert || worker.done != 0;
            if has_done_something && self.may_fail(state, Fault::WorkerCrash) {
                let mut next = *state;
                next.workers[slot] = Worker::default();
                out.push((Step::Fault(Fault::WorkerCrash), next));
            }
            if worker.step == WorkerStep::Ack && self.may_fail(state, Fault::AckLost) {
                let mut next = *state;
                next.workers[slot].step = WorkerStep::Settle;
                out.push((Step::Fault(Fault::AckLost), next));
            }
        }
        for (slot, job) in state.restocks.iter().enumerate() {
            if job.step == RestockStep::Done && self.may_fail(state, Fault::RestockCrash) {
                let mut next = *state;
                next.restocks[slot] = Restock::default();
                out.push((Step::Fault(Fault::RestockCrash), next));
            }
        }
        for (slot, rebuild) in state.rebuilds.iter().enumerate() {
            if rebuild.step != RebuildStep::Idle && self.may_fail(state, Fault::RebuildCrash) {
                let mut next = *state;
                next.rebuilds[slot] = Rebuild::default();
                out.push((Step::Fault(Fault::RebuildCrash), next));
            }
        }
        if self.healthy(state)
            && self.may_fail(state, Fault::ForcedRebuild)
            && let Some(next) = self.bump(state, false)
        {
            out.push((Step::Fault(Fault::ForcedRebuild), next));
        }
    }

    fn redis_faults(&self, state: &State, out: &mut Successors) {
        let mut fail = |kind: Fault, ledger: Ledger, restart: bool| {
            if ledger == state.ledger || !self.may_fail(state, kind) {
                return;
            }
            let mut next = *state;
            next.ledger = ledger;
            if restart {
                self.restart(&mut next);
            }
            if kind != Fault::RedisRestart {
                self.lose_data(&mut next, false);
                next.data_lost = true;
            }
            out.push((Step::Fault(kind), next));
        };
        let held = state.ledger;
        fail(Fault::RedisRestart, Ledger { fence_open: false, mark: false, ..held }, true);
        fail(Fault::RedisEmpty, Ledger::default(), true);
        let scripts = Ledger { fence_open: held.fence_open, mark: held.mark, ..Ledger::default() };
        fail(Fault::RedisFlushed, scripts, false);
        if let Some(synced) = state.synced {
            fail(Fault::RedisTail, Ledger { fence_open: false, mark: false, ..synced }, true);
        }
    }

    /// The scripts are gone, and with them every connection.
    fn restart(&self, state: &mut State) {
        state.neighbour_fenced = self.instance.neighbour;
        state.joining &= !self.holds(Condition::JoinConnection);
        if self.holds(Condition::OneConnection) {
            for rebuild in &mut state.rebuilds {
                if rebuild.step != RebuildStep::Idle {
                    *rebuild = Rebuild::default();
                }
            }
        }
    }

    fn store_faults(&self, state: &State, out: &mut Successors) {
        if !state.queue.is_empty() && self.may_fail(state, Fault::BrokerWiped) {
            let mut next = State { queue: List::default(), ..*state };
            self.lose_data(&mut next, false);
            out.push((Step::Fault(Fault::BrokerWiped), next));
        }
        if let Some(backup) = state.backup
            && backup != state.database
            && self.may_fail(state, Fault::DatabaseRestored)
        {
            let mut next = State { database: backup, restored: true, ..*state };
            for rebuild in &mut next.rebuilds {
                rebuild.outdated = rebuild.step != RebuildStep::Idle;
            }
            self.lose_data(&mut next, true);
            next.data_lost = true;
            out.push((Step::Fault(Fault::DatabaseRestored), next));
        }
    }

    /// Data is gone: orders of which no copy is left are excused from having a row.
    fn lose_data(&self, state: &mut State, rows_lost: bool) {
        // A worker past its commit acknowledges a message whose rows a restore has taken away.
        let committed = |worker: &&Worker| worker.step == WorkerStep::Ack;
        let acknowledged = state.workers.iter().filter(committed).map(|worker| worker.message);
        let doubtful = match rows_lost || state.backup.is_some() {
            true => acknowledged.fold(0, |orders, message| orders | of_message(message.iter())),
            false => 0,
        };
        let queued = state.queue.iter().fold(0, |orders, message| orders | of_message(message.iter()));
        let outbox = state.ledger.outbox_orders();
        // What only claims and keys know becomes a LOST row, if a rebuild follows.
        let known = if self.healthy(state) { 0 } else { state.ledger.known() };
        let copies = state.database.rows() | outbox | known | (queued & !doubtful);
        state.excused |= state.accepted & !copies;
    }
}

fn of_message(entries: impl Iterator<Item = Entry>) -> Orders {
    entries.fold(0, |orders, entry| orders | entry.orders)
}
