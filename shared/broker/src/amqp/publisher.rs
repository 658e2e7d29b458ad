//! Publishing a window of messages: all of them are safe, or the caller publishes all of them again.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation, PublisherConfirm};

use super::link::{Link, within};
use crate::topology::ORDERS;
use crate::{BrokerError, Outgoing, PublishError, Timeouts};

/// AMQP's `delivery-mode` that survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// A connection that publishes to the orders queue.
pub(crate) struct AmqpPublisher {
    link: Link,
    timeouts: Timeouts,
}

impl AmqpPublisher {
    /// Connects and declares the topology.
    pub(crate) async fn connect(url: &str, timeouts: Timeouts) -> Result<Self, BrokerError> {
        let link = Link::open(url, "spike relay", timeouts.connect).await?;
        let confirms = link.channel.confirm_select(ConfirmSelectOptions::default());
        within(timeouts.connect, "asking for confirms", confirms).await?;
        Ok(Self { link, timeouts })
    }

    /// Publishes `window`, persistent and mandatory, and waits until the broker has confirmed every message of it.
    ///
    /// # Errors
    /// Anything else than a confirm for each and no return. Then drop this publisher and publish the window again on
    /// another one; consumers are idempotent.
    pub(crate) async fn publish_window(&mut self, window: &[Outgoing]) -> Result<(), PublishError> {
        let limit = self.timeouts.confirm;
        tokio::time::timeout(limit, self.publish_all(window))
            .await
            .unwrap_or(Err(PublishError::Timeout { ms: limit.as_millis() }))
    }

    /// Ends the connection politely.
    pub(crate) async fn close(self) {
        self.link.close(self.timeouts.connect).await;
    }

    async fn publish_all(&self, window: &[Outgoing]) -> Result<(), PublishError> {
        let mut confirms = Vec::with_capacity(window.len());
        for message in window {
            confirms.push(self.publish(message).await?);
        }
        // The client attaches a returned message to whichever confirm completes next, so one confirm says nothing about its
        // own message. A return comes before its message's confirm, though: after all confirms, all returns are here.
        let mut answers = Vec::with_capacity(confirms.len());
        for confirm in confirms {
            answers.push(confirm.await?);
        }
        verdict(answers)
    }

    async fn publish(&self, message: &Outgoing) -> Result<PublisherConfirm, PublishError> {
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into())
            .with_message_id(message.message_id.as_str().into());
        let channel = &self.link.channel;
        Ok(channel.basic_publish(ORDERS.into(), ORDERS.into(), options, &message.body, properties).await?)
    }
}

fn verdict(answers: Vec<Confirmation>) -> Result<(), PublishError> {
    let count = answers.iter().filter(|answer| !answer.is_ack()).count();
    if let Some(returned) = answers.into_iter().find_map(Confirmation::take_message) {
        let message_id = returned.properties.message_id().as_ref().map(ToString::to_string);
        return Err(PublishError::Returned {
            message_id: message_id.unwrap_or_default(),
            reply: format!("{} {}", returned.reply_code, returned.reply_text),
        });
    }
    if count > 0 { Err(PublishError::Refused { count }) } else { Ok(()) }
}
