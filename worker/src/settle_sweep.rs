//! Settles entries whose orders all have rows (V10): the ones a worker left that died between its ack and its settle, or
//! whose settle was refused because the ledger was being rebuilt.

use std::collections::HashMap;
use std::time::Duration;

use spike_domain::mutant::{self, Mutant};
use spike_domain::{EntryId, EventId, OrderId, OrderStatus, OutboxEntry, clock};
use spike_metrics::words::{Job, SettledBy};
use spike_stock::{Settled, ledger};

use crate::Jobs;
use crate::stop::Stop;
use crate::watched::Watched;

/// Younger entries are left to the worker that has them in hand.
const AGE: Duration = Duration::from_secs(2);
/// Entries asked about at once.
const PAGE_ENTRIES: usize = 128;

pub(crate) async fn run(jobs: Jobs, mut stop: Stop) {
    let rest = Duration::from_millis(jobs.config.worker.sweep_interval_ms);
    let mut watched = Watched::default();
    while !stop.rest(rest).await {
        let events = match watched.events(&jobs).await {
            Ok(events) => events,
            Err(error) => {
                jobs.metrics.failed(Job::SettleSweep);
                tracing::warn!(error = format!("{error:#}"), "settle sweep waits for database and ledger");
                continue;
            }
        };
        for event in events {
            match sweep(&jobs, event.id, clock::now_ms()).await {
                Ok(0) => {}
                Ok(units) => {
                    jobs.metrics.settled(SettledBy::Sweep, units);
                    tracing::info!(event = %event.id, units, "entries settled that nobody had settled");
                }
                Err(error) => {
                    jobs.metrics.failed(Job::SettleSweep);
                    tracing::debug!(event = %event.id, error = format!("{error:#}"), "settle sweep not finished");
                }
            }
            if stop.asked() {
                return;
            }
        }
    }
}

/// One walk over the old part of an event's outbox; returns the units settled.
async fn sweep(jobs: &Jobs, event: EventId, now_ms: u64) -> anyhow::Result<u64> {
    let young_from_ms = now_ms.saturating_sub(u64::try_from(AGE.as_millis())?);
    let (mut after, mut units) = (None, 0);
    if mutant::on(Mutant::SettleSweep) {
        return Ok(units);
    }
    loop {
        let page = jobs.ledger.entries(event, after, PAGE_ENTRIES).await?;
        after = page.next.as_deref().and_then(EntryId::parse);
        let old = |entry: &OutboxEntry| entry.orders.iter().all(|order| order.accepted_at_ms < young_from_ms);
        let more = after.is_some() && page.entries.last().is_some_and(old);
        let entries: Vec<OutboxEntry> = page.entries.into_iter().filter(old).collect();
        if !entries.is_empty() {
            let orders: Vec<OrderId> =
                entries.iter().flat_map(|entry| &entry.orders).map(|order| order.order).collect();
            let seen = jobs.store.row_statuses(event, &orders).await?;
            let rows = seen.rows.into_iter().map(|(order, _, status)| (order, status)).collect();
            units += jobs.ledger.settle(event, seen.epoch, &settleable(&entries, &rows)).await?;
        }
        if !more {
            return Ok(units);
        }
    }
}

/// The entries whose orders all have rows, with what the rows say.
pub(crate) fn settleable(entries: &[OutboxEntry], rows: &HashMap<OrderId, OrderStatus>) -> Vec<Settled> {
    let whole = |entry: &&OutboxEntry| entry.orders.iter().all(|order| rows.contains_key(&order.order));
    entries
        .iter()
        .filter(whole)
        .map(|entry| ledger::settled(entry, |order| rows[&order.order].into()))
        .collect()
}

#[cfg(test)]
mod tests {
    use spike_domain::{ClaimState, QueuedOrder, UserId};

    use super::*;

    #[test]
    fn an_entry_with_an_order_that_has_no_row_is_not_settled() {
        let order = |user| QueuedOrder {
            order: OrderId::new(1),
            user: UserId(user),
            quantity: 2,
            key: None,
            accepted_at_ms: 1,
        };
        let entry = |sequence, orders: &[&QueuedOrder]| OutboxEntry {
            id: EntryId { epoch: 7, sequence },
            orders: orders.iter().map(|&o| o.clone()).collect(),
        };
        let (a, b, c) = (order(1), order(2), order(3));
        let entries = [entry(0, &[&a, &b]), entry(1, &[&a, &c])];
        let rows = HashMap::from([(a.order, OrderStatus::Pending), (c.order, OrderStatus::Rejected)]);
        let settled = settleable(&entries, &rows);
        assert_eq!(settled.len(), 1);
        assert_eq!((settled[0].id, settled[0].units), (entries[1].id, 4));
        assert_eq!(
            settled[0].orders,
            [(UserId(1), a.order, ClaimState::Pending), (UserId(3), c.order, ClaimState::Rejected)]
        );
    }
}
