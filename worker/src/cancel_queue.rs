//! Cancels orders when the cancel queue says that their time to pay may be over: sooner than the sweep finds them, and with
//! the same condition. A message that comes early is put off again; one that is lost is the sweep's business (`expire`).

use std::time::Duration;

use spike_broker::{
    Backoff, BrokerError, Consumer, Delivery, Forward, Inbox, Outgoing, Route, Trail, topology,
};
use spike_domain::{DeadlineMessage, EventId};
use spike_metrics::words::{CancelledBy, Job, OrderKind};
use spike_store::StoreError;
use spike_telemetry::Arrow;

use crate::Jobs;
use crate::deadlines::put_off;
use crate::onward::Onward;
use crate::stop::Stop;

/// Messages in hand at once.
const PREFETCH: u16 = 32;
/// Orders cancelled in one call.
const ORDERS_A_CALL: u32 = 500;
/// Longest rest between two attempts to reach broker or database.
const REST_MAX: Duration = Duration::from_secs(3);

pub(crate) async fn run(jobs: Jobs, mut stop: Stop) {
    let timeout = Duration::from_millis(jobs.config.amqp.connect_timeout_ms);
    let mut backoff = Backoff::new(Duration::from_millis(100), REST_MAX);
    let mut failures: u32 = 0;
    while !stop.asked() {
        match jobs.broker.consumer_of(Inbox::Cancel, PREFETCH, timeout).await {
            Ok(consumer) => {
                backoff.reset();
                failures = 0;
                let onward = Onward::new(jobs.broker.clone(), &jobs.config.amqp, jobs.metrics.clone());
                let mut cancelling = Cancelling { jobs: &jobs, consumer, onward };
                match cancelling.run(stop.clone()).await {
                    Ok(()) => return cancelling.consumer.close().await,
                    Err(error) => {
                        jobs.metrics.failed(Job::CancelQueue);
                        tracing::warn!(%error, "the cancel queue is left alone for a moment");
                    }
                }
            }
            Err(error) => {
                jobs.metrics.failed(Job::CancelQueue);
                failures += 1;
                if failures.is_power_of_two() {
                    tracing::warn!(%error, failures, "cancel queue not reached");
                }
            }
        }
        if stop.rest(backoff.next_wait()).await {
            return;
        }
    }
}

struct Cancelling<'a> {
    jobs: &'a Jobs,
    consumer: Consumer,
    onward: Onward,
}

/// What is to be done with a message.
enum Next {
    Done,
    SendOn(Forward),
    /// The worker is to stop first.
    Leave,
}

impl Cancelling<'_> {
    /// Until told to stop; an error means that the subscription is over.
    async fn run(&mut self, mut stop: Stop) -> Result<(), BrokerError> {
        let mut backoff = Backoff::new(Duration::from_millis(100), REST_MAX);
        loop {
            let delivery = tokio::select! {
                next = self.consumer.next() => next?,
                () = stop.wait() => return Ok(()),
            };
            let sent = match decide(self.jobs, &delivery, &mut stop).await {
                Next::Leave => return Ok(()),
                Next::Done => Ok(()),
                Next::SendOn(forward) => self.onward.send(&[forward]).await,
            };
            match sent {
                Ok(()) => {
                    backoff.reset();
                    self.consumer.ack(&[delivery.tag]).await?;
                }
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "a deadline is looked at again");
                    stop.rest(backoff.next_wait()).await;
                    self.consumer.requeue(&[delivery.tag]).await?;
                }
            }
        }
    }
}

/// Waits out an absent database: everything in this queue needs it.
async fn decide(jobs: &Jobs, delivery: &Delivery, stop: &mut Stop) -> Next {
    let message = match DeadlineMessage::decode(&delivery.body) {
        Ok(message) => message,
        Err(error) => return Next::SendOn(parked(delivery, &error.to_string())),
    };
    let mut backoff = Backoff::new(Duration::from_millis(100), REST_MAX);
    loop {
        match cancel(jobs, &message).await {
            Ok(None) => return Next::Done,
            Ok(Some(left)) => return Next::SendOn(put_off(&message, left)),
            Err(error) if error.transient() => {
                jobs.metrics.failed(Job::CancelQueue);
                tracing::debug!(%error, event = %message.event, "cancelling waits for the database");
            }
            Err(error) => return Next::SendOn(parked(delivery, &error.to_string())),
        }
        if stop.rest(backoff.next_wait()).await {
            return Next::Leave;
        }
    }
}

/// Cancels what is due; returns how long to wait first when that is too early.
async fn cancel(jobs: &Jobs, message: &DeadlineMessage) -> Result<Option<Duration>, StoreError> {
    let now_ms = jobs.store.now_ms().await?;
    if now_ms < message.due_ms {
        return Ok(Some(Duration::from_millis(message.due_ms - now_ms)));
    }
    loop {
        let cancelled = expire_of(jobs, message.event).await?;
        if cancelled < ORDERS_A_CALL as usize {
            return Ok(None);
        }
    }
}

/// One page of an event's orders; none of an event that is gone.
async fn expire_of(jobs: &Jobs, event: EventId) -> Result<usize, StoreError> {
    let cancelled = match jobs.store.expire_due_in(event, ORDERS_A_CALL).await {
        Err(StoreError::NotFound) => return Ok(0),
        other => other?.len(),
    };
    if cancelled > 0 {
        jobs.metrics.cancelled(OrderKind::Spike, CancelledBy::Queue, cancelled);
        Arrow::ExpireCommitted.pass();
        tracing::info!(%event, orders = cancelled, "unpaid orders cancelled at their deadline");
        jobs.restock.notify_one();
    }
    Ok(cancelled)
}

fn parked(delivery: &Delivery, reason: &str) -> Forward {
    tracing::error!(message_id = delivery.message_id, reason, "message of the cancel queue parked");
    let message = Outgoing { message_id: delivery.message_id.clone(), body: delivery.body.clone() };
    let trail =
        Trail { reason: reason.to_owned(), parked_from: topology::CANCEL.to_owned(), ..Trail::default() };
    Forward { to: Route::Parking, message, trail }
}
