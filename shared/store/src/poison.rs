//! Orders that cannot be written: rejected, kept as a dead letter, and out of the way (V11).

use spike_domain::{EventId, OrderStatus, QueuedOrder};

use crate::dead_letters::Letter;
use crate::order_rows::{existing, insert_markers, insert_rows, key_fits};
use crate::transaction::under_lock;
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
    /// Gives a poison order a REJECTED row, a restock marker and a dead letter in one transaction, if the
    /// event is in `epoch` (the epoch of its entry, or of its adoption as counted). An order that has a row
    /// is left alone. Returns the status of its row. Errors: `NotFound`.
    pub async fn insert_poison(
        &self,
        event: EventId,
        epoch: u64,
        poison: Poison<'_>,
    ) -> Result<Fenced<OrderStatus>> {
        under_lock!(self, event, |tx, locked| {
            if locked.row.epoch != epoch {
                return Ok(Fenced::EpochMoved { now: locked.row.epoch });
            }
            let order = writable(poison.order);
            if let Some(status) = existing(tx, &[order.order]).await?.get(&order.order) {
                return Ok(Fenced::Done(*status));
            }
            insert_rows(tx, locked, &[(&order, OrderStatus::Rejected)]).await?;
            insert_markers(tx, locked, &[(order.order, order.user, order.quantity)]).await?;
            let letter = Letter {
                source: poison.source,
                message_id: poison.message_id,
                reason: poison.reason,
                payload: poison.payload,
                event: Some(event),
                order: Some(order.order),
            };
            letter.keep(tx).await?;
            Ok(Fenced::Done(OrderStatus::Rejected))
        })
    }
}

/// The order as its row can hold it: a key that is no key is dropped, figures are cut to their column's
/// range. The whole of it is in the dead letter's payload.
fn writable(order: &QueuedOrder) -> QueuedOrder {
    let column_max = i32::MAX.unsigned_abs();
    QueuedOrder {
        order: order.order,
        user: order.user,
        quantity: order.quantity.clamp(1, column_max),
        key: order.key.clone().filter(|_| key_fits(order)),
        accepted_at_ms: order.accepted_at_ms,
    }
}
