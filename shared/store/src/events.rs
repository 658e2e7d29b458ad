//! Table `spike_events`, as operators and gateways see it. The protocol's own transactions are in files of their own.

use spike_domain::{EventDef, EventId, EventState, Money, ProductId, Window};

use crate::{Page, Result, Store};

/// An event to create.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// What is sold.
    pub product_id: ProductId,
    /// The sale's title.
    pub name: String,
    /// Price of one unit.
    pub price: Money,
    /// Initial stock S, in units, taken out of the product's available inventory.
    pub total: u32,
    /// Most units one user may hold.
    pub per_user_limit: u32,
    /// Seconds an order may stay unpaid.
    pub pay_timeout_s: u32,
    /// When buys are taken.
    pub window: Window,
}

/// An event with its present figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// What it is.
    pub def: EventDef,
    /// What the operator wants it to be.
    pub state: EventState,
    /// The fence: rises with every rebuild; 0 before the first warm-up.
    pub epoch: u64,
    /// Units of live orders, L.
    pub reserved: u32,
    /// Rises with every change of definition or state.
    pub version: u32,
    /// Unix milliseconds of the last change of definition or state.
    pub updated_at_ms: u64,
}

/// An event whose ledger the worker keeps right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchedEvent {
    /// The event.
    pub id: EventId,
    /// Its epoch in the database.
    pub epoch: u64,
    /// What the operator wants it to be.
    pub state: EventState,
}

impl Store {
    /// How long a closed event stays in [`Store::events_for_gateways`] and [`Store::events_to_watch`].
    pub const CLOSED_LATELY_MS: u64 = 24 * 3600 * 1000;

    /// Creates a scheduled event, moving `total` units of its product from available to reserved in the same transaction.
    /// Errors: `NotFound` (no such product), `Conflict(Inventory)`.
    pub async fn create_event(&self, event: NewEvent) -> Result<EventId> {
        let _ = event;
        Err(crate::unwritten())
    }

    /// One event.
    pub async fn event(&self, event: EventId) -> Result<Option<EventRow>> {
        let _ = event;
        Err(crate::unwritten())
    }

    /// All events, newest first; `page` counts from 1.
    pub async fn list_events(&self, page: u32, page_size: u32) -> Result<Page<EventRow>> {
        let _ = (page, page_size);
        Err(crate::unwritten())
    }

    /// Every event a gateway may be asked about: not closed, or closed lately.
    pub async fn events_for_gateways(&self) -> Result<Vec<EventRow>> {
        Err(crate::unwritten())
    }

    /// Every event whose ledger must stand: open, paused, closed lately, or closed with open restock markers.
    pub async fn events_to_watch(&self) -> Result<Vec<WatchedEvent>> {
        Err(crate::unwritten())
    }

    /// Moves an event to a state and returns it. Asking for the present state changes nothing. Allowed: scheduled to open
    /// (warm-up), open to paused and back, anything to closed. Errors: `NotFound`, `Conflict(EventState)`.
    pub async fn set_event_state(&self, event: EventId, state: EventState) -> Result<EventRow> {
        let _ = (event, state);
        Err(crate::unwritten())
    }
}
