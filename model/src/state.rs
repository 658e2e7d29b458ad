//! Everything that exists at one moment: one event's ledger in Redis, its rows, its messages, and how far each process
//! has got.

use crate::list::{List, Orders};

/// Users at most.
pub const USERS: usize = 3;
/// Presses of *buy* at most; a press that is repeated is the same one.
pub const PRESSES: usize = 4;
/// Orders at most: the bits of [`Orders`].
pub const ORDERS: usize = 8;
/// Entries of the outbox at most.
pub const ENTRIES: usize = 4;
/// Entries joined into one message at most.
pub const JOINED: usize = 2;
/// Different messages in the queue at most.
pub const MESSAGES: usize = 4;
/// Processes of one kind at most.
pub const SLOTS: usize = 2;

/// What a ledger lets through.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub enum LedgerState {
    /// There is no ledger.
    #[default]
    Absent,
    /// A rebuild has it.
    Recovering,
    /// It sells.
    Open,
    /// It does not sell for now.
    Paused,
    /// It does not sell any more.
    Closed,
}

impl LedgerState {
    /// Whether its figures are valid.
    pub fn standing(self) -> bool {
        matches!(self, Self::Open | Self::Paused | Self::Closed)
    }
}

/// The orders that one call accepted, as they stand in the outbox and travel in messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Entry {
    /// Epoch of its id; 0 is no entry.
    pub epoch: u8,
    /// Sequence of its id.
    pub sequence: u8,
    /// Its orders.
    pub orders: Orders,
    /// Whether the broker has confirmed it once. Kept only where republishing is switched off, else always false.
    pub relayed: bool,
}

/// Entries joined into one message of the queue.
pub type Message = List<Entry, JOINED>;

/// One event in Redis: its keys, and its fence, which is the cache of its two fenced scripts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Ledger {
    /// Whether `reserve` and `adopt` are loaded, of one version or another: they do the same.
    pub fence_open: bool,
    /// Whether the mark is loaded by which versions know that the ledger has been compared. Only where there are two.
    pub mark: bool,
    /// `meta.epoch`, 0 without one.
    pub epoch: u8,
    /// `meta.state`.
    pub state: LedgerState,
    /// R, units.
    pub stock: i8,
    /// Units accepted and not settled.
    pub inflight: i8,
    /// Sequence of the next entry of this epoch.
    pub next_sequence: u8,
    /// `buyers`: order + 1 of each user's claim, 0 without one.
    pub claims: [u8; USERS],
    /// `keys` of presses with a key: order + 1, 0 where the key is unknown.
    pub keyed: [u8; PRESSES],
    /// `keys` of orders without a key: those that are remembered by themselves.
    pub keyless: Orders,
    /// The stream.
    pub outbox: List<Entry, ENTRIES>,
}

/// Status of an order's row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub enum Row {
    /// There is no row.
    #[default]
    Absent,
    /// Live, not paid.
    Pending,
    /// Live, paid.
    Paid,
    /// By its user, or by its deadline.
    Cancelled,
    /// Accepted, and then no place was left or it could not be written.
    Rejected,
    /// Known to Redis with neither row nor entry.
    Lost,
}

/// An order's row in `restock_outbox`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub enum Marker {
    /// There is none.
    #[default]
    Absent,
    /// Its stock is to be given back.
    Open,
    /// It has been.
    Done,
}

/// How far the payment of an order has got.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub enum Payment {
    /// Nobody has tried.
    #[default]
    Absent,
    /// An attempt is recorded.
    Attempted,
    /// The provider has the money, and the order does not know yet.
    Captured,
    /// The order took it: PAID.
    Applied,
    /// The order was dead: the money goes back, once.
    RefundDue,
    /// The provider says that it has no money.
    Declined,
    /// And then it has it after all.
    CapturedLate,
    /// The provider has the money of a dead order, and nobody gives it back.
    Kept,
}

/// What the database holds of an order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct OrderRows {
    /// Its row.
    pub row: Row,
    /// Its restock marker.
    pub marker: Marker,
    /// Its payment.
    pub payment: Payment,
}

/// One event in the database.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Database {
    /// `spike_events.epoch`.
    pub epoch: u8,
    /// What the operator wants the event to be.
    pub wanted: LedgerState,
    /// Units of a closed event that are back in the inventory.
    pub returned: i8,
    /// Rows by order.
    pub orders: [OrderRows; ORDERS],
}

/// What a worker does next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub enum WorkerStep {
    /// Nothing.
    #[default]
    Idle,
    /// First transaction.
    Insert,
    /// The first transaction of a worker that looked at the epoch before (V1 switched off).
    InsertUnguarded,
    /// Ask the ledger about orders of another epoch.
    Adopt,
    /// Second transaction.
    InsertAdopted,
    /// Acknowledge the message.
    Ack,
    /// Drop its entries.
    Settle,
}

/// A worker, or the settle sweep, and the message it has in hand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Worker {
    /// What it does next.
    pub step: WorkerStep,
    /// The entries in its hand.
    pub message: Message,
    /// The epoch it has seen in its last transaction.
    pub epoch: u8,
    /// What the ledger counted of the orders it judged.
    pub counted: Orders,
    /// Orders written one by one, because the batch as a whole was refused.
    pub done: Orders,
}

/// What the restock job does next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub enum RestockStep {
    /// Nothing.
    #[default]
    Idle,
    /// Call `release`.
    Release,
    /// Mark as done.
    Done,
}

/// A restock job with one marker in hand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Restock {
    /// What it does next.
    pub step: RestockStep,
    /// The marker's order.
    pub order: u8,
    /// The epoch read with the marker.
    pub epoch: u8,
}

/// What a rebuild does next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub enum RebuildStep {
    /// Nothing.
    #[default]
    Idle,
    /// Take the ledger.
    Begin,
    /// Read outbox, claims and keys.
    Read,
    /// The transaction that closes markers, writes LOST rows and reads rows.
    Snapshot,
    /// Replace claims and keys.
    Load,
    /// Set the figures and the state.
    Open,
    /// Close markers on their own (V3 switched off).
    CloseMarkers,
    /// Load the fenced scripts, or first the mark where there are two versions.
    Fence,
    /// Load the fenced scripts behind the mark.
    Scripts,
}

/// A rebuild, and what it has read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Rebuild {
    /// What it does next.
    pub step: RebuildStep,
    /// Its epoch.
    pub epoch: u8,
    /// The outbox as it was read.
    pub outbox: List<Entry, ENTRIES>,
    /// Orders that a claim or a key knew.
    pub known: Orders,
    /// Orders with a live row.
    pub live: Orders,
    /// Orders with a row.
    pub rows: Orders,
    /// Orders that were sold and cancelled.
    pub cancelled: Orders,
    /// What the operator wanted when the rows were read.
    pub wanted: LedgerState,
    /// It has read the epoch of a database that has been restored since.
    pub outdated: bool,
}

/// The world at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct State {
    /// The event in Redis.
    pub ledger: Ledger,
    /// What Redis would come back with after losing its tail.
    pub synced: Option<Ledger>,
    /// The event in the database.
    pub database: Database,
    /// A copy of the database from earlier.
    pub backup: Option<Database>,
    /// Messages in the queue; a message is there until it is acknowledged.
    pub queue: List<Message, MESSAGES>,
    /// Workers.
    pub workers: [Worker; SLOTS],
    /// Restock jobs.
    pub restocks: [Restock; SLOTS],
    /// Rebuilds.
    pub rebuilds: [Rebuild; SLOTS],
    /// A watch that is slow: the state it has read of the event, and its epoch.
    pub slow_watch: (LedgerState, u8),
    /// The epoch in which the ledger was seen closed with nothing on its way, 0 if it was not looked at.
    pub returning: u8,
    /// Another event of the same Redis is behind its fence.
    pub neighbour_fenced: bool,
    /// A worker has seen the mark and is about to load its version's scripts.
    pub joining: bool,
    /// Orders that were ever accepted by `reserve`.
    pub accepted: Orders,
    /// What the client was last told of each press: order + 1, 0 for nothing.
    pub told: [u8; PRESSES],
    /// A repeated press was answered otherwise than the first one.
    pub answer_changed: bool,
    /// Orders whose only copy was in data that a fault destroyed.
    pub excused: Orders,
    /// Some fault has destroyed data.
    pub data_lost: bool,
    /// The database was restored, and no rebuild has opened the ledger since.
    pub restored: bool,
    /// Largest epoch ever used.
    pub epoch_max: u8,
    /// Faults that may still happen.
    pub faults_left: u8,
    /// Changes of the event's state that the operator may still make.
    pub moves_left: u8,
}

impl State {
    /// Sorts what has no order, so that fewer states differ.
    pub fn sorted(mut self) -> Self {
        self.queue.sort();
        self.workers.sort_unstable();
        self.restocks.sort_unstable();
        self.rebuilds.sort_unstable();
        self
    }
}
