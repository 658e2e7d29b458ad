//! The names of an event's keys: one hash tag, so that a cluster keeps them in one slot.

use spike_domain::EventId;

use crate::slot::slot_of;

/// Set of the events that have a ledger.
pub const EVENTS: &str = "spike:events";
/// Channel on which an event's id says "look again", and others what was revoked: see [`crate::Hint`].
pub const HINTS: &str = "spike:hints";
/// The relay's consumer group on every outbox.
pub const RELAY_GROUP: &str = "relay";

/// Every key of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventKeys {
    /// Hash: epoch, state, version, limit, cap, doc.
    pub meta: String,
    /// Units left.
    pub stock: String,
    /// Units accepted and not settled.
    pub inflight: String,
    /// Hash: user -> order, state letter, quantity: the current claim only.
    pub buyers: String,
    /// Hash: `user:key hash` (or `user:#order`) -> order, quantity; kept until the event is archived.
    pub keys: String,
    /// Hash: user -> order, state letter: the user's last order that ended without a claim. For status polls only.
    pub ended: String,
    /// Stream of accepted orders.
    pub outbox: String,
}

impl EventKeys {
    /// The keys of `event`.
    pub fn new(event: EventId) -> Self {
        let key = |part: &str| format!("spike:{{{event}}}:{part}");
        Self {
            meta: key("meta"),
            stock: key("stock"),
            inflight: key("inflight"),
            buyers: key("buyers"),
            keys: key("keys"),
            ended: key("ended"),
            outbox: key("outbox"),
        }
    }

    /// The slot all of them are in.
    pub fn slot(&self) -> u16 {
        slot_of(self.meta.as_bytes())
    }

    /// Every key: those of `archive.lua`, in its order.
    pub fn all(&self) -> [&str; 7] {
        [&self.meta, &self.stock, &self.inflight, &self.buyers, &self.keys, &self.ended, &self.outbox]
    }

    /// KEYS of `reserve.lua`, in its order.
    pub fn reserve(&self) -> [&str; 6] {
        [&self.meta, &self.stock, &self.inflight, &self.buyers, &self.keys, &self.outbox]
    }
}
