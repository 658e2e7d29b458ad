//! The plan against its rules, by cases and at random.

use proptest::prelude::*;
use spike_domain::{Currency, EntryId, EventDef, EventId, EventState, Money, OrderStatus, ProductId, Window};
use spike_stock::Claim;

use super::*;

fn snapshot(total: u32, rows: Vec<SnapshotRow>) -> Snapshot {
    let def = EventDef {
        id: EventId(5),
        product_id: ProductId(1),
        name: "sale".into(),
        price: Money { minor: 100, currency: Currency::parse("EUR").unwrap() },
        total,
        per_user_limit: 5,
        pay_timeout_s: 60,
        window: Window { starts_at_ms: 0, ends_at_ms: 1 },
    };
    Snapshot { def, state: EventState::Open, rows }
}

fn row(user: i64, quantity: u32, status: OrderStatus, key: Option<&str>) -> SnapshotRow {
    SnapshotRow { order: OrderId::new(1), user: UserId(user), quantity, status, key: key.map(Into::into) }
}

fn order(user: i64, quantity: u32, key: Option<&str>) -> QueuedOrder {
    let key = key.map(str::to_owned);
    QueuedOrder { order: OrderId::new(1), user: UserId(user), quantity, key, accepted_at_ms: 1 }
}

fn entry(sequence: u64, orders: &[&QueuedOrder]) -> OutboxEntry {
    let orders = orders.iter().map(|&order| order.clone()).collect();
    OutboxEntry::new(EntryId { epoch: 3, sequence }, orders)
}

fn claim_of(plan: &LedgerPlan, user: i64) -> Option<Claim> {
    let (_, value) = plan.claims.iter().find(|(of, _)| of.0 == user)?;
    Some(Claim::parse(value.as_bytes()).expect("a claim"))
}

fn key_of(plan: &LedgerPlan, field: &str) -> Option<OrderId> {
    let (_, value) = plan.keys.iter().find(|(of, _)| of == field)?;
    Some(Claim::parse_key(value.as_bytes()).expect("a key").order)
}

#[test]
fn live_rows_and_orders_under_way_hold_stock_and_claims() {
    let (pending, paid) = (row(1, 2, OrderStatus::Pending, Some("k1")), row(2, 1, OrderStatus::Paid, None));
    let queued = order(3, 3, Some("k3"));
    let known =
        snapshot(10, vec![pending.clone(), paid.clone(), row(4, 4, OrderStatus::Cancelled, Some("k4"))]);
    let plan = plan_ledger(&known, &[entry(0, &[&queued])]).unwrap();
    assert_eq!((plan.stock, plan.counted, plan.inflight), (4, 3, 3));
    let claim = |order, state, quantity| Some(Claim { order, state: Some(state), quantity });
    assert_eq!(claim_of(&plan, 1), claim(pending.order, ClaimState::Pending, 2));
    assert_eq!(claim_of(&plan, 2), claim(paid.order, ClaimState::Paid, 1));
    assert_eq!(claim_of(&plan, 3), claim(queued.order, ClaimState::Queued, 3));
    assert_eq!(claim_of(&plan, 4), None, "a cancelled order holds nothing");
    assert_eq!(key_of(&plan, "4:k4"), Some(known.rows[2].order), "but its key is remembered");
    assert_eq!(key_of(&plan, &format!("2:#{}", paid.order)), Some(paid.order));
    assert_eq!(key_of(&plan, "3:k3"), Some(queued.order));
}

#[test]
fn an_order_without_a_place_is_not_counted_but_its_key_is_written() {
    let live = row(1, 1, OrderStatus::Pending, None);
    let (second_of_user, first, too_many) =
        (order(1, 1, Some("a")), order(2, 1, None), order(3, 2, Some("c")));
    let known = snapshot(3, vec![live.clone()]);
    let plan = plan_ledger(&known, &[entry(0, &[&second_of_user, &first]), entry(1, &[&too_many])]).unwrap();
    assert_eq!((plan.stock, plan.counted, plan.inflight), (1, 1, 4), "entries stay in flight as a whole");
    assert_eq!(claim_of(&plan, 1).unwrap().order, live.order);
    assert_eq!(claim_of(&plan, 3), None);
    assert_eq!(key_of(&plan, "1:a"), Some(second_of_user.order));
    assert_eq!(key_of(&plan, "3:c"), Some(too_many.order));
}

#[test]
fn an_order_in_two_entries_or_with_a_row_counts_once() {
    let written = row(1, 1, OrderStatus::Rejected, None);
    let replayed = QueuedOrder { order: written.order, ..order(1, 1, None) };
    let twice = order(2, 1, None);
    let plan =
        plan_ledger(&snapshot(5, vec![written]), &[entry(0, &[&replayed, &twice]), entry(1, &[&twice])])
            .unwrap();
    assert_eq!((plan.stock, plan.counted, plan.inflight), (4, 1, 3));
    assert_eq!(claim_of(&plan, 1), None, "a rejected order is not taken in again");
}

#[test]
fn a_key_shared_after_a_loss_names_the_order_that_lives() {
    let (dead, live) = (row(1, 1, OrderStatus::Lost, Some("k")), row(1, 1, OrderStatus::Pending, Some("k")));
    let want = live.order;
    for rows in [vec![dead.clone(), live.clone()], vec![live, dead]] {
        assert_eq!(key_of(&plan_ledger(&snapshot(5, rows), &[]).unwrap(), "1:k"), Some(want));
    }
}

#[test]
fn a_key_whose_orders_are_all_dead_names_the_one_that_was_sold() {
    let (lost, rejected) =
        (row(1, 1, OrderStatus::Lost, Some("k")), row(1, 1, OrderStatus::Rejected, Some("k")));
    let cancelled = row(1, 1, OrderStatus::Cancelled, Some("k"));
    let want = cancelled.order;
    for rows in [vec![lost, rejected.clone(), cancelled.clone()], vec![cancelled, rejected]] {
        assert_eq!(key_of(&plan_ledger(&snapshot(5, rows), &[]).unwrap(), "1:k"), Some(want));
    }
}

#[test]
fn no_ledger_is_opened_on_an_oversold_database() {
    let rows = vec![row(1, 2, OrderStatus::Paid, None), row(2, 2, OrderStatus::Pending, None)];
    assert_eq!(plan_ledger(&snapshot(3, rows), &[]), Err(Overdrawn { total: 3, live: 4 }));
}

proptest! {
    #[test]
    fn stock_is_conserved_and_a_user_has_one_claim(
        rows in proptest::collection::vec((1i64..12, 1u32..4, 0usize..5, 0u8..3), 0..20),
        entries in proptest::collection::vec(proptest::collection::vec((1i64..12, 1u32..4, 0u8..3), 1..5), 0..8),
        spare in 0u32..10,
        again in proptest::option::of(0usize..8),
    ) {
        let key = |of: u8| (of > 0).then(|| format!("k{of}"));
        let mut with_live_order = HashSet::new();
        let rows: Vec<SnapshotRow> = rows.into_iter().map(|(user, quantity, status, of)| {
            let mut status = OrderStatus::ALL[status];
            if status.live() && !with_live_order.insert(user) {
                status = OrderStatus::Cancelled; // the database allows one live order a user
            }
            row(user, quantity, status, key(of).as_deref())
        }).collect();
        let live: u32 = rows.iter().filter(|row| row.status.live()).map(|row| row.quantity).sum();
        let mut outbox: Vec<OutboxEntry> = (0..).zip(entries).map(|(sequence, orders)| {
            let orders: Vec<_> = orders.into_iter().map(|(u, q, of)| order(u, q, key(of).as_deref())).collect();
            entry(sequence, &orders.iter().collect::<Vec<_>>())
        }).collect();
        if let Some(entry) = again.and_then(|at| outbox.get(at).cloned()) {
            outbox.push(entry); // delivered twice, or adopted before
        }

        let known = snapshot(live + spare, rows.clone());
        let plan = plan_ledger(&known, &outbox).unwrap();
        prop_assert_eq!(plan.stock + u64::from(live) + plan.counted, u64::from(live + spare));
        let users: HashSet<UserId> = plan.claims.iter().map(|(user, _)| *user).collect();
        prop_assert_eq!(users.len(), plan.claims.len());
        let held: u64 = plan.claims.iter()
            .map(|(_, value)| u64::from(Claim::parse(value.as_bytes()).unwrap().quantity)).sum();
        prop_assert_eq!(held, u64::from(live) + plan.counted, "claims hold exactly what is not in stock");
        for row in rows.iter().filter(|row| row.status.live()) {
            prop_assert!(plan.claims.contains(&(row.user, buyer_value(row.order, row.status.into(), row.quantity))));
        }
        let fields: HashSet<&str> = plan.keys.iter().map(|(field, _)| field.as_str()).collect();
        prop_assert_eq!(fields.len(), plan.keys.len());
        prop_assert!(rows.iter().map(row_field).all(|field| fields.contains(field.as_str())));
        let mut queued = outbox.iter().flat_map(|entry| &entry.orders);
        prop_assert!(queued.all(|order| fields.contains(order.key_field().as_str())));
        prop_assert_eq!(plan.inflight, outbox.iter().map(OutboxEntry::units).sum::<u64>());
    }
}
