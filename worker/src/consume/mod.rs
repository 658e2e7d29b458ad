//! Consuming accepted orders: a batch of messages, one transaction an event, commit, then acknowledge, then settle.
//!
//! A message is acknowledged only when every order in it has a row, or when the broker has confirmed it in another queue.
//! Whatever goes wrong before that leaves the message with the broker; whatever goes wrong after it leaves the entry in the
//! outbox, where the settle sweep finds it. An event that takes long to write, or cannot be written, holds up no other.

mod batch;
mod bisect;
mod retry;
mod waiting;
mod write;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use spike_broker::{Backoff, BrokerError, Consumer, Delivery, Forward, Outgoing, Route, Trail, topology};
use spike_domain::mutant::{self, Mutant};
use spike_domain::{EventId, OrderStatus};
use spike_metrics::words::{Job, SettledBy};
use spike_telemetry::Arrow;
use tokio::time::Instant;

use crate::Jobs;
use crate::onward::Onward;
use crate::stop::Stop;
use batch::Batch;
pub(crate) use batch::EventBatch;
use waiting::{PutOff, Waiting};
pub(crate) use write::Written;
use write::{GaveUp, Trouble, Writer};

/// Longest rest between two attempts to reach the broker.
const RECONNECT_MAX: Duration = Duration::from_secs(3);
/// A write that takes longer goes on beside those of the next batch.
const SLOW: Duration = Duration::from_millis(500);
/// Longest rest before messages that could not be sent on go back to the queue they came from.
const SEND_ON_REST_MAX: Duration = Duration::from_secs(2);

pub(crate) async fn run(jobs: Jobs, mut stop: Stop) {
    let amqp = &jobs.config.amqp;
    let timeout = Duration::from_millis(amqp.connect_timeout_ms);
    let (store, ledger, metrics) = (jobs.store.clone(), jobs.ledger.clone(), jobs.metrics.clone());
    let writer = Writer { store, ledger, metrics };
    let mut backoff = Backoff::new(Duration::from_millis(100), RECONNECT_MAX);
    while !stop.asked() {
        match jobs.broker.consumer(amqp.prefetch, timeout).await {
            Ok(consumer) => {
                backoff.reset();
                tracing::info!(queue = topology::ORDERS, prefetch = amqp.prefetch, "consuming orders");
                jobs.health.consuming.store(true, Ordering::Relaxed);
                let mut consuming = Consuming::new(&jobs, &writer, consumer);
                let ended = consuming.run(stop.clone()).await;
                jobs.health.consuming.store(false, Ordering::Relaxed);
                match ended {
                    Ok(()) => return consuming.consumer.close().await,
                    Err(error) => {
                        jobs.metrics.failed(Job::Consume);
                        tracing::warn!(%error, "consuming interrupted; messages in hand come again");
                    }
                }
            }
            Err(error) => {
                jobs.metrics.failed(Job::Consume);
                tracing::warn!(%error, attempt = backoff.failures() + 1, "broker not reached");
            }
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
    /// Writes that take long; at most one an event.
    slow: FuturesUnordered<BoxFuture<'a, Outcome>>,
    onward: Onward,
    send_on_rest: Backoff,
    tiers: Vec<Duration>,
}

/// What became of an event's messages.
struct Outcome {
    event: EventId,
    parts: Vec<(EventBatch, Result<Written, GaveUp>)>,
    /// Each message was tried alone, because together they had failed.
    alone: bool,
}

/// What wakes a worker.
enum Woken {
    Messages(Batch),
    Slow(Outcome),
    Stop,
}

impl<'a> Consuming<'a> {
    fn new(jobs: &'a Jobs, writer: &'a Writer, consumer: Consumer) -> Self {
        let amqp = &jobs.config.amqp;
        let tiers = &jobs.config.worker.retry_tiers_ms;
        Self {
            jobs,
            writer,
            consumer,
            waiting: Waiting::new(usize::from(amqp.prefetch / 2).max(1)),
            slow: FuturesUnordered::new(),
            onward: Onward::new(jobs.broker.clone(), amqp, jobs.metrics.clone()),
            send_on_rest: Backoff::new(Duration::from_millis(100), SEND_ON_REST_MAX),
            tiers: tiers.iter().map(|&ms| Duration::from_millis(ms)).collect(),
        }
    }

    /// Consumes until told to stop; an error means that the subscription is over.
    async fn run(&mut self, mut stop: Stop) -> Result<(), BrokerError> {
        loop {
            match self.gather(&mut stop).await? {
                Woken::Messages(mut batch) => {
                    for PutOff { batch, reason } in self.waiting.sort(&mut batch.events, Instant::now()) {
                        self.put_off(batch, &reason).await?;
                    }
                    self.work_off(batch, &stop).await?;
                }
                Woken::Slow(outcome) => self.finish(outcome, &stop).await?,
                Woken::Stop => break,
            }
        }
        while let Some(outcome) = self.slow.next().await {
            self.finish(outcome, &stop).await?;
        }
        Ok(())
    }

    /// Waits for a message and takes what follows closely; returns without one when messages in hand are to be tried again.
    async fn gather(&mut self, stop: &mut Stop) -> Result<Woken, BrokerError> {
        let worker = &self.jobs.config.worker;
        let mut batch = Batch::default();
        if stop.asked() {
            return Ok(Woken::Stop);
        }
        let next_try = self.waiting.next_try();
        tokio::select! {
            first = self.consumer.next() => batch.add(first?),
            () = stop.wait() => return Ok(Woken::Stop),
            Some(outcome) = self.slow.next() => return Ok(Woken::Slow(outcome)),
            () = tokio::time::sleep_until(next_try.unwrap_or_else(Instant::now)), if next_try.is_some() => {
                return Ok(Woken::Messages(batch));
            }
        }
        let until = Instant::now() + Duration::from_millis(worker.batch_linger_ms);
        while batch.orders < worker.batch_orders_max {
            match tokio::time::timeout_at(until, self.consumer.next()).await {
                Ok(next) => batch.add(next?),
                Err(_) => break,
            }
        }
        Ok(Woken::Messages(batch))
    }

    async fn work_off(&mut self, batch: Batch, stop: &Stop) -> Result<(), BrokerError> {
        Arrow::WorkerReceived.pass();
        for (delivery, error) in &batch.unreadable {
            self.park(std::slice::from_ref(delivery), &error.to_string()).await?;
        }
        if mutant::on(Mutant::AckBeforeCommit) {
            let tags: Vec<_> = batch.events.values().flat_map(EventBatch::tags).collect();
            self.consumer.ack(&tags).await?;
        }
        let mut under_way: BTreeSet<EventId> = batch.events.keys().copied().collect();
        let mut writes: FuturesUnordered<_> =
            batch.events.into_iter().map(|(event, batch)| self.write(event, vec![batch], stop)).collect();
        let mut settles = FuturesUnordered::new();
        let slow = tokio::time::sleep(SLOW);
        tokio::pin!(slow);
        loop {
            tokio::select! {
                Some(outcome) = writes.next() => {
                    under_way.remove(&outcome.event);
                    settles.extend(self.answer(outcome, stop).await?);
                }
                Some(()) = settles.next() => {}
                () = &mut slow, if !writes.is_empty() => {
                    under_way.iter().for_each(|event| self.waiting.slow(*event, Instant::now()));
                    self.slow.extend(std::mem::take(&mut writes));
                }
                else => return Ok(()),
            }
        }
    }

    /// Writes the parts of an event one after the other.
    fn write(&self, event: EventId, parts: Vec<EventBatch>, stop: &Stop) -> BoxFuture<'a, Outcome> {
        let (writer, metrics, stop, alone) = (self.writer, &self.jobs.metrics, stop.clone(), parts.len() > 1);
        async move {
            let mut outcome = Outcome { event, parts: Vec::with_capacity(parts.len()), alone };
            for part in parts {
                let since = Instant::now();
                let result = writer.write(event, &part, stop.clone()).await;
                metrics.wrote(&part, result.as_ref().ok(), since.elapsed());
                outcome.parts.push((part, result));
            }
            outcome
        }
        .boxed()
    }

    /// [`Consuming::answer`], and the settling with it.
    async fn finish(&mut self, outcome: Outcome, stop: &Stop) -> Result<(), BrokerError> {
        let settles: FuturesUnordered<_> = self.answer(outcome, stop).await?.into_iter().collect();
        settles.collect::<()>().await;
        Ok(())
    }

    /// Tells the broker what became of an event's messages; returns the settling of what was written.
    async fn answer(
        &mut self,
        outcome: Outcome,
        stop: &Stop,
    ) -> Result<Vec<impl Future<Output = ()> + use<'a>>, BrokerError> {
        let Outcome { event, parts, alone } = outcome;
        let (mut settles, mut stuck) = (Vec::new(), None);
        for (batch, result) in parts {
            match result {
                Ok(written) => {
                    if written.rows.values().any(|status| *status == OrderStatus::Rejected) {
                        self.jobs.restock.notify_one();
                    }
                    Arrow::WorkerCommitted.pass();
                    if !mutant::on(Mutant::AckBeforeCommit) {
                        self.consumer.ack(&batch.tags()).await?;
                    }
                    Arrow::WorkerAcked.pass();
                    if let Some(deadline) = written.deadline(event) {
                        self.jobs.notices.give(deadline);
                    }
                    settles.push(settle(self.jobs, event, batch, written));
                }
                Err(GaveUp::Later(trouble)) if alone => {
                    stuck = Some(trouble.to_string());
                    self.send_on(&batch.messages, &trouble).await?;
                }
                Err(GaveUp::Later(trouble)) => {
                    stuck = Some(trouble.to_string());
                    self.failed(event, batch, &trouble, stop).await?;
                }
                Err(error @ GaveUp::UnknownEvent) => self.park(&batch.messages, &error.to_string()).await?,
                // Left unacknowledged: the broker gives them to the next worker.
                Err(GaveUp::Stopping) => {}
            }
        }
        match stuck {
            Some(reason) if alone => drop(self.waiting.stuck(event, reason, Instant::now())),
            Some(_) => {}
            None => self.waiting.succeeded(event, Instant::now()),
        }
        Ok(settles)
    }

    /// Messages of an event could not be written: they stay in hand for a while, are tried one by one to find whose fault
    /// it is, or are sent on.
    async fn failed(
        &mut self,
        event: EventId,
        batch: EventBatch,
        trouble: &Trouble,
        stop: &Stop,
    ) -> Result<(), BrokerError> {
        let (now, messages) = (Instant::now(), batch.messages.len());
        let Some(batch) = self.waiting.failed(event, batch, trouble.to_string(), now) else {
            tracing::warn!(%event, %trouble, messages, "orders wait");
            return Ok(());
        };
        if trouble.counted() && batch.messages.len() > 1 {
            self.waiting.slow(event, now);
            self.slow.push(self.write(event, batch.apart(), stop));
            return Ok(());
        }
        self.send_on(&batch.messages, trouble).await
    }

    /// Messages that could not be written go to the queue where they wait, or end in the parking queue.
    async fn send_on(&mut self, messages: &[Delivery], trouble: &Trouble) -> Result<(), BrokerError> {
        let (reason, counted, tiers) = (trouble.to_string(), trouble.counted(), self.tiers.clone());
        tracing::warn!(%trouble, counted, messages = messages.len(), "messages put off");
        let next = |trail: &Trail| match counted {
            true => retry::counted(trail, &reason, &tiers),
            false => retry::put_off(trail, &reason, &tiers),
        };
        self.forward(messages, next).await
    }

    /// Too many messages of a stuck event for one hand.
    async fn put_off(&mut self, batch: EventBatch, reason: &str) -> Result<(), BrokerError> {
        tracing::warn!(reason, messages = batch.messages.len(), "messages of a stuck event put off");
        let tiers = self.tiers.clone();
        self.forward(&batch.messages, |trail| retry::put_off(trail, reason, &tiers)).await
    }

    /// The end of messages nobody can use: the parking queue, from which `parking` moves them into `dead_letters`.
    async fn park(&mut self, messages: &[Delivery], reason: &str) -> Result<(), BrokerError> {
        for message in messages {
            tracing::error!(message_id = message.message_id, reason, "message parked");
        }
        self.forward(messages, |_| retry::parked(reason)).await
    }

    /// Acknowledged here only when the broker has confirmed them there; else they come again.
    async fn forward(
        &mut self,
        messages: &[Delivery],
        next: impl Fn(&Trail) -> (Route, Trail),
    ) -> Result<(), BrokerError> {
        let forward = |message: &Delivery| {
            let (to, trail) = next(&message.trail);
            let (message_id, body) = (message.message_id.clone(), message.body.clone());
            Forward { to, message: Outgoing { message_id, body }, trail }
        };
        let window: Vec<Forward> = messages.iter().map(forward).collect();
        let tags: Vec<_> = messages.iter().map(|message| message.tag).collect();
        match self.onward.send(&window).await {
            Ok(()) => {
                self.send_on_rest.reset();
                for (message, sent) in messages.iter().zip(&window) {
                    self.jobs.metrics.sent_on(&message.trail, sent);
                }
                self.consumer.ack(&tags).await
            }
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    messages = tags.len(),
                    "messages not sent on, they come again"
                );
                self.jobs.metrics.requeued(tags.len());
                tokio::time::sleep(self.send_on_rest.next_wait()).await;
                self.consumer.requeue(&tags).await
            }
        }
    }
}

/// Takes written entries out of the outbox. A refusal is fine: the settle sweep comes back to them.
async fn settle(jobs: &Jobs, event: EventId, batch: EventBatch, written: Written) {
    let entries = batch.settleable(&written.rows);
    match jobs.ledger.settle(event, written.epoch, &entries).await {
        Ok(units) => {
            jobs.metrics.settled(SettledBy::Consumer, units);
            Arrow::WorkerSettled.pass();
        }
        Err(error) => {
            tracing::debug!(%event, %error, entries = entries.len(), "entries left to the settle sweep");
        }
    }
}
