//! Consuming accepted orders: a batch of messages, one transaction an event, commit, then acknowledge, then settle.
//!
//! A message is acknowledged only when every order in it has a row. Whatever goes wrong before that leaves the message with
//! the broker; whatever goes wrong after it leaves the entry in the outbox, where the settle sweep finds it.

mod batch;
mod bisect;
mod waiting;
mod write;

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use spike_broker::{Backoff, BrokerError, Consumer, Delivery, topology};
use spike_domain::{EventId, OrderStatus};
use spike_telemetry::Arrow;
use tokio::time::Instant;

use crate::Jobs;
use crate::stop::Stop;
use batch::{Batch, EventBatch};
use waiting::Waiting;
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
                let mut consuming =
                    Consuming { jobs: &jobs, writer: &writer, consumer, waiting: Waiting::default() };
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
    waiting: Waiting,
}

impl Consuming<'_> {
    /// Consumes until told to stop; an error means that the subscription is over.
    async fn run(&mut self, mut stop: Stop) -> Result<(), BrokerError> {
        loop {
            let Some(mut batch) = self.gather(&mut stop).await? else { return Ok(()) };
            self.waiting.sort(&mut batch.events, Instant::now());
            self.work_off(batch, &stop).await?;
        }
    }

    /// Waits for a message and takes what follows closely; returns without one when messages in hand are to be tried again.
    /// `None` when the worker is to leave.
    async fn gather(&mut self, stop: &mut Stop) -> Result<Option<Batch>, BrokerError> {
        let worker = &self.jobs.config.worker;
        let mut batch = Batch::default();
        if stop.asked() {
            return Ok(None);
        }
        let next_try = self.waiting.next_try();
        tokio::select! {
            first = self.consumer.next() => batch.add(first?),
            () = stop.wait() => return Ok(None),
            () = tokio::time::sleep_until(next_try.unwrap_or_else(Instant::now)), if next_try.is_some() => {
                return Ok(Some(batch));
            }
        }
        let until = Instant::now() + Duration::from_millis(worker.batch_linger_ms);
        while batch.orders < worker.batch_orders_max {
            match tokio::time::timeout_at(until, self.consumer.next()).await {
                Ok(next) => batch.add(next?),
                Err(_) => break,
            }
        }
        Ok(Some(batch))
    }

    async fn work_off(&mut self, batch: Batch, stop: &Stop) -> Result<(), BrokerError> {
        Arrow::WorkerReceived.pass();
        for (delivery, error) in &batch.unreadable {
            self.park(delivery, &error.to_string(), stop).await?;
        }
        let (writer, jobs) = (self.writer, self.jobs);
        let write = async |(event, batch): (EventId, EventBatch)| {
            let outcome = writer.write(event, &batch, stop.clone()).await;
            (event, batch, outcome)
        };
        let mut writes: FuturesUnordered<_> = batch.events.into_iter().map(write).collect();
        let mut settles = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some((event, batch, outcome)) = writes.next() => {
                    if let Some((batch, written)) = self.answer(event, batch, outcome, stop).await? {
                        settles.push(settle(jobs, event, batch, written));
                    }
                }
                Some(()) = settles.next() => {}
                else => return Ok(()),
            }
        }
    }

    /// Tells the broker what became of an event's messages; returns what is to be settled.
    async fn answer(
        &mut self,
        event: EventId,
        batch: EventBatch,
        outcome: Result<Written, GaveUp>,
        stop: &Stop,
    ) -> Result<Option<(EventBatch, Written)>, BrokerError> {
        match outcome {
            Ok(written) => {
                self.waiting.succeeded(event);
                if written.rows.values().any(|status| *status == OrderStatus::Rejected) {
                    self.jobs.restock.notify_one();
                }
                Arrow::WorkerCommitted.pass();
                self.consumer.ack(&batch.tags()).await?;
                Arrow::WorkerAcked.pass();
                return Ok(Some((batch, written)));
            }
            Err(GaveUp::Later(trouble)) => {
                let messages = batch.messages.len();
                let back = self.waiting.failed(event, batch, Instant::now());
                tracing::warn!(%event, %trouble, messages, given_back = back.len(), "orders wait");
                self.consumer.requeue(&back).await?;
            }
            Err(error @ GaveUp::UnknownEvent) => {
                self.waiting.succeeded(event);
                for delivery in &batch.messages {
                    self.park(delivery, &error.to_string(), stop).await?;
                }
            }
            // Left unacknowledged: the broker gives them to the next worker.
            Err(GaveUp::Stopping) => {}
        }
        Ok(None)
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
}

/// Takes written entries out of the outbox. A refusal is fine: the settle sweep comes back to them.
async fn settle(jobs: &Jobs, event: EventId, batch: EventBatch, written: Written) {
    let entries = batch.settleable(&written.rows);
    match jobs.ledger.settle(event, written.epoch, &entries).await {
        Ok(_) => Arrow::WorkerSettled.pass(),
        Err(error) => {
            tracing::debug!(%event, %error, entries = entries.len(), "entries left to the settle sweep");
        }
    }
}
