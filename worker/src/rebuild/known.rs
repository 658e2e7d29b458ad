//! What Redis alone may know: its claims and keys, and the orders of its outbox.

use std::collections::HashMap;

use redis::aio::MultiplexedConnection;
use spike_domain::{EventId, OrderId, OutboxEntry, UserId};
use spike_stock::{Claim, EventKeys, Ledger, StockError};
use spike_store::KnownClaim;

/// Entries of one read.
const PAGE_ENTRIES: usize = 256;

/// Every entry of the outbox, in stream order. An entry that cannot be read is an error: a newer version's orders would be
/// taken for lost ones, and their stock sold again.
pub(super) async fn outbox(
    ledger: &Ledger<MultiplexedConnection>,
    event: EventId,
) -> Result<Vec<OutboxEntry>, StockError> {
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
pub(super) async fn claims(
    ledger: &Ledger<MultiplexedConnection>,
    event: EventId,
) -> Result<Vec<KnownClaim>, StockError> {
    let keys = EventKeys::new(event);
    let mut known = HashMap::new();
    let mut cursor = 0;
    loop {
        let (next, fields) = ledger.scan(&keys.keys, cursor).await?;
        for (field, value) in fields {
            match key_claim(&field, &value) {
                Some(claim) => drop(known.insert(claim.order, claim)),
                None => {
                    tracing::error!(%event, field, "a key of the ledger is not readable and is passed over");
                }
            }
        }
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    loop {
        let (next, fields) = ledger.scan(&keys.buyers, cursor).await?;
        for (user, value) in fields {
            match buyer_claim(&user, &value) {
                // The key says more than the claim: it was read first and stays.
                Some(claim) => drop(known.entry(claim.order).or_insert(claim)),
                None => {
                    tracing::error!(%event, user, "a claim of the ledger is not readable and is passed over");
                }
            }
        }
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    Ok(known.into_values().collect::<Vec<KnownClaim>>())
}

/// A field `<user>:<key hash>` or `<user>:#<order>` with its value.
fn key_claim(field: &str, value: &[u8]) -> Option<KnownClaim> {
    let (user, key) = field.split_once(':')?;
    let kept = Claim::parse_key(value)?;
    let key = (!key.starts_with('#')).then(|| key.to_owned());
    Some(KnownClaim { order: kept.order, user: UserId::parse(user)?, quantity: kept.quantity, key })
}

fn buyer_claim(user: &str, value: &[u8]) -> Option<KnownClaim> {
    let Claim { order, quantity, .. } = Claim::parse(value)?;
    Some(KnownClaim { order, user: UserId::parse(user)?, quantity, key: None })
}

/// Orders of entries.
pub(super) fn order_ids(entries: &[OutboxEntry]) -> std::collections::HashSet<OrderId> {
    entries.iter().flat_map(|entry| &entry.orders).map(|order| order.order).collect()
}

#[cfg(test)]
mod tests {
    use spike_domain::ClaimState;
    use spike_stock::claim::{buyer_value, key_value};

    use super::*;

    #[test]
    fn what_the_ledger_writes_is_read_back() {
        let order = OrderId::new(1);
        let want = |key: Option<&str>| {
            Some(KnownClaim { order, user: UserId(42), quantity: 3, key: key.map(str::to_owned) })
        };
        let value = key_value(order, 3);
        assert_eq!(key_claim("42:9f", value.as_bytes()), want(Some("9f")));
        assert_eq!(key_claim(&format!("42:#{order}"), value.as_bytes()), want(None));
        let value = buyer_value(order, ClaimState::Paid, 3);
        assert_eq!(buyer_claim("42", value.as_bytes()), want(None));
        for (field, value) in [("42", "x"), ("0:k", value.as_str()), ("42:k", "")] {
            assert_eq!(key_claim(field, value.as_bytes()), None, "{field}");
        }
    }
}
