//! What the ledger alone may know: its claims and keys, and the orders of its outbox.

use std::collections::HashSet;

use spike_domain::{EventId, OrderId, OutboxEntry, QueuedOrder};
use spike_stock::{Stock, StockError};
use spike_store::KnownClaim;

/// Entries of one read.
const PAGE_ENTRIES: usize = 256;

/// Every entry of the outbox, in stream order. An entry that cannot be read is an error: a newer version's orders would be
/// taken for lost ones, and their stock sold again.
pub(super) async fn outbox(ledger: &Stock, event: EventId) -> Result<Vec<OutboxEntry>, StockError> {
    let (mut entries, mut after) = (Vec::new(), None);
    loop {
        let page = ledger.entries(event, after, PAGE_ENTRIES).await?;
        if page.unreadable > 0 {
            return Err(StockError::reply("outbox", &format_args!("{} unreadable entries", page.unreadable)));
        }
        after = page.entries.last().map(|entry| entry.id);
        entries.extend(page.entries);
        if page.next.is_none() {
            return Ok(entries);
        }
    }
}

/// Every order that is somebody's claim or that a key remembers, once.
pub(super) async fn claims(ledger: &Stock, event: EventId) -> Result<Vec<KnownClaim>, StockError> {
    let known = ledger.known_orders(event).await?.into_iter();
    Ok(known
        .map(|QueuedOrder { order, user, quantity, key, .. }| KnownClaim { order, user, quantity, key })
        .collect())
}

/// Orders of entries.
pub(super) fn order_ids(entries: &[OutboxEntry]) -> HashSet<OrderId> {
    entries.iter().flat_map(|entry| &entry.orders).map(|order| order.order).collect()
}
