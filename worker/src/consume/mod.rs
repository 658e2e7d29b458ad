//! Consuming accepted orders: a batch of messages, one transaction an event, commit, then acknowledge, then settle.
//!
//! A message is acknowledged only when every order in it has a row. Whatever goes wrong before that leaves the message with
//! the broker; whatever goes wrong after it leaves the entry in the outbox, where the settle sweep finds it.

mod batch;
mod bisect;
mod write;

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use spike_broker::{Backoff, BrokerError, Consumer, Delivery, topology};
use spike_domain::{EventId, OrderStatus};
use tokio::time::Instant;

use crate::Jobs;
use crate::stop::Stop;
use batch::{Batch, EventBatch};
use write::{GaveUp, Writer, Written};

/// Longest rest between two attempts to reach the broker.
const RECONNECT_MAX: Duration = Duration::from_secs(3);

pub(crate) async fn run(jobs: Jobs, mut stop: Stop) {
    let amqp = &jobs.config.amqp;
    let timeout = Duration::from_millis(amqp.connect_timeout_ms);
    let writer = Writer { store: jobs.store.clone(), ledger: jobs.ledger.clone() };
    let mut backoff = Backoff::new(Duration::from_millis(100), RECONNECT_MAX);
    while !stop.asked() {
        match jobs.broker.consumer(amqp.prefetch, timeout).await {
            Ok(consumer) => {
                backoff.reset();
                tracing::info!(queue = topology::ORDERS, prefetch = amqp.prefetch, "consuming orders");
                jobs.health.consuming.store(true, Ordering::Relaxed);
                let mut consuming = Consuming { jobs: &jobs, writer: &writer, consumer };
                let ended = consuming.run(stop.clone()).await;
                jobs.health.consuming.store(false, Ordering::Relaxed);
                match ended {
                    Ok(()) => return consuming.consumer.close().await,
                    Err(error) => {
                        tracing::warn!(%error, "consuming interrupted; messages in hand come again");
                    }
                }
            }
            Err(error) => tracing::warn!(%error, attempt = backoff.failures() + 1, "broker not reached"),
        }
        if stop.rest(backoff.next_wait()).await {
            return;
        }
    }
}

/// One subscription's life.
struct Consuming<'a> {
    jobs: &'a Jobs,
    writer: &'a Writer,
    consumer: Consumer,
}

impl Consuming<'_> {
    /// Consumes until told to stop; an error means that the subscription is over.
    async fn run(&mut self, mut stop: Stop) -> Result<(), BrokerError> {
        loop {
            let batch = self.gather(&mut stop).await?;
            if batch.is_empty() {
                return Ok(());
            }
            self.work_off(batch, &stop).await?;
        }
    }

    /// Waits for a message and takes what follows closely. Empty when the worker is to leave.
    async fn gather(&mut self, stop: &mut Stop) -> Result<Batch, BrokerError> {
        let worker = &self.jobs.config.worker;
        let mut batch = Batch::default();
        if stop.asked() {
            return Ok(batch);
        }
        tokio::select! {
            first = self.consumer.next() => batch.add(first?),
            () = stop.wait() => return Ok(batch),
        }
        let until = Instant::now() + Duration::from_millis(worker.batch_linger_ms);
        while batch.orders < worker.batch_orders_max {
            match tokio::time::timeout_at(until, self.consumer.next()).await {
                Ok(next) => batch.add(next?),
                Err(_) => break,
            }
        }
        Ok(batch)
    }

    async fn work_off(&mut self, batch: Batch, stop: &Stop) -> Result<(), BrokerError> {
        for (delivery, error) in &batch.unreadable {
            self.park(delivery, &error.to_string(), stop).await?;
        }
        let writer = self.writer;
        let events: Vec<(EventId, EventBatch)> = batch.events.into_iter().collect();
        let written =
            join_all(events.iter().map(|(event, batch)| writer.write(*event, batch, stop.clone()))).await;
        for ((event, batch), outcome) in events.iter().zip(&written) {
            self.answer(*event, batch, outcome, stop).await?;
        }
        let settles = events.iter().zip(written).filter_map(|((event, batch), outcome)| {
            outcome.ok().map(|written| self.settle(*event, batch, written))
        });
        join_all(settles).await;
        Ok(())
    }

    /// Tells the broker what became of an event's messages.
    async fn answer(
        &mut self,
        event: EventId,
        batch: &EventBatch,
        outcome: &Result<Written, GaveUp>,
        stop: &Stop,
    ) -> Result<(), BrokerError> {
        match outcome {
            Ok(written) => {
                if written.rows.values().any(|status| *status == OrderStatus::Rejected) {
                    self.jobs.restock.notify_one();
                }
                self.consumer.ack(&batch.tags()).await
            }
            Err(GaveUp::Later(trouble)) => {
                tracing::warn!(%event, %trouble, messages = batch.messages.len(), "orders go back to the queue");
                self.consumer.requeue(&batch.tags()).await
            }
            Err(error @ GaveUp::UnknownEvent) => {
                for delivery in &batch.messages {
                    self.park(delivery, &error.to_string(), stop).await?;
                }
                Ok(())
            }
            // Left unacknowledged: the broker gives them to the next worker.
            Err(GaveUp::Stopping) => Ok(()),
        }
    }

    /// The end of a message nobody can use: its bytes are kept in `dead_letters` and in the parking queue.
    async fn park(&mut self, delivery: &Delivery, reason: &str, stop: &Stop) -> Result<(), BrokerError> {
        tracing::error!(message_id = delivery.message_id, reason, "message parked");
        let mut backoff = Backoff::new(Duration::from_millis(50), RECONNECT_MAX);
        let mut stop = stop.clone();
        loop {
            let (store, body) = (&self.jobs.store, &delivery.body);
            match store.park_message(topology::ORDERS, &delivery.message_id, reason, body).await {
                Ok(()) => break,
                Err(error) if error.transient() => {
                    tracing::warn!(%error, "parking waits for the database");
                    if stop.rest(backoff.next_wait()).await {
                        return Ok(());
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "message is in the parking queue only");
                    break;
                }
            }
        }
        self.consumer.reject_to_parking(delivery.tag).await
    }

    /// Takes written entries out of the outbox. A refusal is fine: the settle sweep comes back to them.
    async fn settle(&self, event: EventId, batch: &EventBatch, written: Written) {
        let entries = batch.settleable(&written.rows);
        if let Err(error) = self.jobs.ledger.settle(event, written.epoch, &entries).await {
            tracing::debug!(%event, %error, entries = entries.len(), "entries left to the settle sweep");
        }
    }
}
