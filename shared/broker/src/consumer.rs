//! Consuming a queue: messages stay with the broker until they are acknowledged.

use std::time::Duration;

use crate::amqp::AmqpConsumer;
use crate::queue::{Queue, Subscription};
use crate::{BrokerError, Inbox, Trail};

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
    /// What those who sent it on have noted.
    pub trail: Trail,
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
    /// Connects to a RabbitMQ, or to a node of one (`url` may be several, separated by commas), declares the topology and
    /// subscribes to accepted orders; at most `prefetch` messages are in hand at once. `timeout` limits each step of
    /// connecting.
    ///
    /// # Errors
    /// When it does not answer in time, or refuses.
    pub async fn connect(url: &str, prefetch: u16, timeout: Duration) -> Result<Self, BrokerError> {
        Self::connect_to(url, Inbox::Orders, prefetch, timeout).await
    }

    /// The same for any queue that is read.
    ///
    /// # Errors
    /// As [`Consumer::connect`].
    pub async fn connect_to(
        url: &str,
        inbox: Inbox,
        prefetch: u16,
        timeout: Duration,
    ) -> Result<Self, BrokerError> {
        Ok(Self(Way::Amqp(Box::new(AmqpConsumer::connect(url, inbox, prefetch, timeout).await?))))
    }

    /// Subscribes to the accepted orders of this process; at most `prefetch` messages are in hand at once.
    pub fn in_process(queue: &Queue, prefetch: u16) -> Self {
        Self::in_process_of(queue, Inbox::Orders, prefetch)
    }

    /// The same for any queue that is read.
    pub fn in_process_of(queue: &Queue, inbox: Inbox, prefetch: u16) -> Self {
        Self(Way::InProcess(queue.subscribe(inbox, prefetch)))
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

    /// Moves a message to the parking queue as it is. Whoever has something to say about it forwards it there instead and then
    /// acknowledges it.
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
