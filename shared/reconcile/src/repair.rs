//! What of a report can be mended safely. Pure.
//!
//! A difference counts when two reports, some time apart, both show it: what one of them alone shows was on its way. A
//! rebuild of the ledger is safe whenever it happens, so being wrong here costs a moment of "recovering", never a unit.

use crate::report::{Difference, Kind, Mend, Report};

/// What is to be done about an event, and what is left for a person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repair {
    /// Make the ledger anew.
    pub rebuild: bool,
    /// Count the event's rows anew.
    pub recount: bool,
    /// The lasting differences, mended by this repair or not.
    pub lasting: Vec<Difference>,
}

impl Repair {
    /// Whether there is nothing to do and nothing to say.
    pub fn nothing(&self) -> bool {
        self.lasting.is_empty()
    }

    /// Whether a rebuild by itself, without a person's word, is right: no unit is on sale twice, and every unit that is
    /// missing is the unit of an order that is known to be lost, or is missing from the claims only.
    pub fn explained(&self) -> bool {
        let count =
            |kind| self.lasting.iter().find(|found| found.kind == kind).map_or(0, |found| found.count);
        let drift = count(Kind::Drift);
        let unexplained = self
            .lasting
            .iter()
            .any(|found| !matches!(found.kind, Kind::Drift | Kind::LostOrders | Kind::OrdersWithoutAClaim));
        // Units an order: an order is at least one unit, so fewer orders than units may still be all of it.
        !unexplained && drift >= 0 && (drift == 0 || count(Kind::LostOrders) > 0)
    }
}

/// What `second` shows that `first`, some time before, showed as well.
pub fn plan_repair(first: &Report, second: &Report) -> Repair {
    let lasting: Vec<Difference> =
        second.differences.iter().filter_map(|found| shown_before(first, found)).collect();
    let needs = |mend| lasting.iter().any(|found| found.kind.mend() == mend);
    Repair { rebuild: needs(Mend::Rebuild), recount: needs(Mend::Recount), lasting }
}

/// The part of `found` that `first` had: the same figure, or the orders in both.
fn shown_before(first: &Report, found: &Difference) -> Option<Difference> {
    let before = first.differences.iter().find(|before| before.kind == found.kind)?;
    if found.orders.is_empty() {
        return (before.count == found.count).then(|| found.clone());
    }
    let orders: Vec<_> =
        found.orders.iter().copied().filter(|order| before.orders.binary_search(order).is_ok()).collect();
    let count = i64::try_from(orders.len()).unwrap_or(i64::MAX);
    (count > 0).then_some(Difference { kind: found.kind, count, orders })
}

#[cfg(test)]
mod tests {
    use spike_domain::{Conservation, OrderId};

    use super::*;
    use crate::Figures;

    fn report(differences: Vec<Difference>) -> Report {
        let conservation = Conservation::default();
        let figures = Figures { conservation, exact: true, inflight_beyond_outbox: 0 };
        Report { figures, returned: 0, differences }
    }

    fn figure(kind: Kind, count: i64) -> Difference {
        Difference { kind, count, orders: Vec::new() }
    }

    fn orders(kind: Kind, orders: &[OrderId]) -> Difference {
        Difference { kind, count: i64::try_from(orders.len()).unwrap(), orders: orders.to_vec() }
    }

    #[test]
    fn only_what_both_reports_show_is_mended() {
        let plan = |first, second| plan_repair(&report(first), &report(second));
        assert!(plan(vec![], vec![figure(Kind::Drift, 1)]).nothing(), "just come");
        assert!(plan(vec![figure(Kind::Drift, 1)], vec![]).nothing(), "gone");
        assert!(plan(vec![figure(Kind::Drift, 1)], vec![figure(Kind::Drift, 2)]).nothing(), "moving");
        let lasting = plan(vec![figure(Kind::Drift, 1)], vec![figure(Kind::Drift, 1)]);
        assert!(lasting.rebuild && !lasting.recount);
        let [a, b, c] = [1, 2, 3].map(OrderId::new);
        let lost = plan(vec![orders(Kind::LostOrders, &[a, b])], vec![orders(Kind::LostOrders, &[b, c])]);
        assert_eq!(lost.lasting, vec![orders(Kind::LostOrders, &[b])]);
        let counted = || vec![figure(Kind::ReservedMiscounted, 1)];
        let recount = plan(counted(), counted());
        assert!(recount.recount && !recount.rebuild);
        let oversold = || vec![figure(Kind::UnitsOversold, 1)];
        let person = plan(oversold(), oversold());
        assert!(!person.rebuild && !person.recount && !person.nothing());
    }

    #[test]
    fn a_missing_unit_is_explained_by_a_lost_order_only() {
        let explained =
            |found: Vec<Difference>| plan_repair(&report(found.clone()), &report(found)).explained();
        let one = OrderId::new(1);
        let lost = || orders(Kind::LostOrders, &[one]);
        assert!(!explained(vec![figure(Kind::Drift, 1)]));
        assert!(explained(vec![figure(Kind::Drift, 2), lost()]), "an order of two");
        assert!(explained(vec![orders(Kind::OrdersWithoutAClaim, &[one])]));
        assert!(!explained(vec![figure(Kind::Drift, -1), lost()]), "sold twice");
        assert!(!explained(vec![lost(), figure(Kind::UnitsOversold, 1)]));
        assert!(!explained(vec![lost(), figure(Kind::ReservedMiscounted, 1)]));
    }
}
