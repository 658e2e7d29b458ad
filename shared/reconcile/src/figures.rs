//! S = R + L + F + K of one event, read from the ledger and the database while both go on working.
//!
//! - S, L, K: one statement in the database (initial stock; units of live rows; units of open restock markers).
//! - R: the ledger's stock.
//! - F: the ledger's units in flight, minus units of outbox orders that have a row already. Such an order is written
//!   but its entry not settled yet, so it is in L (or K, or ended) and would otherwise be counted twice.
//!
//! There is no common snapshot of two servers. The figures are exact when nothing moved between two readings of both;
//! otherwise they are read once more, and then given as they are, with `exact` false.

use std::collections::HashSet;

use serde::Serialize;
use spike_domain::{Conservation, EventId, OutboxEntry};
use spike_stock::{Meta, Stock};
use spike_store::{EventFigures, Store};

use crate::{ReconcileError, Result, signed};

/// Entries read at once.
const ENTRIES_PER_READ: usize = 200;
/// Entries looked at; a longer outbox is a broker outage, whose figures move anyway.
const ENTRIES_MAX: usize = 20_000;

/// The figures, and whether they belong to one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// S, R, L, F, K.
    pub conservation: Conservation,
    /// Nothing moved while they were read.
    pub exact: bool,
    /// Units that the ledger counts in flight beyond those of its outbox: 0 unless something is broken. Of a long outbox
    /// only the beginning is added up, and then this is 0 as well.
    pub inflight_beyond_outbox: i64,
}

/// Reads an event's figures.
///
/// # Errors
/// [`ReconcileError::NotStanding`], or one of the two sides is away.
pub async fn figures(stock: &Stock, store: &Store, event: EventId) -> Result<Figures> {
    let first = attempt(stock, store, event).await?;
    if first.exact { Ok(first) } else { attempt(stock, store, event).await }
}

/// What one reading of both sides says.
#[derive(Debug, PartialEq, Eq)]
struct Sides {
    meta: Meta,
    rows: EventFigures,
}

async fn attempt(stock: &Stock, store: &Store, event: EventId) -> Result<Figures> {
    let before = sides(stock, store, event).await?;
    let outbox = outbox_units(stock, store, event).await?;
    let after = sides(stock, store, event).await?;
    let exact = outbox.whole && before == after;
    of_sides(&after, &outbox, exact)
}

async fn sides(stock: &Stock, store: &Store, event: EventId) -> Result<Sides> {
    let meta = stock.meta(event).await?.filter(|meta| meta.state.standing());
    let meta = meta.ok_or(ReconcileError::NotStanding)?;
    Ok(Sides { meta, rows: store.conservation(event).await? })
}

fn of_sides(sides: &Sides, outbox: &OutboxUnits, exact: bool) -> Result<Figures> {
    let (Some(stock), Some(inflight)) = (sides.meta.stock, sides.meta.inflight) else {
        // Half a ledger: the watch makes it anew.
        return Err(ReconcileError::NotStanding);
    };
    let conservation = Conservation {
        S: signed(sides.rows.total),
        R: signed(stock),
        L: signed(sides.rows.live().units),
        F: signed(inflight) - signed(outbox.written),
        K: signed(sides.rows.open_markers.units),
    };
    let beyond = if exact { signed(inflight) - signed(outbox.all) } else { 0 };
    Ok(Figures { conservation, exact, inflight_beyond_outbox: beyond })
}

/// Units of the outbox.
#[derive(Default)]
struct OutboxUnits {
    all: u64,
    /// Of orders that have a row.
    written: u64,
    whole: bool,
}

async fn outbox_units(stock: &Stock, store: &Store, event: EventId) -> Result<OutboxUnits> {
    let (mut units, mut after) = (OutboxUnits::default(), None);
    for _ in 0..ENTRIES_MAX / ENTRIES_PER_READ {
        let page = stock.entries(event, after, ENTRIES_PER_READ).await?;
        units.all += page.entries.iter().map(OutboxEntry::units).sum::<u64>();
        units.written += written_units(store, &page.entries).await?;
        after = page.entries.last().map(|entry| entry.id);
        if page.next.is_none() {
            units.whole = true;
            return Ok(units);
        }
    }
    Ok(units)
}

async fn written_units(store: &Store, entries: &[OutboxEntry]) -> Result<u64> {
    let orders: Vec<_> = entries.iter().flat_map(|entry| &entry.orders).collect();
    if orders.is_empty() {
        return Ok(0);
    }
    let ids: Vec<_> = orders.iter().map(|order| order.order).collect();
    let missing: HashSet<_> = store.rows_absent(&ids).await?.into_iter().collect();
    let written = orders.iter().filter(|order| !missing.contains(&order.order));
    Ok(written.map(|order| u64::from(order.quantity)).sum())
}
