//! Moves messages that nobody could use from the parking queue into the table `dead_letters`, where an operator finds them.
//!
//! The queue keeps them while the database is away, whoever has put them there: a worker, or the broker itself because a
//! message came back too often. One that is killed between the row and the acknowledgement keeps the same row again.

use std::time::Duration;

use spike_broker::{Backoff, BrokerError, Consumer, Delivery, Inbox};
use spike_domain::OrdersMessage;
use spike_metrics::words::Job;

use crate::Jobs;
use crate::stop::Stop;

/// Messages in hand at once.
const PREFETCH: u16 = 16;
/// Longest rest between two attempts to reach broker or database.
const REST_MAX: Duration = Duration::from_secs(3);

pub(crate) async fn run(jobs: Jobs, mut stop: Stop) {
    let timeout = Duration::from_millis(jobs.config.amqp.connect_timeout_ms);
    let mut backoff = Backoff::new(Duration::from_millis(100), REST_MAX);
    let mut failures: u32 = 0;
    while !stop.asked() {
        match jobs.broker.consumer_of(Inbox::Parking, PREFETCH, timeout).await {
            Ok(mut consumer) => {
                backoff.reset();
                failures = 0;
                match empty(&jobs, &mut consumer, stop.clone()).await {
                    Ok(()) => return consumer.close().await,
                    Err(error) => {
                        jobs.metrics.failed(Job::Parking);
                        tracing::warn!(%error, "the parking queue is left alone for a moment");
                    }
                }
            }
            Err(error) => {
                jobs.metrics.failed(Job::Parking);
                failures += 1;
                if failures.is_power_of_two() {
                    tracing::warn!(%error, failures, "parking queue not reached");
                }
            }
        }
        if stop.rest(backoff.next_wait()).await {
            return;
        }
    }
}

/// Until told to stop; an error means that the subscription is over.
async fn empty(jobs: &Jobs, consumer: &mut Consumer, mut stop: Stop) -> Result<(), BrokerError> {
    loop {
        let delivery = tokio::select! {
            next = consumer.next() => next?,
            () = stop.wait() => return Ok(()),
        };
        if !keep(jobs, &delivery, &mut stop).await {
            return Ok(());
        }
        consumer.ack(&[delivery.tag]).await?;
    }
}

/// False when the worker is to stop first.
async fn keep(jobs: &Jobs, delivery: &Delivery, stop: &mut Stop) -> bool {
    let (source, reason) = (&delivery.trail.parked_from, &delivery.trail.reason);
    let event = OrdersMessage::decode(&delivery.body).ok().map(|message| message.event);
    let mut backoff = Backoff::new(Duration::from_millis(50), REST_MAX);
    loop {
        let kept = jobs.store.park_message(source, &delivery.message_id, reason, &delivery.body, event).await;
        match kept {
            Ok(()) => {
                jobs.metrics.dead_letter_kept();
                tracing::warn!(message_id = delivery.message_id, source, reason, "dead letter kept");
                return true;
            }
            Err(error) => {
                jobs.metrics.failed(Job::Parking);
                tracing::warn!(%error, "a dead letter waits for the database");
            }
        }
        if stop.rest(backoff.next_wait()).await {
            return false;
        }
    }
}
