//! Consuming the orders queue: messages stay with the broker until they are acknowledged.

use std::time::Duration;

use crate::BrokerError;
use crate::amqp::AmqpConsumer;
use crate::queue::{Queue, Subscription};

/// Names a delivery of one consumer; worth nothing to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u64);

/// A message in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The bytes.
    pub body: Vec<u8>,
    /// The publisher's id of it; empty if it gave none.
    pub message_id: String,
    /// Whether it may have been delivered before, to anybody.
    pub redelivered: bool,
    /// Deliveries before this one, as far as the broker knows.
    pub delivery_count: u64,
    /// How to acknowledge it.
    pub tag: Tag,
}

/// A subscription. What is in hand when it ends is delivered again.
pub struct Consumer(Way);

enum Way {
    Amqp(Box<AmqpConsumer>),
    InProcess(Subscription),
}

impl Consumer {
    /// Connects to a RabbitMQ, declares the topology and subscribes; at most `prefetch` messages are in hand at once.
    /// `timeout` limits each step of connecting.
    ///
    /// # Errors
    /// When it does not answer in time, or refuses.
    pub async fn connect(url: &str, prefetch: u16, timeout: Duration) -> Result<Self, BrokerError> {
        Ok(Self(Way::Amqp(Box::new(AmqpConsumer::connect(url, prefetch, timeout).await?))))
    }

    /// Subscribes to a queue of this process; at most `prefetch` messages are in hand at once.
    pub fn in_process(queue: &Queue, prefetch: u16) -> Self {
        Self(Way::InProcess(queue.subscribe(prefetch)))
    }

    /// The next message; waits for one. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The subscription is over; a queue of this process never ends one.
    pub async fn next(&mut self) -> Result<Delivery, BrokerError> {
        match &mut self.0 {
            Way::Amqp(consumer) => consumer.next().await,
            Way::InProcess(subscription) => Ok(subscription.next().await),
        }
    }

    /// Tells the broker that these messages are done. Tags that are not in hand are passed over.
    ///
    /// # Errors
    /// The subscription is over, as in all that follow.
    pub async fn ack(&mut self, tags: &[Tag]) -> Result<(), BrokerError> {
        match &mut self.0 {
            Way::Amqp(consumer) => consumer.ack(tags).await?,
            Way::InProcess(subscription) => subscription.ack(tags),
        }
        Ok(())
    }

    /// Moves a message nobody can read to the parking queue.
    ///
    /// # Errors
    /// As [`Consumer::ack`].
    pub async fn reject_to_parking(&mut self, tag: Tag) -> Result<(), BrokerError> {
        match &mut self.0 {
            Way::Amqp(consumer) => consumer.reject_to_parking(tag).await?,
            Way::InProcess(subscription) => subscription.park(tag),
        }
        Ok(())
    }

    /// Gives messages back, to be delivered again to anybody.
    ///
    /// # Errors
    /// As [`Consumer::ack`].
    pub async fn requeue(&mut self, tags: &[Tag]) -> Result<(), BrokerError> {
        match &mut self.0 {
            Way::Amqp(consumer) => consumer.requeue(tags).await?,
            Way::InProcess(subscription) => subscription.requeue(tags),
        }
        Ok(())
    }

    /// Ends the subscription; what is in hand goes back to the queue.
    pub async fn close(self) {
        match self.0 {
            Way::Amqp(consumer) => consumer.close().await,
            Way::InProcess(subscription) => drop(subscription),
        }
    }
}
