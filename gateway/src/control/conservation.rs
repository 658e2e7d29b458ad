//! S = R + L + F + K of one event, read from Redis and the database while both go on working.
//!
//! - S, L, K: one statement in the database (initial stock; units of live rows; units of open restock markers).
//! - R: the ledger's stock.
//! - F: the ledger's units in flight, minus units of outbox orders that have a row already. Such an order is written
//!   but its entry not settled yet, so it is in L (or K, or ended) and would otherwise be counted twice.
//!
//! There is no common snapshot of two servers. The figures are exact when nothing moved between two readings of both;
//! otherwise they are read once more, and then given as they are, with `exact` false.

use std::collections::HashSet;

use spike_domain::{Conservation, EntryId, EventId, OutboxEntry, Reason};
use spike_stock::Meta;
use spike_store::EventFigures;

use super::{Control, Refusal, Result};

/// Entries read at once.
const ENTRIES_PER_READ: usize = 200;
/// Entries looked at; a longer outbox is a broker outage, whose figures move anyway.
const ENTRIES_MAX: usize = 20_000;

/// The figures, and whether they belong to one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// S, R, L, F, K.
    pub figures: Conservation,
    /// Nothing moved while they were read.
    pub exact: bool,
}

/// Reads an event's figures. Errors: `recovering` while its ledger does not stand.
pub(super) async fn read(control: &Control, event: EventId) -> Result<Reading> {
    let first = attempt(control, event).await?;
    if first.exact { Ok(first) } else { attempt(control, event).await }
}

/// What one reading of both sides says.
#[derive(Debug, PartialEq, Eq)]
struct Sides {
    meta: Meta,
    rows: EventFigures,
}

async fn attempt(control: &Control, event: EventId) -> Result<Reading> {
    let before = sides(control, event).await?;
    let written = written_in_flight(control, event).await?;
    let after = sides(control, event).await?;
    let exact = written.whole && before == after;
    Ok(Reading { figures: figures(&after, written.units)?, exact })
}

async fn sides(control: &Control, event: EventId) -> Result<Sides> {
    let meta = control.ledger.meta(event).await?.filter(|meta| meta.state.standing());
    let meta = meta.ok_or(Refusal::new(Reason::Recovering))?;
    Ok(Sides { meta, rows: control.store.conservation(event).await? })
}

fn figures(sides: &Sides, written_units: u64) -> Result<Conservation> {
    let (Some(stock), Some(inflight)) = (sides.meta.stock, sides.meta.inflight) else {
        return Err(Refusal::internal("a standing ledger has no stock"));
    };
    Ok(Conservation {
        S: signed(sides.rows.total),
        R: signed(stock),
        L: signed(sides.rows.live().units),
        F: signed(inflight) - signed(written_units),
        K: signed(sides.rows.open_markers.units),
    })
}

struct Written {
    units: u64,
    whole: bool,
}

/// Units of orders in the outbox that have a row.
async fn written_in_flight(control: &Control, event: EventId) -> Result<Written> {
    let (mut units, mut after) = (0, None::<EntryId>);
    for _ in 0..ENTRIES_MAX / ENTRIES_PER_READ {
        let page = control.ledger.entries(event, after, ENTRIES_PER_READ).await?;
        units += written_units(control, event, &page.entries).await?;
        after = page.entries.last().map(|entry| entry.id);
        if page.next.is_none() {
            return Ok(Written { units, whole: true });
        }
    }
    Ok(Written { units, whole: false })
}

async fn written_units(control: &Control, event: EventId, entries: &[OutboxEntry]) -> Result<u64> {
    let orders: Vec<_> = entries.iter().flat_map(|entry| &entry.orders).collect();
    if orders.is_empty() {
        return Ok(0);
    }
    let ids: Vec<_> = orders.iter().map(|order| order.order).collect();
    let missing: HashSet<_> = control.store.rows_missing(event, &ids).await?.rows.into_iter().collect();
    let written = orders.iter().filter(|order| !missing.contains(&order.order));
    Ok(written.map(|order| u64::from(order.quantity)).sum())
}

fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}
