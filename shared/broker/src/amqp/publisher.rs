//! Publishing a window of messages: all of them are safe, or the caller publishes all of them again.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Confirmation, PublisherConfirm};

use super::headers;
use spike_domain::mutant::{self, Mutant};

use super::link::{Link, within};
use crate::{BrokerError, Forward, Outgoing, PublishError, Route, Timeouts, topology};

/// AMQP's `delivery-mode` that survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// A connection that publishes.
pub(crate) struct AmqpPublisher {
    link: Link,
    timeouts: Timeouts,
    /// Routes whose waiting queue this connection has declared.
    declared: Vec<Route>,
}

impl AmqpPublisher {
    /// Connects and declares the topology.
    pub(crate) async fn connect(url: &str, timeouts: Timeouts) -> Result<Self, BrokerError> {
        let link = Link::open(url, "spike publisher", timeouts.connect).await?;
        let confirms = link.channel.confirm_select(ConfirmSelectOptions::default());
        within(timeouts.connect, "asking for confirms", confirms).await?;
        Ok(Self { link, timeouts, declared: Vec::new() })
    }

    /// Publishes `window` to the orders queue, persistent and mandatory, and waits until the broker has confirmed every
    /// message of it.
    ///
    /// # Errors
    /// Anything else than a confirm for each and no return. Then drop this publisher and publish the window again on
    /// another one; consumers are idempotent.
    pub(crate) async fn publish_window(&mut self, window: &[Outgoing]) -> Result<(), PublishError> {
        let window = window.iter().map(|message| (Route::Orders, message, FieldTable::default()));
        self.publish_in_time(window.collect()).await
    }

    /// The same to other queues, which are there afterwards.
    pub(crate) async fn forward(&mut self, window: &[Forward]) -> Result<(), PublishError> {
        for message in window {
            if !self.declared.contains(&message.to) {
                let declare = topology::declare_waiting(&self.link.channel, message.to);
                let declared = within(self.timeouts.connect, "declaring a queue to wait in", declare).await;
                declared.map_err(|error| PublishError::Connection(Box::new(error)))?;
                self.declared.push(message.to);
            }
        }
        let window = window.iter().map(|forward| (forward.to, &forward.message, headers::of(&forward.trail)));
        self.publish_in_time(window.collect()).await
    }

    /// Ends the connection politely.
    pub(crate) async fn close(self) {
        self.link.close(self.timeouts.connect).await;
    }

    async fn publish_in_time(&self, window: Vec<(Route, &Outgoing, FieldTable)>) -> Result<(), PublishError> {
        let limit = self.timeouts.confirm;
        tokio::time::timeout(limit, self.publish_all(window))
            .await
            .unwrap_or(Err(PublishError::Timeout { ms: limit.as_millis() }))
    }

    async fn publish_all(&self, window: Vec<(Route, &Outgoing, FieldTable)>) -> Result<(), PublishError> {
        let mut confirms = Vec::with_capacity(window.len());
        for (to, message, headers) in window {
            confirms.push(self.publish(to, message, headers).await?);
        }
        // The client attaches a returned message to whichever confirm completes next, so one confirm says nothing about its
        // own message. A return comes before its message's confirm, though: after all confirms, all returns are here.
        let mut answers = Vec::with_capacity(confirms.len());
        for confirm in confirms {
            answers.push(confirm.await?);
        }
        verdict(answers)
    }

    async fn publish(
        &self,
        to: Route,
        message: &Outgoing,
        headers: FieldTable,
    ) -> Result<PublisherConfirm, PublishError> {
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into())
            .with_message_id(message.message_id.as_str().into())
            .with_headers(headers);
        let (exchange, key) = topology::address(to);
        let channel = &self.link.channel;
        Ok(channel.basic_publish(exchange.into(), key.into(), options, &message.body, properties).await?)
    }
}

fn verdict(answers: Vec<Confirmation>) -> Result<(), PublishError> {
    let count = answers.iter().filter(|answer| !answer.is_ack()).count();
    let returned = answers.into_iter().find_map(Confirmation::take_message);
    if let Some(returned) = returned.filter(|_| !mutant::on(Mutant::IgnoredReturn)) {
        let message_id = returned.properties.message_id().as_ref().map(ToString::to_string);
        return Err(PublishError::Returned {
            message_id: message_id.unwrap_or_default(),
            reply: format!("{} {}", returned.reply_code, returned.reply_text),
        });
    }
    if count > 0 { Err(PublishError::Refused { count }) } else { Ok(()) }
}
