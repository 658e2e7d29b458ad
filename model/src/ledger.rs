//! The scripts of `lua/`, each one step: what they check and what they write.

use crate::conditions::Condition;
use crate::list::{Orders, each};
use crate::model::Model;
use crate::state::{Entry, Ledger, LedgerState, Message};

/// What `reserve` says to one buyer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The order is in the outbox.
    Accepted(u8),
    /// The key is known: this is its order.
    Known(u8),
    /// The user holds another claim, more than the limit is asked, or too little is left.
    Refused,
}

impl Model {
    /// `reserve`: decides the presses of one call in order. `None`: refused as a whole, or beyond the bounds of the instance.
    pub fn reserve(&self, ledger: &mut Ledger, presses: &[usize], accepted: Orders) -> Option<[Answer; 2]> {
        let fence = ledger.fence_open || !self.holds(Condition::ReserveFence);
        if !fence || ledger.state != LedgerState::Open {
            return None;
        }
        let mut answers = [Answer::Refused; 2];
        let (mut taken, mut units) = (0, 0);
        for (answer, &press) in answers.iter_mut().zip(presses) {
            *answer = self.decide(ledger, press, accepted | taken, units)?;
            if let Answer::Accepted(order) = *answer {
                taken |= 1 << order;
                units += self.quantity(order);
                ledger.claims[self.user(order)] = order + 1;
                if self.keyed(order) {
                    ledger.keyed[press] = order + 1;
                }
            } else if !self.holds(Condition::ChecksFirst) {
                units += self.instance.presses[press].quantity;
            }
        }
        ledger.stock -= units;
        (taken == 0 || self.add_entry(ledger, taken)).then_some(answers)
    }

    /// One buyer, before anything is written. `units` are those of the buyers before in the same call.
    fn decide(&self, ledger: &Ledger, press: usize, accepted: Orders, units: i8) -> Option<Answer> {
        let wish = &self.instance.presses[press];
        let kept = if wish.keyed { ledger.keyed[press] } else { 0 };
        if kept != 0 {
            return Some(Answer::Known(kept - 1));
        }
        let before = if self.holds(Condition::BatchSum) { units } else { 0 };
        let limit = if self.holds(Condition::UserLimit) { self.instance.user_limit } else { i8::MAX };
        let bought = ledger.claims[usize::from(wish.user)] != 0;
        if bought || wish.quantity > limit || wish.quantity > ledger.stock - before {
            return Some(Answer::Refused);
        }
        self.next_order(press, accepted).map(Answer::Accepted)
    }

    /// XADD, and the units in flight. False when the outbox of the instance is full.
    fn add_entry(&self, ledger: &mut Ledger, orders: Orders) -> bool {
        if !self.holds(Condition::NoTrim) {
            while ledger.outbox.take(|_| true).is_some() {}
        }
        let entry = Entry { epoch: ledger.epoch, sequence: ledger.next_sequence, orders, ..Entry::default() };
        ledger.next_sequence += 1;
        ledger.inflight += self.units(orders);
        ledger.outbox.push(entry)
    }

    /// `adopt`: which of `orders` have a place in `epoch`. The outer `None`: the ledger takes no part; the inner one: beyond
    /// the bounds of the instance.
    pub fn adopt(&self, ledger: &mut Ledger, epoch: u8, orders: Orders) -> Option<Option<Orders>> {
        if !ledger.fence_open || ledger.epoch != epoch || !self.takes_part(ledger.state) {
            return None;
        }
        let (mut counted, mut taken) = (0, 0);
        for order in each(orders) {
            let bit = 1 << order;
            if self.holds_claim(ledger, order) {
                counted |= bit;
                continue;
            }
            let user = self.user(order);
            let kept = self.kept(ledger, order);
            let short = self.quantity(order) > ledger.stock;
            if ledger.claims[user] != 0 || kept.is_some() || short {
                if self.holds(Condition::RefusalRemembered) {
                    self.remember(ledger, order);
                }
                continue;
            }
            counted |= bit;
            taken |= bit;
            ledger.stock -= self.quantity(order);
            ledger.claims[user] = order + 1;
            self.remember(ledger, order);
        }
        let fits = taken == 0 || !self.holds(Condition::AdoptEntry) || self.add_entry(ledger, taken);
        Some(fits.then_some(counted))
    }

    /// The order that the key of `order` names.
    pub fn kept(&self, ledger: &Ledger, order: u8) -> Option<u8> {
        if self.keyed(order) {
            return ledger.keyed[self.press_of(order)].checked_sub(1);
        }
        (ledger.keyless >> order & 1 == 1).then_some(order)
    }

    /// Writes the key of `order`; the first order of a key keeps it.
    pub fn remember(&self, ledger: &mut Ledger, order: u8) {
        if self.keyed(order) {
            let field = &mut ledger.keyed[self.press_of(order)];
            if *field == 0 {
                *field = order + 1;
            }
        } else if self.holds(Condition::KeylessRemembered) {
            ledger.keyless |= 1 << order;
        }
    }

    /// `release`: gives a dead order's units back. False: try again later.
    pub fn release(&self, ledger: &mut Ledger, epoch: u8, order: u8) -> bool {
        let refused = if self.holds(Condition::ReleaseFence) {
            ledger.epoch != epoch || !self.takes_part(ledger.state)
        } else {
            ledger.state == LedgerState::Absent
        };
        if refused {
            return false;
        }
        if self.holds_claim(ledger, order) || !self.holds(Condition::OwnClaim) {
            ledger.claims[self.user(order)] = 0;
            ledger.stock += self.quantity(order);
            if !self.holds(Condition::KeysStay) && self.keyed(order) {
                ledger.keyed[self.press_of(order)] = 0;
            }
        }
        true
    }

    /// `settle`: drops entries.
    pub fn settle(&self, ledger: &mut Ledger, epoch: u8, entries: &Message) {
        let stale = ledger.epoch != epoch && self.holds(Condition::SettleEpoch);
        let rebuilt = ledger.state == LedgerState::Recovering && !self.holds(Condition::SettleWaits);
        if stale || !(self.takes_part(ledger.state) || rebuilt) {
            return;
        }
        let by_epoch = self.holds(Condition::EntryIds);
        for entry in entries.iter() {
            let same =
                |other: &Entry| other.sequence == entry.sequence && (other.epoch == entry.epoch || !by_epoch);
            let deleted = ledger.outbox.take(same).is_some();
            if deleted || !self.holds(Condition::SettleByDelete) {
                ledger.inflight -= self.units(entry.orders);
            }
        }
        // A counter that falls for ever would have no end of states.
        ledger.inflight = ledger.inflight.max(-3);
    }

    /// `transition`: pauses, resumes or closes a standing ledger of its epoch.
    pub fn transition(&self, ledger: &mut Ledger, epoch: u8, wanted: LedgerState) {
        let over = ledger.state == LedgerState::Closed && self.holds(Condition::ClosedIsFinal);
        if ledger.epoch == epoch && ledger.state.standing() && !over {
            ledger.state = wanted;
        }
    }

    /// `begin`: a rebuild takes the ledger. False: a rebuild of this or a later epoch was here before.
    pub fn begin(&self, ledger: &mut Ledger, epoch: u8) -> bool {
        if ledger.epoch >= epoch {
            return false;
        }
        self.set_epoch(ledger, epoch);
        ledger.state = LedgerState::Recovering;
        true
    }

    /// A new epoch numbers its entries from 0, because the epoch is part of their ids.
    pub fn set_epoch(&self, ledger: &mut Ledger, epoch: u8) {
        if ledger.epoch != epoch && self.holds(Condition::EntryIds) {
            ledger.next_sequence = 0;
        }
        ledger.epoch = epoch;
    }

    /// Whether the ledger still is the one that the rebuild of `epoch` has begun.
    pub fn begun(&self, ledger: &Ledger, epoch: u8) -> bool {
        let own = ledger.epoch == epoch && ledger.state == LedgerState::Recovering;
        own || !self.holds(Condition::Begin)
    }
}
