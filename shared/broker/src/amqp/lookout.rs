//! Asking RabbitMQ about its queues: a passive declaration answers with messages and consumers.

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

use super::link::{Link, within};
use crate::lookout::QueueState;
use crate::{BrokerError, Inbox, topology};

/// A connection that only asks.
pub(crate) struct AmqpLookout {
    link: Link,
    timeout: Duration,
}

impl AmqpLookout {
    /// Connects and declares every queue that is read.
    pub(crate) async fn connect(url: &str, timeout: Duration) -> Result<Self, BrokerError> {
        let link = Link::open(url, "spike look-out", timeout).await?;
        within(timeout, "declaring the cancel queue", topology::declare_cancel(&link.channel)).await?;
        Ok(Self { link, timeout })
    }

    pub(crate) async fn look(&self) -> Result<Vec<QueueState>, BrokerError> {
        within(self.timeout, "asking about queues", async {
            let mut states = Vec::with_capacity(Inbox::ALL.len());
            for inbox in Inbox::ALL {
                let options = QueueDeclareOptions { passive: true, ..Default::default() };
                let name = topology::name(inbox).into();
                let queue = self.link.channel.queue_declare(name, options, FieldTable::default()).await?;
                let (messages, consumers) = (queue.message_count().into(), queue.consumer_count().into());
                states.push(QueueState { inbox, messages, consumers });
            }
            Ok(states)
        })
        .await
    }
}
