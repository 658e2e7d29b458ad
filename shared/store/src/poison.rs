//! Orders that cannot be written and messages that cannot be read: kept, visible, and out of the way (V11).

use spike_domain::{EventId, OrderId, OrderStatus, QueuedOrder};

use sqlx::AssertSqlSafe;

use crate::backend::Conn;
use crate::order_rows::{existing, insert_markers, insert_rows, key_fits};
use crate::query::query;
use crate::transaction::{transact, under_lock};
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

/// Longest source, message id and reason that their columns hold, in characters.
const SOURCE_MAX: usize = 64;
const MESSAGE_ID_MAX: usize = 128;
const REASON_MAX: usize = 500;

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
                about: Some((event, order.order)),
            };
            letter.insert(tx).await?;
            Ok(Fenced::Done(OrderStatus::Rejected))
        })
    }

    /// Keeps a message that could not be read. The same `message_id` of a source may be kept more than once.
    pub async fn park_message(
        &self,
        source: &str,
        message_id: &str,
        reason: &str,
        payload: &[u8],
    ) -> Result<()> {
        transact!(self, |tx| { Letter { source, message_id, reason, payload, about: None }.insert(tx).await })
    }
}

/// A row of `dead_letters`.
struct Letter<'a> {
    source: &'a str,
    message_id: &'a str,
    reason: &'a str,
    payload: &'a [u8],
    about: Option<(EventId, OrderId)>,
}

impl Letter<'_> {
    async fn insert(&self, conn: &mut Conn) -> Result<()> {
        let now = conn.dialect().now_ms();
        let text = AssertSqlSafe(format!(
            "INSERT INTO dead_letters (source, message_id, reason, payload, event_id, order_id, created_at_ms) \
             VALUES (?, ?, ?, ?, ?, ?, {now})"
        ));
        let query = query(text)
            .bind(cut(self.source, SOURCE_MAX))
            .bind(cut(self.message_id, MESSAGE_ID_MAX))
            .bind(cut(self.reason, REASON_MAX))
            .bind(self.payload)
            .bind(self.about.map(|(event, _)| event.0))
            .bind(self.about.as_ref().map(|(_, order)| &order.bytes()[..]));
        query.execute(conn).await?;
        Ok(())
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

fn cut(text: &str, characters_max: usize) -> &str {
    let end = text.char_indices().nth(characters_max).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("äöü", 2), "äö");
        assert_eq!(cut("äö", 2), "äö");
        assert_eq!(cut("", 2), "");
    }
}
