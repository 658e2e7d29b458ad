//! Every difference between an event's ledger and the database, by kind, with examples.
//!
//! The ledger is read before the database: an order it knew then is in the outbox or has a row later, because an entry goes
//! only after its rows have come.

use std::collections::HashSet;

use serde::Serialize;
use spike_domain::{Conservation, EventId, OrderId, OrderStatus, UserId};
use spike_stock::Stock;
use spike_store::{EventAudit, Store};

use crate::figures::{Figures, figures};
use crate::{Result, signed};

/// Entries read at once.
const ENTRIES_PER_READ: usize = 200;

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// S - (R + L + F + K) units; positive: units that nobody can buy; negative: units that could be sold twice.
    Drift,
    /// Units by which a figure is below zero.
    UnitsBelowZero,
    /// Units that went back to the inventory and are held by the ledger's claims as well.
    UnitsReturnedAndHeld,
    /// Units the ledger counts in flight that are in no entry of its outbox.
    InflightMiscounted,
    /// Orders that only the ledger knows, in no entry and without a row.
    LostOrders,
    /// Live orders of the database whose claim the ledger does not hold.
    OrdersWithoutAClaim,
    /// The event's own count of live units, minus those of its rows.
    ReservedMiscounted,
    /// The event's own count of paid units, minus those of its rows.
    PaidMiscounted,
    /// Live and returned units beyond the stock.
    UnitsOversold,
    /// Users with more than one live order.
    UsersWithTwoLiveOrders,
}

/// Who can mend a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mend {
    /// A rebuild of the ledger from the database and the outbox, which is safe at any moment.
    Rebuild,
    /// Counting the event's rows anew, under its lock.
    Recount,
    /// A person: units were sold twice, and somebody must be told.
    Person,
}

impl Kind {
    /// Its name, as reports show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::UnitsBelowZero => "units-below-zero",
            Self::UnitsReturnedAndHeld => "units-returned-and-held",
            Self::InflightMiscounted => "inflight-miscounted",
            Self::LostOrders => "lost-orders",
            Self::OrdersWithoutAClaim => "orders-without-a-claim",
            Self::ReservedMiscounted => "reserved-miscounted",
            Self::PaidMiscounted => "paid-miscounted",
            Self::UnitsOversold => "units-oversold",
            Self::UsersWithTwoLiveOrders => "users-with-two-live-orders",
        }
    }

    /// Who can mend it.
    pub fn mend(self) -> Mend {
        match self {
            Self::Drift
            | Self::UnitsBelowZero
            | Self::UnitsReturnedAndHeld
            | Self::InflightMiscounted
            | Self::LostOrders
            | Self::OrdersWithoutAClaim => Mend::Rebuild,
            Self::ReservedMiscounted | Self::PaidMiscounted => Mend::Recount,
            Self::UnitsOversold | Self::UsersWithTwoLiveOrders => Mend::Person,
        }
    }
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What.
    pub kind: Kind,
    /// How much of it, in units, or in orders or users where the kind says so.
    pub count: i64,
    /// The orders concerned, in their order; empty where a figure is concerned.
    #[serde(rename = "examples", serialize_with = "the_first")]
    pub orders: Vec<OrderId>,
}

/// Orders named as examples of a difference.
const EXAMPLES_MAX: usize = 20;

fn the_first<S: serde::Serializer>(
    orders: &[OrderId],
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(orders.iter().take(EXAMPLES_MAX))
}

/// Both sides of an event, held against each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
    /// Units that went back to the inventory.
    pub returned: u64,
    /// What does not fit.
    pub differences: Vec<Difference>,
}

/// Compares the ledger of `event` with the database. Reads every row of the event.
///
/// # Errors
/// As [`figures`].
pub async fn report(stock: &Stock, store: &Store, event: EventId) -> Result<Report> {
    let figures = figures(stock, store, event).await?;
    let (lost, unclaimed) = strays(stock, store, event).await?;
    let audit = store.audit_event(event).await?;
    let mut differences = in_figures(&figures, &audit);
    differences.extend(in_orders(Kind::LostOrders, lost));
    differences.extend(in_orders(Kind::OrdersWithoutAClaim, unclaimed));
    Ok(Report { figures, returned: audit.figures.returned, differences })
}

/// What the figures alone show. Between two servers nothing is compared that may just have moved.
fn in_figures(reading: &Figures, audit: &EventAudit) -> Vec<Difference> {
    let (of, rows) = (reading.conservation, &audit.figures);
    let mut found = Vec::new();
    let mut note = |kind, count: i64| {
        if count != 0 {
            found.push(Difference { kind, count, orders: Vec::new() });
        }
    };
    if reading.exact {
        note(Kind::Drift, of.drift());
        let Conservation { S, R, L, F, K } = of;
        note(Kind::UnitsBelowZero, [S, R, L, F, K].into_iter().filter(|figure| *figure < 0).sum());
        // What has gone back to the inventory is still among R and K.
        note(Kind::UnitsReturnedAndHeld, (signed(rows.returned) - R - K).max(0));
        note(Kind::InflightMiscounted, reading.inflight_beyond_outbox);
    }
    note(Kind::ReservedMiscounted, signed(rows.reserved) - signed(rows.live().units));
    note(Kind::PaidMiscounted, signed(rows.paid) - signed(rows.of(OrderStatus::Paid).units));
    note(Kind::UnitsOversold, (signed(rows.live().units + rows.returned) - signed(rows.total)).max(0));
    note(Kind::UsersWithTwoLiveOrders, signed(audit.users_with_more_than_one_live));
    found
}

fn in_orders(kind: Kind, orders: Vec<OrderId>) -> Option<Difference> {
    let count = i64::try_from(orders.len()).unwrap_or(i64::MAX);
    (count > 0).then_some(Difference { kind, count, orders })
}

/// Orders that only the ledger knows, and live ones whose claim it does not have.
async fn strays(stock: &Stock, store: &Store, event: EventId) -> Result<(Vec<OrderId>, Vec<OrderId>)> {
    let known: HashSet<OrderId> =
        stock.known_orders(event).await?.into_iter().map(|order| order.order).collect();
    let claimed: HashSet<OrderId> = stock.claimed_orders(event).await?.into_iter().collect();
    let waiting = in_outbox(stock, event).await?;
    let rows = store.all_orders(event).await?;
    let written: HashSet<OrderId> = rows.iter().map(|row| row.order).collect();
    let lost = known.iter().filter(|order| !written.contains(order) && !waiting.contains(order));
    let mut lost: Vec<OrderId> = lost.copied().collect();
    lost.sort_unstable();
    let suspects = rows.iter().filter(|row| row.status.live() && !claimed.contains(&row.order));
    let mut unclaimed = Vec::new();
    for row in suspects {
        // Accepted or ended since the ledger was read?
        if !shows(stock, event, row.user, row.order).await? {
            unclaimed.push(row.order);
        }
    }
    unclaimed.sort_unstable();
    Ok((lost, unclaimed))
}

async fn in_outbox(stock: &Stock, event: EventId) -> Result<HashSet<OrderId>> {
    let (mut orders, mut after) = (HashSet::new(), None);
    loop {
        let page = stock.entries(event, after, ENTRIES_PER_READ).await?;
        after = page.entries.last().map(|entry| entry.id);
        orders.extend(page.entries.iter().flat_map(|entry| &entry.orders).map(|order| order.order));
        if page.next.is_none() {
            return Ok(orders);
        }
    }
}

async fn shows(stock: &Stock, event: EventId, user: UserId, order: OrderId) -> Result<bool> {
    let (claim, ended) = stock.lookup(event, user).await?;
    Ok([claim, ended].into_iter().flatten().any(|claim| claim.order == order))
}

#[cfg(test)]
mod tests {
    use spike_store::{EventFigures, Tally};

    use super::*;

    /// Ten units: two paid, one pending, one returned.
    fn sound() -> (Figures, EventAudit) {
        let tally = |units| Tally { orders: units, units };
        let rows = [tally(1), tally(2), Tally::default(), Tally::default(), Tally::default()];
        let open_markers = Tally::default();
        let figures = EventFigures { total: 10, reserved: 3, paid: 2, returned: 1, open_markers, rows };
        let audit = EventAudit { figures, users_with_more_than_one_live: 0 };
        let conservation = Conservation { S: 10, R: 7, L: 3, F: 0, K: 0 };
        (Figures { conservation, exact: true, inflight_beyond_outbox: 0 }, audit)
    }

    #[test]
    fn every_difference_is_named_with_its_size() {
        let check = |change: &dyn Fn(&mut Figures, &mut EventAudit), want: &[(&str, i64)]| {
            let (mut reading, mut audit) = sound();
            change(&mut reading, &mut audit);
            let found = in_figures(&reading, &audit).into_iter();
            let found: Vec<_> = found.map(|found| (found.kind.as_str(), found.count)).collect();
            assert_eq!(found, want);
        };
        check(&|_, _| (), &[]);
        check(&|reading, _| reading.conservation.R = 5, &[("drift", 2)]);
        check(&|reading, _| (reading.conservation.R, reading.exact) = (5, false), &[]);
        check(
            &|reading, _| (reading.conservation.R, reading.conservation.F) = (9, -2),
            &[("units-below-zero", -2)],
        );
        check(&|reading, _| reading.inflight_beyond_outbox = 3, &[("inflight-miscounted", 3)]);
        check(&|_, audit| audit.figures.reserved = 4, &[("reserved-miscounted", 1)]);
        check(&|_, audit| audit.figures.paid = 1, &[("paid-miscounted", -1)]);
        check(
            &|_, audit| audit.figures.returned = 8,
            &[("units-returned-and-held", 1), ("units-oversold", 1)],
        );
        check(&|_, audit| audit.users_with_more_than_one_live = 2, &[("users-with-two-live-orders", 2)]);
    }

    #[test]
    fn of_many_orders_the_first_are_shown() {
        assert_eq!(in_orders(Kind::LostOrders, Vec::new()), None);
        let many: Vec<OrderId> = (0..30).map(OrderId::new).collect();
        let lost = in_orders(Kind::LostOrders, many).unwrap();
        let shown = serde_json::to_value(&lost).unwrap();
        assert_eq!((lost.count, shown["examples"].as_array().unwrap().len()), (30, EXAMPLES_MAX));
        assert_eq!(shown["kind"], "lost-orders");
        for kind in [Kind::Drift, Kind::OrdersWithoutAClaim, Kind::UsersWithTwoLiveOrders] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
