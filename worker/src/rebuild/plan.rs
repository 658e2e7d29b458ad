//! What a rebuilt ledger holds, from the rows of the database and the entries of the outbox. No IO here.

use std::collections::{HashMap, HashSet};

use spike_domain::mutant::{self, Mutant};
use spike_domain::{ClaimState, OrderId, OrderStatus, OutboxEntry, QueuedOrder, UserId};
use spike_stock::claim::{buyer_value, key_value};
use spike_store::{Snapshot, SnapshotRow};

/// Claims, keys and figures of a ledger, as the ledger's `load` and `open` take them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerPlan {
    /// A claim a user: live rows, and the orders of the outbox that still have a place.
    pub claims: Vec<(UserId, String)>,
    /// Every order the database or the outbox knows, by the field of its key, so that no key is answered anew.
    pub keys: Vec<(String, String)>,
    /// R: units left.
    pub stock: u64,
    /// F: units of the counted orders of the outbox.
    pub counted: u64,
    /// Units of all entries of the outbox, counted or not: settle subtracts whole entries.
    pub inflight: u64,
}

/// More live units than there is stock: the database breaks I2, and no ledger may be opened on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{live} live units of a stock of {total}")]
pub struct Overdrawn {
    /// S.
    pub total: u64,
    /// L.
    pub live: u64,
}

/// Plans the ledger. F is the *orders* of the outbox without a row of any status, in stream order (V2). One whose user holds
/// a live order, or whose units exceed what is left of S - L, is not counted, but its key is written: the worker has it
/// adopted later, and adopt then rejects it.
///
/// # Errors
/// [`Overdrawn`] when the live rows alone exceed the stock.
pub fn plan_ledger(snapshot: &Snapshot, outbox: &[OutboxEntry]) -> Result<LedgerPlan, Overdrawn> {
    let total = u64::from(snapshot.def.total);
    let mut claims: HashMap<UserId, String> = HashMap::new();
    let mut keys = Keys::default();
    let mut live_units = 0;
    for row in snapshot.rows.iter().filter(|row| row.status.live()) {
        live_units += u64::from(row.quantity);
        claims.insert(row.user, buyer_value(row.order, row.status.into(), row.quantity));
        keys.remember(row_field(row), row.order, row.quantity);
    }
    let mut left = total.checked_sub(live_units).ok_or(Overdrawn { total, live: live_units })?;

    let mut known: HashSet<OrderId> = snapshot.rows.iter().map(|row| row.order).collect();
    let mut doomed: Vec<&QueuedOrder> = Vec::new();
    let mut counted = 0;
    for order in outbox.iter().flat_map(|entry| &entry.orders) {
        // An order adopted before is in two entries and counts once.
        if !known.insert(order.order) && !mutant::on(Mutant::CountOrders) {
            continue;
        }
        let units = u64::from(order.quantity);
        if claims.contains_key(&order.user) || units > left {
            doomed.push(order);
            continue;
        }
        left -= units;
        counted += units;
        claims.insert(order.user, buyer_value(order.order, ClaimState::Queued, order.quantity));
        keys.remember(order.key_field(), order.order, order.quantity);
    }
    // Orders that hold nothing come last, so that a key shared after a loss of data names the order that lives; where none
    // does, the one that was sold and cancelled: it is what the client was told last.
    let dead = |sold: bool| {
        let of_kind = move |row: &&SnapshotRow| (row.status == OrderStatus::Cancelled) == sold;
        snapshot.rows.iter().filter(|row| !row.status.live()).filter(of_kind)
    };
    for row in dead(true).chain(dead(false)).filter(|_| !mutant::on(Mutant::KeysStay)) {
        keys.remember(row_field(row), row.order, row.quantity);
    }
    doomed.iter().for_each(|order| keys.remember(order.key_field(), order.order, order.quantity));

    Ok(LedgerPlan {
        claims: claims.into_iter().collect(),
        keys: keys.0.into_iter().collect(),
        stock: left,
        counted,
        inflight: outbox.iter().map(OutboxEntry::units).sum(),
    })
}

/// Fields of the `keys` hash; the first order of a field keeps it.
#[derive(Default)]
struct Keys(HashMap<String, String>);

impl Keys {
    fn remember(&mut self, field: String, order: OrderId, quantity: u32) {
        self.0.entry(field).or_insert_with(|| key_value(order, quantity));
    }
}

/// The field of a row, by the same rule as a queued order's.
fn row_field(row: &SnapshotRow) -> String {
    let key = row.key.as_deref().map(str::to_owned);
    let order =
        QueuedOrder { order: row.order, user: row.user, quantity: row.quantity, key, accepted_at_ms: 0 };
    order.key_field()
}

#[cfg(test)]
mod tests;
