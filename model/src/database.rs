//! The transactions of `shared/store`, each one step under the lock of the event's row.

use crate::conditions::Condition;
use crate::list::{Orders, each};
use crate::model::Model;
use crate::state::{Database, Marker, Payment, Row};

impl Model {
    /// Writes counted orders that have no row: PENDING, or REJECTED with a marker when the user holds a live order or the
    /// total is reached.
    pub fn write_orders(&self, database: &mut Database, orders: Orders) {
        for order in each(orders) {
            if database.of(order).row != Row::Absent {
                continue;
            }
            let live = database.live();
            let taken = each(live).any(|other| self.user(other) == self.user(order));
            let full = self.units(live) + self.quantity(order) > database.capacity(self.instance.stock);
            if taken && !self.holds(Condition::ConflictIsNoReplay) {
                continue;
            }
            if taken || (full && self.holds(Condition::TotalGuard)) {
                let rows = database.of_mut(order);
                (rows.row, rows.marker) = (Row::Rejected, Marker::Open);
            } else {
                database.of_mut(order).row = Row::Pending;
            }
        }
    }

    /// REJECTED rows without markers, for orders that hold nothing.
    pub fn write_rejected(&self, database: &mut Database, orders: Orders) {
        for order in each(orders) {
            let rows = database.of_mut(order);
            if rows.row == Row::Absent {
                rows.row = Row::Rejected;
            }
        }
    }

    /// The end of an order that no INSERT takes.
    pub fn write_poison(&self, database: &mut Database, order: u8) {
        let rows = database.of_mut(order);
        if rows.row == Row::Absent && self.holds(Condition::PoisonRow) {
            (rows.row, rows.marker) = (Row::Rejected, Marker::Open);
        }
    }

    /// A user, or the deadline, cancels a pending order; its marker is written in the same transaction.
    pub fn cancel(&self, database: &mut Database, order: u8) {
        let rows = database.of_mut(order);
        (rows.row, rows.marker) = (Row::Cancelled, Marker::Open);
    }

    /// The provider has the money: the order takes it if it is pending and `in_time`, else it is to go back.
    pub fn apply_payment(&self, database: &mut Database, order: u8, in_time: bool) {
        let rows = database.of_mut(order);
        if rows.payment == Payment::Attempted {
            rows.payment = Payment::Declined;
            return;
        }
        let payable = rows.row == Row::Pending && rows.payment == Payment::Captured && in_time;
        if payable || !self.holds(Condition::ConditionalPay) {
            (rows.row, rows.payment) = (Row::Paid, Payment::Applied);
        } else if self.holds(Condition::LateRefund) {
            rows.payment = Payment::RefundDue;
        } else {
            rows.payment = Payment::Kept;
        }
    }
}

impl Database {
    /// Every open marker is done: a rebuild has counted its stock as free.
    pub fn close_markers(&mut self) {
        for rows in &mut self.orders {
            if rows.marker == Marker::Open {
                rows.marker = Marker::Done;
            }
        }
    }
}
