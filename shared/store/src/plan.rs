//! Which orders of a batch become PENDING and which are REJECTED: a pure decision, taken under the event's
//! lock on what was read under it.

use std::collections::{HashMap, HashSet};

use spike_domain::{OrderId, OrderStatus, QueuedOrder, UserId};

/// What the database holds that matters to a batch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    /// Those orders of the batch that have a row.
    pub existing: HashMap<OrderId, OrderStatus>,
    /// Those users of the batch who hold a live order in the event.
    pub live_users: HashSet<UserId>,
    /// Units of all live orders.
    pub reserved: u32,
    /// Initial stock, less what has gone back to the inventory.
    pub total: u32,
}

/// What to do with one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has a row: leave it alone.
    Replay(OrderStatus),
    /// It gets a live row.
    Pending,
    /// Its user holds a live order, or it does not fit: a dead row, and its stock goes back to Redis.
    Rejected,
}

impl Verdict {
    /// The status its row has after the transaction.
    pub fn status(self) -> OrderStatus {
        match self {
            Self::Replay(status) => status,
            Self::Pending => OrderStatus::Pending,
            Self::Rejected => OrderStatus::Rejected,
        }
    }
}

/// Decides each order in turn; the answer is as long as `orders` and in the same order. The same order twice
/// is decided once and a replay the second time.
pub(crate) fn plan(orders: &[&QueuedOrder], standing: &Standing) -> Vec<Verdict> {
    let mut existing = standing.existing.clone();
    let mut live_users = standing.live_users.clone();
    let mut left = u64::from(standing.total).saturating_sub(u64::from(standing.reserved));
    let mut verdicts = Vec::with_capacity(orders.len());
    for order in orders {
        let units = u64::from(order.quantity);
        let verdict = match existing.get(&order.order) {
            Some(status) => Verdict::Replay(*status),
            None if units > left || live_users.contains(&order.user) => Verdict::Rejected,
            None => Verdict::Pending,
        };
        if verdict == Verdict::Pending {
            left -= units;
            live_users.insert(order.user);
        }
        existing.insert(order.order, verdict.status());
        verdicts.push(verdict);
    }
    verdicts
}

/// Whether every order would be PENDING if none of them had a row and none of their users a live order: then
/// one plain INSERT may be tried, and a duplicate key says that it was not so.
pub(crate) fn plain(orders: &[&QueuedOrder], reserved: u32, total: u32) -> bool {
    let units: u64 = orders.iter().map(|order| u64::from(order.quantity)).sum();
    let mut users = HashSet::with_capacity(orders.len());
    u64::from(reserved) + units <= u64::from(total) && orders.iter().all(|order| users.insert(order.user))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(number: u128, user: i64, quantity: u32) -> QueuedOrder {
        let order = OrderId(uuid::Uuid::from_u128(number));
        QueuedOrder { order, user: UserId(user), quantity, key: None, accepted_at_ms: 0 }
    }

    fn verdicts(orders: &[QueuedOrder], standing: &Standing) -> Vec<Verdict> {
        plan(&orders.iter().collect::<Vec<_>>(), standing)
    }

    #[test]
    fn each_reason_to_reject_and_a_replay() {
        let standing = Standing {
            existing: HashMap::from([(order(9, 9, 1).order, OrderStatus::Cancelled)]),
            live_users: HashSet::from([UserId(2)]),
            reserved: 5,
            total: 10,
        };
        let orders = [
            order(1, 1, 3),
            order(2, 2, 1), // live elsewhere
            order(3, 3, 3), // two are left
            order(4, 4, 2), // and they fit
            order(5, 1, 1), // the same user again, and nothing left
            order(9, 9, 1), // has a row
            order(1, 1, 3), // twice in the batch
        ];
        use Verdict::{Pending, Rejected, Replay};
        assert_eq!(
            verdicts(&orders, &standing),
            [
                Pending,
                Rejected,
                Rejected,
                Pending,
                Rejected,
                Replay(OrderStatus::Cancelled),
                Replay(OrderStatus::Pending)
            ]
        );
    }

    #[test]
    fn a_counter_above_the_total_rejects_rather_than_wraps() {
        let standing = Standing { reserved: 11, total: 10, ..Standing::default() };
        assert_eq!(verdicts(&[order(1, 1, 1)], &standing), [Verdict::Rejected]);
        let standing = Standing { reserved: 0, total: 10, ..Standing::default() };
        assert_eq!(
            verdicts(&[order(1, 1, u32::MAX), order(2, 2, u32::MAX)], &standing),
            [Verdict::Rejected; 2]
        );
    }

    prop_compose! {
        fn any_orders()(raw in prop::collection::vec((0u128..12, 1u32..4), 0..20)) -> Vec<QueuedOrder> {
            // The user is a function of the order, as it is in life; two orders may share one.
            raw.into_iter().map(|(number, quantity)| order(number, i64::try_from(number / 2).unwrap(), quantity)).collect()
        }
    }

    proptest! {
        #[test]
        fn never_beyond_the_total_never_twice_a_user_and_a_replay_changes_nothing(
            orders in any_orders(), total in 0u32..12, reserved in 0u32..12,
            live in prop::collection::hash_set(0i64..6, 0..4),
        ) {
            let live_users: HashSet<UserId> = live.into_iter().map(UserId).collect();
            let standing = Standing { live_users: live_users.clone(), reserved, total, ..Standing::default() };
            let first = verdicts(&orders, &standing);
            let mut units = 0;
            let mut users = live_users;
            for (order, verdict) in orders.iter().zip(&first) {
                if *verdict == Verdict::Pending {
                    units += order.quantity;
                    prop_assert!(users.insert(order.user), "two live orders of {}", order.user);
                }
            }
            prop_assert!(units == 0 || reserved + units <= total);

            let rows = orders.iter().zip(&first).map(|(order, verdict)| (order.order, verdict.status())).collect();
            let after = Standing { existing: rows, live_users: users, reserved: reserved + units, total };
            for (verdict, before) in verdicts(&orders, &after).into_iter().zip(first) {
                prop_assert_eq!(verdict, Verdict::Replay(before.status()));
            }
        }

        #[test]
        fn a_plain_batch_is_pending_throughout(orders in any_orders(), total in 0u32..40, reserved in 0u32..12) {
            let refs: Vec<&QueuedOrder> = orders.iter().collect();
            if plain(&refs, reserved, total) {
                let standing = Standing { reserved, total, ..Standing::default() };
                prop_assert!(plan(&refs, &standing).into_iter().all(|verdict| verdict == Verdict::Pending));
            }
        }
    }
}
