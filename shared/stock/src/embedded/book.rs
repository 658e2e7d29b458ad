//! The ledger of one event in memory: the same decisions as the scripts in `lua/`, one method a script.
//!
//! Pure: no IO, no clock. What must be journalled is returned, and the caller answers nobody before it is on disk.

use std::collections::{BTreeMap, HashMap};

use spike_domain::{
    ClaimState, EntryId, EventDef, LedgerState, OrderId, OrderTrace, OutboxEntry, QueuedOrder, UserId,
};

use super::group::Group;
use crate::reserve::{Buyer, Decided, Decision};
use crate::{Claim, EndedOrder, Meta, Refused, Settled};

mod steps;

type Result<T> = std::result::Result<T, Refused>;

/// What `meta`, `stock` and `inflight` are in Redis.
#[derive(Debug, Clone)]
struct Header {
    epoch: u64,
    state: LedgerState,
    version: u64,
    /// `None` between begin and open.
    figures: Option<Figures>,
}

#[derive(Debug, Clone)]
struct Figures {
    stock: u64,
    inflight: u64,
    cap: u64,
    limit: u32,
    doc: EventDef,
}

/// What a rebuild opens a book with; owned, for it crosses threads.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Open, paused or closed.
    pub state: LedgerState,
    /// Units left.
    pub stock: u64,
    /// Units in the outbox.
    pub inflight: u64,
    /// Units that may be in flight.
    pub cap: u64,
    /// The event.
    pub def: EventDef,
}

/// One event's ledger.
#[derive(Debug, Default)]
pub struct Book {
    header: Option<Header>,
    /// Whether a rebuild has opened the fence since the process started.
    fence_open: bool,
    buyers: HashMap<UserId, Held>,
    keys: HashMap<Box<str>, (OrderId, u32)>,
    ended: HashMap<UserId, (OrderId, ClaimState)>,
    outbox: BTreeMap<EntryId, OutboxEntry>,
    next_sequence: u64,
    /// The relay's place in the outbox.
    pub(super) group: Group,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    order: OrderId,
    state: ClaimState,
    quantity: u32,
}

impl Book {
    /// A closed book that holds only what the journal kept: entries that may not have reached the database.
    pub fn recovered(entries: impl IntoIterator<Item = OutboxEntry>) -> Self {
        Self { outbox: entries.into_iter().map(|entry| (entry.id, entry)).collect(), ..Self::default() }
    }

    /// `reserve.lua`. The entry, if there is one, must be journalled before anybody hears of the decisions.
    ///
    /// # Errors
    /// A refusal of the whole batch; nothing is written.
    pub fn reserve(
        &mut self,
        epoch: u64,
        now_ms: u64,
        buyers: &[Buyer],
    ) -> Result<(Decided, Option<OutboxEntry>)> {
        let header = self.header.as_ref().ok_or(Refused::NotReady)?;
        if header.epoch != epoch {
            return Err(Refused::Stale { epoch: header.epoch });
        }
        match header.state {
            LedgerState::Open => {}
            LedgerState::Paused => return Err(Refused::Paused),
            LedgerState::Closed => return Err(Refused::Closed),
            LedgerState::Recovering => return Err(Refused::Recovering),
        }
        let figures = header.figures.as_ref().ok_or(Refused::NotReady)?;
        if figures.inflight >= figures.cap {
            return Err(Refused::Full);
        }
        let (limit, version) = (figures.limit, header.version);
        let mut orders = Vec::new();
        let decisions: Vec<Decision> =
            buyers.iter().map(|buyer| self.decide(buyer, limit, now_ms, &mut orders)).collect();
        let traces = traces_of(buyers, &orders);
        let entry = self.write(orders, traces);
        let stock = self.figures().stock;
        Ok((Decided { version, stock, decisions }, entry))
    }

    /// `settle.lua`: units that left flight, and the entries that are gone.
    ///
    /// # Errors
    /// Another epoch, or a rebuild under way.
    pub fn settle(&mut self, epoch: u64, entries: &[Settled]) -> Result<(u64, Vec<EntryId>)> {
        self.standing(epoch)?;
        for &(user, order, state) in entries.iter().flat_map(|entry| &entry.orders) {
            if let Some(held) = self.buyers.get_mut(&user).filter(|held| held.order == order) {
                // A payment may have been faster than this settle: only a queued claim is moved on.
                if held.state == ClaimState::Queued {
                    held.state = state;
                }
            } else if matches!(state, ClaimState::Rejected | ClaimState::Lost) {
                self.ended.insert(user, (order, state));
            }
        }
        let gone: Vec<OutboxEntry> =
            entries.iter().filter_map(|entry| self.outbox.remove(&entry.id)).collect();
        let units: u64 = gone.iter().map(OutboxEntry::units).sum();
        let ids: Vec<EntryId> = gone.iter().map(|entry| entry.id).collect();
        ids.iter().for_each(|id| self.group.forget(*id));
        if let Some(figures) = self.header.as_mut().and_then(|header| header.figures.as_mut()) {
            figures.inflight =
                figures.inflight.checked_sub(units).expect("no more settles than was in flight");
        }
        Ok((units, ids))
    }

    /// `release.lua`: units given back, by each order's own claim.
    ///
    /// # Errors
    /// No ledger, another epoch, or a rebuild under way: try again.
    pub fn release(&mut self, epoch: u64, orders: &[EndedOrder]) -> Result<u64> {
        self.standing(epoch)?;
        self.header.as_ref().and_then(|header| header.figures.as_ref()).ok_or(Refused::NotReady)?;
        let mut units = 0;
        let mut released = false;
        for ended in orders {
            if self.buyers.get(&ended.user).is_some_and(|held| held.order == ended.order) {
                let held = self.buyers.remove(&ended.user).expect("looked up");
                units += u64::from(held.quantity);
                self.ended.insert(ended.user, (ended.order, ended.state));
                released = true;
            }
        }
        if released {
            self.figures_mut().stock += units;
            self.header.as_mut().expect("checked").version += 1;
        }
        Ok(units)
    }

    /// `adopt.lua`: true = counted, false = rejected; and the entry to journal, if any.
    ///
    /// # Errors
    /// No ledger, another epoch, or a rebuild under way.
    pub fn adopt(
        &mut self,
        epoch: u64,
        now_ms: u64,
        orders: &[QueuedOrder],
    ) -> Result<(Vec<bool>, Option<OutboxEntry>)> {
        self.standing(epoch)?;
        self.header.as_ref().and_then(|header| header.figures.as_ref()).ok_or(Refused::NotReady)?;
        let mut taken = Vec::new();
        let counted = orders
            .iter()
            .map(|order| {
                let held = self.buyers.get(&order.user);
                if held.is_some_and(|held| held.order == order.order) {
                    return true;
                }
                let field = order.key_field();
                let kept = self.keys.get(field.as_str()).map(|kept| kept.0);
                if held.is_some() || kept.is_some() || u64::from(order.quantity) > self.figures().stock {
                    // One that is remembered has been judged before: what became of it then stays shown.
                    if kept != Some(order.order) {
                        self.ended.insert(order.user, (order.order, ClaimState::Rejected));
                    }
                    self.keys.entry(field.into()).or_insert((order.order, order.quantity));
                    return false;
                }
                self.keys.insert(field.into(), (order.order, order.quantity));
                self.take(order.user, order.order, order.quantity);
                taken.push(QueuedOrder { accepted_at_ms: now_ms, ..order.clone() });
                true
            })
            .collect();
        Ok((counted, self.write(taken, Vec::new())))
    }

    /// Whether the fence is open.
    pub fn fence_open(&self) -> bool {
        self.fence_open
    }

    /// `transition.lua`; returns the version.
    ///
    /// # Errors
    /// No ledger, another epoch, a rebuild under way, or closed, which is the end.
    pub fn transition(&mut self, epoch: u64, state: LedgerState, def: Option<EventDef>) -> Result<u64> {
        let header = self.header.as_mut().ok_or(Refused::NotReady)?;
        if header.epoch != epoch {
            return Err(Refused::Stale { epoch: header.epoch });
        }
        if header.state == LedgerState::Recovering {
            return Err(Refused::Recovering);
        }
        if header.state == LedgerState::Closed && state != LedgerState::Closed {
            return Err(Refused::Closed);
        }
        if header.state == state && def.is_none() {
            return Ok(header.version);
        }
        header.state = state;
        header.version += 1;
        if let (Some(figures), Some(def)) = (header.figures.as_mut(), def) {
            figures.doc = def;
        }
        Ok(header.version)
    }

    /// What `archive.lua` asks: whether this is a closed ledger of `epoch` with nothing on its way.
    ///
    /// # Errors
    /// What speaks against it. A book that has only entries (a journal that came back) is not over.
    pub fn over(&self, epoch: u64) -> Result<()> {
        match self.header.as_ref() {
            Some(header) if header.epoch != epoch => Err(Refused::Stale { epoch: header.epoch }),
            Some(header) if header.state == LedgerState::Recovering => Err(Refused::Recovering),
            Some(header) if header.state == LedgerState::Paused => Err(Refused::Paused),
            Some(header) if header.state == LedgerState::Open => Err(Refused::Standing),
            _ if !self.outbox.is_empty() => Err(Refused::Full),
            _ => Ok(()),
        }
    }

    /// `mark.lua`.
    ///
    /// # Errors
    /// No ledger, or a rebuild under way, which may have read the rows before they changed: try again.
    pub fn mark(&mut self, orders: &[EndedOrder]) -> Result<()> {
        let header = self.header.as_ref().ok_or(Refused::NotReady)?;
        if !header.state.standing() {
            return Err(Refused::Recovering);
        }
        for ended in orders {
            if let Some(held) = self.buyers.get_mut(&ended.user).filter(|held| held.order == ended.order) {
                held.state = ended.state;
            }
        }
        Ok(())
    }

    /// The highest epoch the book knows of, its outbox included; 0 without any.
    pub fn held_epoch(&self) -> u64 {
        let of_header = self.header.as_ref().map_or(0, |header| header.epoch);
        let of_outbox = self.outbox.last_key_value().map_or(0, |(id, _)| id.epoch);
        of_header.max(of_outbox)
    }

    /// The figures; `None` without a ledger.
    pub fn meta(&self) -> Option<Meta> {
        let header = self.header.as_ref()?;
        let figures = header.figures.as_ref();
        Some(Meta {
            epoch: header.epoch,
            state: header.state,
            version: header.version,
            stock: figures.map(|figures| figures.stock),
            inflight: figures.map(|figures| figures.inflight),
            doc: figures.map(|figures| figures.doc.clone()),
        })
    }

    /// The user's claim.
    pub fn claim(&self, user: UserId) -> Option<Claim> {
        let held = self.buyers.get(&user)?;
        Some(Claim { order: held.order, state: Some(held.state), quantity: held.quantity })
    }

    /// The user's last order that ended without a claim.
    pub fn ended(&self, user: UserId) -> Option<Claim> {
        let &(order, state) = self.ended.get(&user)?;
        Some(Claim { order, state: Some(state), quantity: 0 })
    }

    /// Every order that a claim or a key knows, once.
    pub fn known_orders(&self) -> Vec<QueuedOrder> {
        let mut known: HashMap<OrderId, QueuedOrder> = HashMap::new();
        for (field, &(order, quantity)) in &self.keys {
            known.extend(QueuedOrder::of_key_field(field, order, quantity).map(|found| (order, found)));
        }
        for (&user, held) in &self.buyers {
            let (order, quantity) = (held.order, held.quantity);
            let bare = QueuedOrder { order, user, quantity, key: None, accepted_at_ms: 0 };
            known.entry(order).or_insert(bare);
        }
        known.into_values().collect()
    }

    /// Every order that is somebody's claim.
    pub fn claimed_orders(&self) -> Vec<OrderId> {
        self.buyers.values().map(|held| held.order).collect()
    }

    /// Entries never delivered before, now delivered to `consumer`.
    pub fn read_new(&mut self, consumer: &str, now_ms: u64, count: usize) -> Vec<OutboxEntry> {
        self.group.read_new(&self.outbox, consumer, now_ms, count)
    }

    /// Entries after `from` that `consumer` has not acknowledged.
    pub fn read_pending(&self, consumer: &str, from: Option<EntryId>, count: usize) -> Vec<OutboxEntry> {
        self.group.read_pending(&self.outbox, consumer, from, count)
    }

    /// What others have held for `idle_ms`, now delivered to `consumer`.
    pub fn claim_idle(
        &mut self,
        consumer: &str,
        idle_ms: u64,
        now_ms: u64,
        count: usize,
    ) -> Vec<OutboxEntry> {
        self.group.claim_idle(&self.outbox, consumer, idle_ms, now_ms, count)
    }

    /// The outbox, in stream order.
    pub fn outbox(&self) -> &BTreeMap<EntryId, OutboxEntry> {
        &self.outbox
    }

    fn decide(&mut self, buyer: &Buyer, limit: u32, now_ms: u64, orders: &mut Vec<QueuedOrder>) -> Decision {
        let held = self.buyers.get(&buyer.user);
        let field = buyer.key.as_ref().map(|key| format!("{}:{key}", buyer.user));
        if let Some(&(order, quantity)) = field.as_ref().and_then(|field| self.keys.get(field.as_str())) {
            let state = held.filter(|held| held.order == order).map(|held| held.state);
            return Decision::Known(Claim { order, state, quantity });
        }
        if let Some(held) = held {
            return Decision::AlreadyBought(Claim {
                order: held.order,
                state: Some(held.state),
                quantity: held.quantity,
            });
        }
        if buyer.quantity > limit {
            return Decision::OverLimit;
        }
        if u64::from(buyer.quantity) > self.figures().stock {
            return Decision::Short;
        }
        self.take(buyer.user, buyer.order, buyer.quantity);
        if let Some(field) = field {
            self.keys.insert(field.into(), (buyer.order, buyer.quantity));
        }
        orders.push(QueuedOrder {
            order: buyer.order,
            user: buyer.user,
            quantity: buyer.quantity,
            key: buyer.key.as_deref().map(str::to_owned),
            accepted_at_ms: now_ms,
        });
        Decision::Accepted
    }

    fn take(&mut self, user: UserId, order: OrderId, quantity: u32) {
        self.buyers.insert(user, Held { order, state: ClaimState::Queued, quantity });
        let figures = self.figures_mut();
        let units = u64::from(quantity);
        figures.stock = figures.stock.checked_sub(units).expect("stock was checked");
        figures.inflight += units;
    }

    /// Puts accepted orders into the outbox as one entry of this epoch.
    fn write(&mut self, orders: Vec<QueuedOrder>, traces: Vec<OrderTrace>) -> Option<OutboxEntry> {
        if orders.is_empty() {
            return None;
        }
        let epoch = self.header.as_ref().expect("a book that takes orders has a header").epoch;
        let id = EntryId { epoch, sequence: self.next_sequence };
        let entry = OutboxEntry { id, orders, traces };
        self.next_sequence += 1;
        let before = self.outbox.insert(entry.id, entry.clone());
        assert!(before.is_none(), "entry ids are unique over epochs");
        Some(entry)
    }

    fn standing(&self, epoch: u64) -> Result<()> {
        let header = self.header.as_ref().ok_or(Refused::NotReady)?;
        if header.epoch != epoch {
            return Err(Refused::Stale { epoch: header.epoch });
        }
        if header.state.standing() { Ok(()) } else { Err(Refused::Recovering) }
    }

    fn figures(&self) -> &Figures {
        self.header.as_ref().and_then(|header| header.figures.as_ref()).expect("checked by the caller")
    }

    fn figures_mut(&mut self) -> &mut Figures {
        self.header.as_mut().and_then(|header| header.figures.as_mut()).expect("checked by the caller")
    }
}

/// The traces of what was accepted. They are for the relay of this life: the journal does not keep them.
fn traces_of(buyers: &[Buyer], accepted: &[QueuedOrder]) -> Vec<OrderTrace> {
    let traced = buyers.iter().filter_map(Buyer::order_trace);
    traced.filter(|trace| accepted.iter().any(|order| order.order == trace.order)).collect()
}
