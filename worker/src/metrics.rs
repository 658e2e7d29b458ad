//! What the worker counts, and everything that it shows on its ops port.

use std::sync::atomic::Ordering;
use std::time::Duration;

use spike_broker::{Forward, PublishMetrics, Route, Trail};
use spike_domain::{OrderStatus, clock};
use spike_metrics::catalogue::common::READY;
use spike_metrics::catalogue::worker::{
    BATCH_ORDERS, CANCELLED_ORDERS, CONSUMING, DEAD_LETTERS, DEAD_LETTERS_OPEN, JOB_ERRORS, MESSAGES,
    ORDER_AGE, ORDERS, POISON_ORDERS, REBUILDS, RESTOCKED_ORDERS, RESTOCKED_UNITS, SETTLED_UNITS,
    WRITE_DURATION,
};
use spike_metrics::words::{Attempt, CancelledBy, Job, MessageEnd, OrderKind, RowStatus, SettledBy};
use spike_metrics::{Counts, Page, Spreads, write_process};
use spike_stock::Stock;
use spike_store::Store;

use crate::consume::{EventBatch, Written};
use crate::drift::Drift;
use crate::ops::Health;

/// The instruments of all jobs.
#[derive(Debug)]
pub(crate) struct WorkerMetrics {
    pub(crate) published: PublishMetrics,
    batch_orders: Spreads,
    write_duration: Spreads,
    order_age: Spreads,
    messages: Counts,
    orders: Counts,
    poison: Counts,
    dead_letters: Counts,
    dead_letters_open: Counts,
    cancelled: Counts,
    restocked_orders: Counts,
    restocked_units: Counts,
    settled: Counts,
    rebuilds: Counts,
    job_errors: Counts,
}

impl Default for WorkerMetrics {
    fn default() -> Self {
        Self {
            published: PublishMetrics::default(),
            batch_orders: Spreads::new(&BATCH_ORDERS),
            write_duration: Spreads::new(&WRITE_DURATION),
            order_age: Spreads::new(&ORDER_AGE),
            messages: Counts::new(&MESSAGES),
            orders: Counts::new(&ORDERS),
            poison: Counts::new(&POISON_ORDERS),
            dead_letters: Counts::new(&DEAD_LETTERS),
            dead_letters_open: Counts::new(&DEAD_LETTERS_OPEN),
            cancelled: Counts::new(&CANCELLED_ORDERS),
            restocked_orders: Counts::new(&RESTOCKED_ORDERS),
            restocked_units: Counts::new(&RESTOCKED_UNITS),
            settled: Counts::new(&SETTLED_UNITS),
            rebuilds: Counts::new(&REBUILDS),
            job_errors: Counts::new(&JOB_ERRORS),
        }
    }
}

impl WorkerMetrics {
    /// A batch was tried for so long; `None`: it was not written.
    pub(crate) fn wrote(&self, batch: &EventBatch, written: Option<&Written>, took: Duration) {
        let orders = batch.orders();
        self.batch_orders.observe_at(0, orders.len() as u64);
        self.write_duration.took_at(0, took);
        let Some(written) = written else { return };
        self.messages.add_at(MessageEnd::Written as usize, batch.messages.len() as u64);
        let now_ms = clock::now_ms();
        for (_, order) in orders {
            let Some(status) = written.rows.get(&order.order) else { continue };
            self.orders.add_at(row_status(*status) as usize, 1);
            self.order_age.took_at(0, Duration::from_millis(now_ms.saturating_sub(order.accepted_at_ms)));
        }
    }

    /// The broker has confirmed a message elsewhere; `before` is the trail it came with.
    pub(crate) fn sent_on(&self, before: &Trail, sent: &Forward) {
        let end = match sent.to {
            Route::Parking => MessageEnd::Parked,
            _ if sent.trail.attempts > before.attempts => MessageEnd::Retried,
            _ => MessageEnd::PutOff,
        };
        self.messages.add_at(end as usize, 1);
    }

    /// So many messages went back to the queue they came from.
    pub(crate) fn requeued(&self, messages: usize) {
        self.messages.add_at(MessageEnd::Requeued as usize, messages as u64);
    }

    /// An order that cannot be written was rejected.
    pub(crate) fn poisoned(&self) {
        self.poison.add(1);
    }

    /// A parked message is in the table.
    pub(crate) fn dead_letter_kept(&self) {
        self.dead_letters.add(1);
    }

    /// So many letters are open.
    pub(crate) fn dead_letters_open(&self, letters: u64) {
        self.dead_letters_open.set_at(0, letters);
    }

    /// Unpaid orders were cancelled.
    pub(crate) fn cancelled(&self, kind: OrderKind, by: CancelledBy, orders: usize) {
        self.cancelled.add_at(kind as usize * CancelledBy::COUNT + by as usize, orders as u64);
    }

    /// The stock of ended orders was given back.
    pub(crate) fn restocked(&self, orders: usize, units: u64) {
        self.restocked_orders.add(orders as u64);
        self.restocked_units.add(units);
    }

    /// Entries were settled.
    pub(crate) fn settled(&self, by: SettledBy, units: u64) {
        self.settled.add_at(by as usize, units);
    }

    /// A rebuild has ended.
    pub(crate) fn rebuilt(&self, done: bool) {
        let end = if done { Attempt::Done } else { Attempt::Failed };
        self.rebuilds.add_at(end as usize, 1);
    }

    /// A job's turn has failed.
    pub(crate) fn failed(&self, job: Job) {
        self.job_errors.add_at(job as usize, 1);
    }

    /// The text of a scrape.
    pub(crate) fn text(&self, health: &Health, drift: &Drift, store: &Store, ledger: &Stock) -> String {
        let mut page = Page::default();
        write_process(&mut page);
        page.value(&READY, u8::from(health.ready.load(Ordering::Relaxed)));
        page.value(&CONSUMING, u8::from(health.consuming.load(Ordering::Relaxed)));
        store.write_metrics(&mut page);
        ledger.write_metrics(&mut page);
        self.published.write(&mut page);
        for spreads in [&self.batch_orders, &self.write_duration, &self.order_age] {
            spreads.write(&mut page);
        }
        for counts in [
            &self.messages,
            &self.orders,
            &self.poison,
            &self.dead_letters,
            &self.dead_letters_open,
            &self.cancelled,
            &self.restocked_orders,
            &self.restocked_units,
            &self.settled,
            &self.rebuilds,
            &self.job_errors,
        ] {
            counts.write(&mut page);
        }
        drift.write(&mut page);
        page.into_text()
    }
}

fn row_status(status: OrderStatus) -> RowStatus {
    match status {
        OrderStatus::Pending => RowStatus::Pending,
        OrderStatus::Paid => RowStatus::Paid,
        OrderStatus::Cancelled => RowStatus::Cancelled,
        OrderStatus::Rejected => RowStatus::Rejected,
        OrderStatus::Lost => RowStatus::Lost,
    }
}

#[cfg(test)]
mod tests {
    use spike_broker::Outgoing;

    use super::*;

    fn shows(metrics: &Counts, line: &str) {
        let mut page = Page::default();
        metrics.write(&mut page);
        let text = page.into_text();
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }

    #[test]
    fn a_message_sent_on_is_counted_by_whose_fault_it_was() {
        let metrics = WorkerMetrics::default();
        let send = |to, before: u32, after: u32| {
            let trail = |attempts| Trail { attempts, ..Trail::default() };
            let message = Outgoing { message_id: String::new(), body: Vec::new() };
            metrics.sent_on(&trail(before), &Forward { to, message, trail: trail(after) });
        };
        let wait = Duration::from_secs(1);
        send(Route::Retry(wait), 1, 2);
        send(Route::Retry(wait), 2, 2);
        send(Route::Retry(wait), 0, 0);
        send(Route::Parking, 4, 5);
        metrics.requeued(7);
        for line in [
            "spike_worker_messages_total{outcome=\"retried\"} 1",
            "spike_worker_messages_total{outcome=\"put_off\"} 2",
            "spike_worker_messages_total{outcome=\"parked\"} 1",
            "spike_worker_messages_total{outcome=\"requeued\"} 7",
            "spike_worker_messages_total{outcome=\"written\"} 0",
        ] {
            shows(&metrics.messages, line);
        }
    }

    #[test]
    fn a_cancellation_is_in_the_series_of_its_kind() {
        let metrics = WorkerMetrics::default();
        metrics.cancelled(OrderKind::Spike, CancelledBy::Queue, 2);
        metrics.cancelled(OrderKind::Shop, CancelledBy::Sweep, 3);
        shows(&metrics.cancelled, "spike_worker_cancelled_orders_total{kind=\"spike\",by=\"queue\"} 2");
        shows(&metrics.cancelled, "spike_worker_cancelled_orders_total{kind=\"shop\",by=\"sweep\"} 3");
        shows(&metrics.cancelled, "spike_worker_cancelled_orders_total{kind=\"spike\",by=\"sweep\"} 0");
    }
}
