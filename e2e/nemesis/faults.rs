//! The table of faults. A fault is a row: its name, what it needs, what it must be over in, and how it strikes.

use std::time::{Duration, Instant};

use fastrand::Rng;
use loadtest::proof::Allowances;
use spike_domain::clock::now_ms;

use super::arena::{Arena, Side};
use super::redis_data::Copy;
use super::{broker, database, messages, processes, redis};

/// What must be over in time, and how its end is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Over {
    /// A process is ready and answers buyers.
    Process,
    /// Every ledger is open and both gateways sell.
    Redis,
    /// Everything that waited has its row.
    Backlog,
    /// The database is used again, and everything that waited has its row.
    Database,
}

impl Over {
    /// The bound.
    pub fn within(self) -> Duration {
        Duration::from_secs(match self {
            Self::Process => 5,
            Self::Redis | Self::Database => 30,
            Self::Backlog => 20,
        })
    }
}

/// Which server has to be the arena's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// None.
    Nothing,
    /// The broker.
    Broker,
    /// The database.
    Database,
    /// The right to mount.
    Root,
}

/// A row of the table.
#[derive(Clone, Copy)]
pub struct Fault {
    /// What it is called.
    pub name: &'static str,
    /// What it needs.
    pub needs: Needs,
    /// What must be over in time.
    pub over: Over,
    /// Whether it takes a minute or more, and so comes once in a while only.
    pub long: bool,
    /// Strikes, lasts and is healed.
    pub strike: fn(&mut Scene<'_>) -> Back,
}

/// What a fault works with.
pub struct Scene<'a> {
    /// The system.
    pub arena: &'a mut Arena,
    /// Chance.
    pub rng: &'a mut Rng,
    /// What cannot be promised any more.
    pub allowed: &'a mut Allowances,
    /// A copy of Redis' data from earlier.
    pub copy: &'a mut Option<Copy>,
    /// Entries of the outbox seen before, for messages that come late.
    pub seen: &'a mut Vec<messages::Seen>,
    /// How much longer a relay waits before it publishes an entry again.
    pub republish_after: Duration,
}

/// When all was back as before.
#[derive(Debug, Clone, Copy)]
pub struct Back {
    /// The moment.
    pub at: Instant,
    /// How much of what follows is the relay's set patience, not recovery.
    pub patience: Duration,
}

impl Back {
    /// Now.
    pub fn now() -> Self {
        Self { at: Instant::now(), patience: Duration::ZERO }
    }
}

impl Scene<'_> {
    /// One of two.
    pub fn side(&mut self) -> Side {
        if self.rng.bool() { Side::A } else { Side::B }
    }

    /// A length of time between two.
    pub fn between(&mut self, from_ms: u64, to_ms: u64) -> Duration {
        Duration::from_millis(self.rng.u64(from_ms..=to_ms))
    }

    /// Runs `work`, in which nobody can cancel what is not paid.
    pub fn while_nobody_cancels<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let from = now_ms();
        let done = work(self);
        self.allowed.idle.push((from, now_ms()));
        done
    }
}

const fn fault(name: &'static str, needs: Needs, over: Over, strike: fn(&mut Scene<'_>) -> Back) -> Fault {
    Fault { name, needs, over, long: false, strike }
}

const fn long(fault: Fault) -> Fault {
    Fault { long: true, ..fault }
}

/// All of them.
pub static FAULTS: &[Fault] = &[
    fault("gateway-killed", Needs::Nothing, Over::Process, processes::gateway_killed),
    fault("worker-killed", Needs::Nothing, Over::Process, processes::worker_killed),
    fault("gateway-frozen", Needs::Nothing, Over::Process, processes::gateway_frozen),
    fault("worker-frozen", Needs::Nothing, Over::Process, processes::worker_frozen),
    fault("redis-killed", Needs::Nothing, Over::Redis, redis::killed),
    fault("redis-empty", Needs::Nothing, Over::Redis, redis::emptied),
    fault("redis-older-copy", Needs::Nothing, Over::Redis, redis::older_copy),
    fault("redis-cut", Needs::Nothing, Over::Redis, redis::cut),
    fault("redis-blackhole", Needs::Nothing, Over::Redis, redis::blackhole),
    fault("redis-half-open", Needs::Nothing, Over::Redis, redis::half_open),
    fault("redis-delay", Needs::Nothing, Over::Redis, redis::delayed),
    fault("redis-slow", Needs::Nothing, Over::Redis, redis::slow),
    fault("redis-disk-full", Needs::Root, Over::Redis, redis::disk_full),
    fault("script-flush", Needs::Nothing, Over::Redis, redis::scripts_flushed),
    fault("broker-cut", Needs::Nothing, Over::Backlog, broker::cut),
    fault("broker-killed", Needs::Broker, Over::Backlog, broker::killed),
    long(fault("broker-stopped", Needs::Broker, Over::Backlog, broker::stopped)),
    long(fault("broker-wiped", Needs::Broker, Over::Backlog, broker::wiped)),
    fault("memory-alarm", Needs::Broker, Over::Backlog, broker::memory_alarm),
    long(fault("queue-purged", Needs::Nothing, Over::Backlog, broker::purged)),
    fault("duplicates", Needs::Nothing, Over::Backlog, messages::duplicates),
    fault("poison", Needs::Nothing, Over::Backlog, messages::poison),
    fault("database-killed", Needs::Database, Over::Database, database::killed),
    fault("database-cut", Needs::Nothing, Over::Database, database::cut),
    fault("database-blackhole", Needs::Nothing, Over::Database, database::blackhole),
    fault("database-delay", Needs::Nothing, Over::Database, database::delayed),
];

/// The row of a name.
pub fn named(name: &str) -> &'static Fault {
    FAULTS.iter().find(|fault| fault.name == name).unwrap_or_else(|| panic!("no fault is called {name}"))
}
