//! What can happen between two states, in words.

use std::fmt;

use crate::instance::Fault;
use crate::list::{Orders, each};
use crate::state::{Entry, LedgerState, Message, RebuildStep, WorkerStep};

/// One step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// One call of `reserve` for these presses.
    Press {
        /// A press.
        first: u8,
        /// Another one in the same call.
        second: Option<u8>,
        /// It was answered before.
        again: bool,
    },
    /// The relay publishes a message and the broker confirms it.
    Publish(Message),
    /// A worker gets a message.
    Receive(Message),
    /// A worker's next step.
    Work(WorkerStep, Message),
    /// The settle sweep finds an entry whose orders have rows.
    Sweep(Entry),
    /// A user, or the deadline, cancels an order.
    Cancel(u8),
    /// A payment attempt is recorded.
    Attempt(u8),
    /// The provider captures the money.
    Capture(u8),
    /// The provider's answer about an attempt meets the order, within its deadline or not.
    ApplyPayment(u8, bool),
    /// A restock job reads a marker, with the epoch.
    ReadMarker(u8),
    /// It calls `release`.
    Release(u8),
    /// It marks the marker as done.
    MarkDone(u8),
    /// The watch starts a rebuild: the epoch rises.
    Bump(u8),
    /// A rebuild's next step.
    Rebuild(u8, RebuildStep),
    /// The operator wants another state.
    Operate(LedgerState),
    /// The watch moves the ledger to the state that is wanted.
    Transition(LedgerState),
    /// A watch reads what is wanted, and is slow to act on it.
    SlowWatch(LedgerState),
    /// The ledger of a closed event is looked at: nothing is on its way.
    LookAtRest,
    /// So many units go back to the inventory.
    ReturnUnits(i8),
    /// Another event's rebuild loads the scripts.
    NeighbourRebuilt,
    /// The watch finds the ledger compared, and no scripts.
    LookAtMark,
    /// A worker of the other version finds the ledger compared.
    OthersLook,
    /// It loads its scripts.
    Join,
    /// Redis syncs its file: a restart may come back to this moment.
    Sync,
    /// The database is copied.
    Backup,
    /// A fault.
    Fault(Fault),
}

/// Whether a step happens by itself, or somebody wants it, or it is a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The system does it until nothing is left to do.
    Work,
    /// A client, an operator or a clock.
    Choice,
    /// A fault.
    Fault,
}

impl Step {
    /// Why it happens.
    pub fn cause(self) -> Cause {
        match self {
            Self::Press { again: true, .. } | Self::Fault(_) => Cause::Fault,
            Self::Press { .. }
            | Self::Cancel(_)
            | Self::Attempt(_)
            | Self::Capture(_)
            | Self::Operate(_)
            | Self::SlowWatch(_)
            | Self::OthersLook
            | Self::Sync
            | Self::Backup => Cause::Choice,
            _ => Cause::Work,
        }
    }
}

/// Orders as a trace names them: by number, press by press; the second orders follow the first ones.
pub(crate) struct Named(pub(crate) Orders);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, order) in each(self.0).enumerate() {
            write!(f, "{}{order}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

struct Letter<'a>(&'a Message);

impl fmt::Display for Letter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[")?;
        for (at, entry) in self.0.iter().enumerate() {
            let gap = if at == 0 { "" } else { " + " };
            write!(f, "{gap}{entry}")?;
        }
        write!(f, "]")
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}: orders {}", self.epoch, self.sequence, Named(self.orders))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Press { first, second: None, again: false } => write!(f, "gateway: press {first}"),
            Self::Press { first, second: Some(second), .. } => {
                write!(f, "gateway: presses {first} and {second} in one call")
            }
            Self::Press { first, again: true, .. } => write!(f, "FAULT press {first} once more"),
            Self::Publish(message) => write!(f, "relay: publishes {}", Letter(&message)),
            Self::Receive(message) => write!(f, "worker: receives {}", Letter(&message)),
            Self::Work(step, message) => write!(f, "worker: {} {}", work(step), Letter(&message)),
            Self::Sweep(entry) => write!(f, "sweep: finds that every order of {entry} has a row"),
            Self::Cancel(order) => write!(f, "order {order} is cancelled"),
            Self::Attempt(order) => write!(f, "payment of order {order} is attempted"),
            Self::Capture(order) => write!(f, "the provider captures the money of order {order}"),
            Self::ApplyPayment(order, in_time) => {
                let when = if in_time { "in time" } else { "after the deadline" };
                write!(f, "the provider's answer about order {order} is applied, {when}")
            }
            Self::ReadMarker(order) => write!(f, "restock: reads the marker of order {order}"),
            Self::Release(order) => write!(f, "restock: releases order {order}"),
            Self::MarkDone(order) => write!(f, "restock: marks order {order} as done"),
            Self::Bump(epoch) => write!(f, "rebuild {epoch}: raises the epoch"),
            Self::Rebuild(epoch, step) => write!(f, "rebuild {epoch}: {}", rebuild(step)),
            Self::Operate(state) => write!(f, "operator: wants the event {state:?}"),
            Self::Transition(state) => write!(f, "watch: moves the ledger to {state:?}"),
            Self::SlowWatch(state) => write!(f, "a slow watch: reads that the event is to be {state:?}"),
            Self::LookAtRest => write!(f, "units: the closed ledger has nothing on its way"),
            Self::ReturnUnits(units) => write!(f, "units: {units} go back to the inventory"),
            Self::NeighbourRebuilt => write!(f, "another event's rebuild loads its scripts"),
            Self::LookAtMark => write!(f, "watch: finds the mark and no scripts"),
            Self::OthersLook => write!(f, "a watch of another version: finds the mark"),
            Self::Join => write!(f, "it loads its scripts"),
            Self::Sync => write!(f, "(the last sync of Redis' file before a restart)"),
            Self::Backup => write!(f, "(the copy of the database that will be restored)"),
            Self::Fault(fault) => write!(f, "FAULT {}", broken(fault)),
        }
    }
}

fn work(step: WorkerStep) -> &'static str {
    match step {
        WorkerStep::Idle => "rests",
        WorkerStep::Insert => "first transaction for",
        WorkerStep::InsertUnguarded => "inserts, having looked at the epoch before,",
        WorkerStep::Adopt => "asks the ledger to adopt",
        WorkerStep::InsertAdopted => "second transaction for",
        WorkerStep::Ack => "acknowledges",
        WorkerStep::Settle => "settles",
    }
}

fn rebuild(step: RebuildStep) -> &'static str {
    match step {
        RebuildStep::Idle => "rests",
        RebuildStep::Begin => "begins",
        RebuildStep::Read => "reads outbox, claims and keys",
        RebuildStep::Snapshot => "closes markers, writes LOST rows, reads rows",
        RebuildStep::Load => "loads claims and keys",
        RebuildStep::Open => "opens",
        RebuildStep::CloseMarkers => "closes markers",
        RebuildStep::Fence => "loads the scripts, or their mark",
        RebuildStep::Scripts => "loads the scripts",
    }
}

fn broken(fault: Fault) -> &'static str {
    match fault {
        Fault::Repeat => "a press once more",
        Fault::WorkerCrash => "the worker dies",
        Fault::AckLost => "the acknowledgement is lost",
        Fault::BrokerWiped => "the broker loses every message",
        Fault::RestockCrash => "the restock job dies",
        Fault::RebuildCrash => "the rebuild dies",
        Fault::ForcedRebuild => "somebody has a healthy ledger rebuilt",
        Fault::RedisRestart => "Redis restarts with its data",
        Fault::RedisEmpty => "Redis restarts empty",
        Fault::RedisTail => "Redis restarts without its tail",
        Fault::RedisFlushed => "FLUSHALL",
        Fault::DatabaseRestored => "the database is restored from its copy",
    }
}
