//! What is explored: a sale small enough that every order of events in it can be tried.

/// A press of *buy* by one user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Press {
    /// Who presses.
    pub user: u8,
    /// Units wanted.
    pub quantity: i8,
    /// Whether it carries an idempotency key (each press has another one).
    pub keyed: bool,
    /// Whether no INSERT takes its orders.
    pub poison: bool,
}

impl Press {
    /// A press with a key.
    pub const fn keyed(user: u8, quantity: i8) -> Self {
        Self { user, quantity, keyed: true, poison: false }
    }

    /// A press without a key.
    pub const fn keyless(user: u8, quantity: i8) -> Self {
        Self { user, quantity, keyed: false, poison: false }
    }

    /// The same press, whose orders no INSERT takes.
    pub const fn poisonous(mut self) -> Self {
        self.poison = true;
        self
    }
}

/// Kinds of faults. Each one that happens uses up one of the instance's budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Fault {
    /// A press is sent again, or arrives late a second time.
    Repeat,
    /// A worker dies between two steps.
    WorkerCrash,
    /// An acknowledgement is lost: the message comes again.
    AckLost,
    /// The broker loses every message.
    BrokerWiped,
    /// A restock job dies after its release.
    RestockCrash,
    /// A rebuild dies between two steps.
    RebuildCrash,
    /// A rebuild of a healthy ledger.
    ForcedRebuild,
    /// Redis restarts with its data.
    RedisRestart,
    /// Redis restarts without data.
    RedisEmpty,
    /// Redis restarts as it was at an earlier moment.
    RedisTail,
    /// FLUSHALL: data gone, scripts and connections stay.
    RedisFlushed,
    /// The database is restored from an earlier copy.
    DatabaseRestored,
}

/// A set of [`Fault`]s.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Faults(u16);

impl Faults {
    /// None.
    pub const NONE: Self = Self(0);
    /// All but the two that need an older copy, which double the state.
    pub const COMMON: Self = Self::of(&[
        Fault::Repeat,
        Fault::WorkerCrash,
        Fault::AckLost,
        Fault::BrokerWiped,
        Fault::RestockCrash,
        Fault::RebuildCrash,
        Fault::ForcedRebuild,
        Fault::RedisRestart,
        Fault::RedisEmpty,
        Fault::RedisFlushed,
    ]);

    /// The set of `kinds`.
    pub const fn of(kinds: &[Fault]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < kinds.len() {
            bits |= 1 << kinds[at] as u16;
            at += 1;
        }
        Self(bits)
    }

    /// Whether `kind` is in it.
    pub fn has(self, kind: Fault) -> bool {
        self.0 >> kind as u16 & 1 == 1
    }
}

/// How far payments are modelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paying {
    /// Not at all: orders are pending or cancelled.
    Never,
    /// Attempt, capture by the provider, and the conditional update.
    Provider,
}

/// A sale to explore.
#[derive(Clone, Copy, Debug)]
pub struct Instance {
    /// What it is called on the command line.
    pub name: &'static str,
    /// S, units.
    pub stock: i8,
    /// Units one user may hold.
    pub user_limit: i8,
    /// Who presses what.
    pub presses: &'static [Press],
    /// How many orders a press may lead to, after losses of data or without a key.
    pub orders_a_press: u8,
    /// Whether the first two presses may share a call, and so an entry.
    pub batch: bool,
    /// Whether the relay may join entries into one message.
    pub join: bool,
    /// Workers at once.
    pub workers: usize,
    /// Restock jobs at once.
    pub restocks: usize,
    /// Rebuilds at once.
    pub rebuilds: usize,
    /// Faults in all.
    pub faults_max: u8,
    /// Which faults.
    pub faults: Faults,
    /// Largest epoch that is explored; the first one is 1.
    pub epoch_max: u8,
    /// Changes of the event's state by the operator: pause, resume, close.
    pub moves_max: u8,
    /// Payments.
    pub paying: Paying,
    /// Whether orders may be cancelled.
    pub cancels: bool,
    /// Whether another event lives in the same Redis.
    pub neighbour: bool,
    /// Whether workers of two versions share the Redis.
    pub versions: bool,
    /// The search stops when it has seen this many states, and says so.
    pub states_max: usize,
}
