//! What the database says of S = R + L + F + K, for reports and for the demo's audit.

use spike_domain::{EventId, OrderId, OrderStatus};

use crate::{Result, Store};

/// Rows and units of one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Number of orders.
    pub orders: u64,
    /// Their units.
    pub units: u64,
}

/// The database's figures of an event, read in one statement. Units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventFigures {
    /// S: initial stock.
    pub total: u64,
    /// The event's own count of live units; always equal to `live().units`.
    pub reserved: u64,
    /// K: restock markers not yet released in Redis.
    pub open_markers: Tally,
    /// By status, in the order of [`OrderStatus::ALL`].
    pub rows: [Tally; 5],
}

impl EventFigures {
    /// The tally of one status.
    pub fn of(&self, status: OrderStatus) -> Tally {
        let at = OrderStatus::ALL.iter().position(|s| *s == status).expect("ALL holds every status");
        self.rows[at]
    }

    /// L: pending and paid.
    pub fn live(&self) -> Tally {
        let (pending, paid) = (self.of(OrderStatus::Pending), self.of(OrderStatus::Paid));
        Tally { orders: pending.orders + paid.orders, units: pending.units + paid.units }
    }

    /// Rows of every status.
    pub fn order_count(&self) -> u64 {
        self.rows.iter().map(|tally| tally.orders).sum()
    }
}

/// [`EventFigures`] with what must never be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventAudit {
    /// The figures.
    pub figures: EventFigures,
    /// Users with more than one live order (I3): always 0.
    pub users_with_more_than_one_live: u64,
}

impl EventAudit {
    /// Whether the database alone breaks no invariant: I2, I3, and the counter equal to what it counts.
    pub fn holds(&self) -> bool {
        let live = self.figures.live().units;
        self.users_with_more_than_one_live == 0 && live == self.figures.reserved && live <= self.figures.total
    }
}

impl Store {
    /// S, L, K and rows by status. Errors: `NotFound`.
    pub async fn conservation(&self, event: EventId) -> Result<EventFigures> {
        let _ = event;
        Err(crate::unwritten())
    }

    /// [`Store::conservation`] and a search for users with more than one live order. Errors: `NotFound`.
    pub async fn audit_event(&self, event: EventId) -> Result<EventAudit> {
        let _ = event;
        Err(crate::unwritten())
    }

    /// The id of every order of an event, of every status: 16 bytes each.
    pub async fn all_order_ids(&self, event: EventId) -> Result<Vec<OrderId>> {
        let _ = event;
        Err(crate::unwritten())
    }
}
