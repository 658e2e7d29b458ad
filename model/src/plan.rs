//! What a rebuild makes of rows and outbox: the claims, keys and figures of the new ledger.

use crate::conditions::Condition;
use crate::list::{Orders, each};
use crate::model::Model;
use crate::state::{Ledger, Rebuild};

impl Model {
    /// Claims and keys (in `claims`, `keyed` and `keyless`) and figures (`stock` and `inflight`) of the rebuilt ledger; its other
    /// fields are empty. Live rows come first, then the orders of the outbox that are counted, then what holds nothing, what was
    /// sold once before the rest: the first order of a key keeps it.
    pub fn plan(&self, rebuild: &Rebuild) -> Ledger {
        let mut plan = Ledger { stock: self.instance.stock - self.units(rebuild.live), ..Ledger::default() };
        plan.inflight = rebuild.outbox.iter().map(|entry| self.units(entry.orders)).sum();
        for order in each(rebuild.live) {
            plan.claims[self.user(order)] = order + 1;
            self.remember(&mut plan, order);
        }
        let doomed = self.count_outbox(rebuild, &mut plan);
        if self.holds(Condition::KeysStay) {
            let dead = rebuild.rows & !rebuild.live;
            let first = if self.holds(Condition::SoldKeysFirst) { rebuild.cancelled } else { 0 };
            for order in each(first).chain(each(dead & !first)).chain(each(doomed)) {
                self.remember(&mut plan, order);
            }
        }
        plan
    }

    /// Takes the orders of the outbox without a row out of the stock, in stream order; returns those without a place.
    fn count_outbox(&self, rebuild: &Rebuild, plan: &mut Ledger) -> Orders {
        let (mut seen, mut doomed) = (0, 0);
        for entry in rebuild.outbox.iter() {
            let whole = entry.orders & !rebuild.rows == 0;
            let without_row = if self.holds(Condition::CountOrders) {
                entry.orders & !rebuild.rows
            } else if whole {
                0
            } else {
                entry.orders
            };
            for order in each(without_row & !seen) {
                let units = if self.holds(Condition::Units) { self.quantity(order) } else { 1 };
                let user = self.user(order);
                let no_place = plan.claims[user] != 0 || self.quantity(order) > plan.stock;
                if no_place && self.holds(Condition::DoomedUncounted) && self.holds(Condition::CountOrders) {
                    doomed |= 1 << order;
                    continue;
                }
                plan.stock -= units;
                if plan.claims[user] == 0 {
                    plan.claims[user] = order + 1;
                }
                self.remember(plan, order);
            }
            seen |= entry.orders;
        }
        doomed
    }
}
