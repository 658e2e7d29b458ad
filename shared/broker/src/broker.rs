//! Which broker a process uses, so that whoever publishes or consumes need not care.

use std::fmt;
use std::time::Duration;

use crate::{BrokerError, Consumer, Inbox, Publisher, Queue, Timeouts};

/// Made once by a process; clones mean the same broker.
#[derive(Clone)]
pub enum Broker {
    /// A RabbitMQ.
    Amqp {
        /// Its URL with the password; `Debug` does not show it. Of a cluster: its nodes' URLs, separated by commas, of which
        /// any that answers is used.
        url: String,
    },
    /// The queue of this process.
    InProcess(Queue),
}

impl Broker {
    /// A new publisher.
    ///
    /// # Errors
    /// When the broker does not answer in time, or refuses.
    pub async fn publisher(&self, timeouts: Timeouts) -> Result<Publisher, BrokerError> {
        match self {
            Self::Amqp { url } => Publisher::connect(url, timeouts).await,
            Self::InProcess(queue) => Ok(Publisher::in_process(queue, timeouts.confirm)),
        }
    }

    /// A new subscription to accepted orders; at most `prefetch` messages are in hand at once. `timeout` limits each step of
    /// connecting.
    ///
    /// # Errors
    /// As [`Broker::publisher`].
    pub async fn consumer(&self, prefetch: u16, timeout: Duration) -> Result<Consumer, BrokerError> {
        self.consumer_of(Inbox::Orders, prefetch, timeout).await
    }

    /// The same to any queue that is read.
    ///
    /// # Errors
    /// As [`Broker::publisher`].
    pub async fn consumer_of(
        &self,
        inbox: Inbox,
        prefetch: u16,
        timeout: Duration,
    ) -> Result<Consumer, BrokerError> {
        match self {
            Self::Amqp { url } => Consumer::connect_to(url, inbox, prefetch, timeout).await,
            Self::InProcess(queue) => Ok(Consumer::in_process_of(queue, inbox, prefetch)),
        }
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amqp { .. } => "Amqp",
            Self::InProcess(_) => "InProcess",
        })
    }
}
