//! The table of events every core decides from: replaced as a whole by the follower, read without a lock.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use spike_domain::{EventDef, EventId, EventState};
use spike_stock::{EventKeys, scripts};

/// The ledger as last seen.
pub use spike_stock::View as LedgerView;

use super::gcra::Gcra;
use super::page::{Page, Refusals, Shown, event_page, refusals};
use super::sold_out::SoldOutFlag;

/// One event as the hot cores see it. A change of definition, state or epoch makes a new one; stock and versions flow
/// through the atomics.
pub struct EventLocal {
    /// The event.
    pub def: EventDef,
    /// What the operator wants.
    pub state: EventState,
    /// The ledger, if Redis has one.
    pub ledger: Option<LedgerView>,
    /// Raised and cleared by replies and by the follower.
    pub sold_out: Arc<SoldOutFlag>,
    /// Requests a second on this event.
    pub bucket: Arc<Gcra>,
    /// Names of its keys.
    pub keys: EventKeys,
    /// Their slot, where Redis is a cluster.
    pub slot: u16,
    /// Digest of its reserve script in the ledger's epoch.
    pub reserve_sha: String,
    /// Prebuilt refusals.
    pub refusals: Refusals,
    /// Prebuilt page, renewed when the stock moves.
    pub page: ArcSwap<Page>,
}

impl EventLocal {
    /// A view of `def` as of now. `before` is the same event's previous view, if there was one.
    pub fn new(
        def: EventDef,
        state: EventState,
        ledger: Option<LedgerView>,
        sold_out_ms: u64,
        before: Option<&Self>,
    ) -> Self {
        let same_epoch = |old: &&Self| old.ledger.map(|view| view.epoch) == ledger.map(|view| view.epoch);
        let sold_out = before
            .filter(same_epoch)
            .map_or_else(|| Arc::new(SoldOutFlag::new(sold_out_ms)), |old| old.sold_out.clone());
        let keys = EventKeys::new(def.id);
        let shown = Shown { state, stock: ledger.and_then(|view| view.stock) };
        Self {
            slot: keys.slot(),
            keys,
            reserve_sha: scripts::reserve(def.id, ledger.map_or(0, |view| view.epoch)).sha,
            refusals: refusals(&def),
            page: ArcSwap::from_pointee(event_page(&def, shown)),
            bucket: before.map(|old| old.bucket.clone()).unwrap_or_default(),
            def,
            state,
            ledger,
            sold_out,
        }
    }

    /// Whether `def`, `state` and the ledger's epoch and state are still these; if so, takes over what moved.
    pub fn refresh(&self, def: &EventDef, state: EventState, ledger: Option<LedgerView>) -> bool {
        let fixed = |view: Option<LedgerView>| view.map(|view| (view.epoch, view.state));
        if self.def != *def || self.state != state || fixed(self.ledger) != fixed(ledger) {
            return false;
        }
        if let Some(view) = ledger {
            self.sold_out.observe(view.version);
            self.renew_page(Shown { state, stock: view.stock });
        }
        true
    }

    fn renew_page(&self, shown: Shown) {
        if self.page.load().shown != shown {
            self.page.store(Arc::new(event_page(&self.def, shown)));
        }
    }
}

/// Every event by its id.
pub type Events = HashMap<EventId, Arc<EventLocal>>;

/// The table. Cores keep the map they read last and look at the generation to learn that there is a newer one: a plain
/// load of a line that rarely changes.
#[derive(Default)]
pub struct EventTable {
    events: ArcSwap<Events>,
    generation: AtomicU64,
    complete: AtomicBool,
}

impl EventTable {
    /// Rises with every replacement.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The present map.
    pub fn load(&self) -> Arc<Events> {
        self.events.load_full()
    }

    /// Whether the database's events have been read once. Until then an event that is not in the map may exist all the
    /// same: a gateway that has just started must not deny it.
    pub fn complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    /// Says that the map holds every event there is.
    pub fn mark_complete(&self) {
        self.complete.store(true, Ordering::Release);
    }

    /// Replaces the map.
    pub fn replace(&self, events: Events) {
        self.events.store(Arc::new(events));
        self.generation.fetch_add(1, Ordering::Release);
    }
}
