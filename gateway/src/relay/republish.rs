//! Publishing old entries again: a broker that lost everything costs nothing, because the outbox keeps an entry until its
//! orders are in the database.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use spike_domain::{EntryId, EventId, OrderId, OutboxEntry};
use spike_stock::{Stock, StockError};
use spike_store::{Store, StoreError};

use super::source::millis;

/// Entries of one page of the search.
const PAGE_ENTRIES: usize = 128;
/// An entry that stays away waits at most this many times longer for its next turn.
const PATIENCE_MAX: u64 = 16;

/// Which entries have been published again, and when their next turn is.
pub(super) struct Republish {
    ledger: Stock,
    store: Store,
    after_ms: u64,
    turns: HashMap<(EventId, EntryId), Turn>,
}

/// The turns of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    times: u32,
    next_at_ms: u64,
}

/// Why a search was not finished.
#[derive(Debug, thiserror::Error)]
pub(super) enum SearchError {
    #[error(transparent)]
    Stock(#[from] StockError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Republish {
    pub(super) fn new(ledger: Stock, store: Store, after_ms: u64) -> Self {
        Self { ledger, store, after_ms, turns: HashMap::new() }
    }

    /// Forgets events that are not active any more.
    pub(super) fn keep(&mut self, active: &[EventId]) {
        self.turns.retain(|(event, _), _| active.contains(event));
    }

    /// Entries of `event` whose turn it is: old, and with an order that has no row. At most one page.
    pub(super) async fn search(
        &mut self,
        event: EventId,
        now_ms: u64,
    ) -> Result<Vec<OutboxEntry>, SearchError> {
        let mut after = None;
        let mut seen = HashSet::new();
        loop {
            let page = self.ledger.entries(event, after, PAGE_ENTRIES).await?;
            after = page.entries.last().map(|entry| entry.id);
            seen.extend(page.entries.iter().map(|entry| entry.id));
            // Entries come in the order of their acceptance: behind a young one there are only younger ones.
            let more = page.next.is_some() && page.entries.last().is_some_and(|last| self.old(last, now_ms));
            let due: Vec<OutboxEntry> =
                page.entries.into_iter().filter(|entry| self.due(event, entry, now_ms)).collect();
            let missing = self.missing(event, &due).await?;
            if !missing.is_empty() {
                missing.iter().for_each(|entry| self.take_turn((event, entry.id), now_ms));
                return Ok(missing);
            }
            if !more {
                break;
            }
        }
        self.turns.retain(|(of, entry), _| *of != event || seen.contains(entry));
        Ok(Vec::new())
    }

    fn old(&self, entry: &OutboxEntry, now_ms: u64) -> bool {
        entry.orders.first().is_some_and(|order| order.accepted_at_ms.saturating_add(self.after_ms) <= now_ms)
    }

    fn due(&self, event: EventId, entry: &OutboxEntry, now_ms: u64) -> bool {
        let turn = self.turns.get(&(event, entry.id));
        self.old(entry, now_ms) && turn.is_none_or(|turn| turn.next_at_ms <= now_ms)
    }

    async fn missing(&self, event: EventId, due: &[OutboxEntry]) -> Result<Vec<OutboxEntry>, StoreError> {
        let orders: Vec<OrderId> =
            due.iter().flat_map(|entry| &entry.orders).map(|order| order.order).collect();
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let missing: HashSet<OrderId> =
            self.store.rows_missing(event, &orders).await?.rows.into_iter().collect();
        let lacks = |entry: &&OutboxEntry| entry.orders.iter().any(|order| missing.contains(&order.order));
        Ok(due.iter().filter(lacks).cloned().collect())
    }

    fn take_turn(&mut self, entry: (EventId, EntryId), now_ms: u64) {
        let times = self.turns.get(&entry).map_or(0, |turn| turn.times);
        self.turns.insert(entry, next_turn(times, self.after_ms, now_ms, fastrand::f64()));
    }
}

/// Each turn doubles the longest wait for the next: a worker that is away for an hour must not find every order sixty times.
/// `luck`, from 0 to 1, chooses anything between the shortest and that, so that relays and entries that took a turn together
/// do not take the next one together.
fn next_turn(times: u32, after_ms: u64, now_ms: u64, luck: f64) -> Turn {
    let patience = (1u64 << times.min(32)).min(PATIENCE_MAX);
    let more = Duration::from_millis(after_ms.saturating_mul(patience)).mul_f64(luck);
    Turn {
        times: times.saturating_add(1),
        next_at_ms: now_ms.saturating_add(after_ms).saturating_add(millis(more)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_stays_away_comes_round_ever_more_rarely() {
        let waits =
            |luck| (0..7).map(move |times| next_turn(times, 60_000, 1_000_000, luck).next_at_ms - 1_000_000);
        let longest = [60, 120, 240, 480, 960, 960, 960].map(|more| (60 + more) * 1000);
        assert_eq!(waits(1.0).collect::<Vec<_>>(), longest);
        assert_eq!(waits(0.0).collect::<Vec<_>>(), [60_000; 7]);
        assert_eq!(next_turn(u32::MAX, u64::MAX, 1, 0.0), Turn { times: u32::MAX, next_at_ms: u64::MAX });
    }
}
