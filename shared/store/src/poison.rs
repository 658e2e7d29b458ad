//! Orders that cannot be written and messages that cannot be read: kept, visible, and out of the way (V11).

use spike_domain::{EventId, OrderStatus, QueuedOrder};

use crate::{Fenced, Result, Store};

/// An order that no INSERT takes, as bisection found it.
#[derive(Debug, Clone, Copy)]
pub struct Poison<'a> {
    /// The order; what its row cannot hold is cut or left out.
    pub order: &'a QueuedOrder,
    /// Where it came from, for example the queue's name.
    pub source: &'a str,
    /// The message it came in.
    pub message_id: &'a str,
    /// Why it could not be written.
    pub reason: &'a str,
    /// The message's bytes.
    pub payload: &'a [u8],
}

impl Store {
    /// Gives a poison order a REJECTED row, a restock marker and a dead letter in one transaction, if the event is in
    /// `epoch` (the epoch of its entry, or of its adoption as counted). An order that has a row is left alone. Returns the status
    /// of its row. Errors: `NotFound`.
    pub async fn insert_poison(
        &self,
        event: EventId,
        epoch: u64,
        poison: Poison<'_>,
    ) -> Result<Fenced<OrderStatus>> {
        let _ = (event, epoch, poison);
        Err(crate::unwritten())
    }

    /// Keeps a message that could not be read. The same `message_id` of a source may be kept more than once.
    pub async fn park_message(
        &self,
        source: &str,
        message_id: &str,
        reason: &str,
        payload: &[u8],
    ) -> Result<()> {
        let _ = (source, message_id, reason, payload);
        Err(crate::unwritten())
    }
}
