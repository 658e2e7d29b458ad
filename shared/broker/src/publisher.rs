//! Publishing a window of messages: all of them are safe, or the caller publishes all of them again.

use std::time::Duration;

use crate::amqp::AmqpPublisher;
use crate::queue::Queue;
use crate::{BrokerError, Forward, PublishError};

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a connection with its topology.
    pub connect: Duration,
    /// For the confirms of a whole window, publishing included.
    pub confirm: Duration,
}

/// A message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Shows in logs, returns and dead letters; at most 255 bytes.
    pub message_id: String,
    /// The bytes.
    pub body: Vec<u8>,
}

/// Whoever publishes.
pub struct Publisher(Way);

enum Way {
    Amqp(Box<AmqpPublisher>),
    InProcess { queue: Queue, confirm: Duration },
}

impl Publisher {
    /// Connects to a RabbitMQ, or to a node of one (`url` may be several, separated by commas), and declares the topology.
    ///
    /// # Errors
    /// When it does not answer in time, or refuses.
    pub async fn connect(url: &str, timeouts: Timeouts) -> Result<Self, BrokerError> {
        Ok(Self(Way::Amqp(Box::new(AmqpPublisher::connect(url, timeouts).await?))))
    }

    /// Publishes to a queue of this process; a window that finds it full waits at most `confirm`.
    pub fn in_process(queue: &Queue, confirm: Duration) -> Self {
        Self(Way::InProcess { queue: queue.clone(), confirm })
    }

    /// Publishes `window` to the orders queue, persistent and mandatory, and waits until the broker has confirmed every
    /// message of it.
    ///
    /// # Errors
    /// Anything else than a confirm for each and no return. Then drop this publisher and publish the window again on
    /// another one; consumers are idempotent.
    pub async fn publish_window(&mut self, window: &[Outgoing]) -> Result<(), PublishError> {
        match &mut self.0 {
            Way::Amqp(publisher) => publisher.publish_window(window).await,
            Way::InProcess { queue, confirm } => {
                let publish = queue.publish_window(window);
                let full = PublishError::Timeout { ms: confirm.as_millis() };
                tokio::time::timeout(*confirm, publish).await.map_err(|_| full)
            }
        }
    }

    /// The same to whatever queue each message names. A queue to wait in is declared when the first message goes there.
    ///
    /// # Errors
    /// As [`Publisher::publish_window`].
    pub async fn forward(&mut self, window: &[Forward]) -> Result<(), PublishError> {
        match &mut self.0 {
            Way::Amqp(publisher) => publisher.forward(window).await,
            Way::InProcess { queue, confirm } => {
                let publish = queue.forward(window);
                let full = PublishError::Timeout { ms: confirm.as_millis() };
                tokio::time::timeout(*confirm, publish).await.map_err(|_| full)?
            }
        }
    }

    /// Ends the connection politely.
    pub async fn close(self) {
        match self.0 {
            Way::Amqp(publisher) => publisher.close().await,
            Way::InProcess { .. } => {}
        }
    }
}
