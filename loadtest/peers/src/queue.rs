//! The queue of the conventional pipeline: one persistent message an order, confirmed one by one.

use anyhow::{Context, ensure};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use spike_domain::{EntryId, EventId, OrdersMessage, OutboxEntry, QueuedOrder};

/// Its name; none of Spike's own queues.
pub const QUEUE: &str = "peer.orders";
/// AMQP's `delivery-mode` that survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// A connection with one channel, and the queue declared.
pub struct Link {
    /// Dropping it closes the channel.
    _connection: Connection,
    /// Everything goes over it.
    pub channel: Channel,
}

impl Link {
    /// Connects as `name` and declares the queue: durable, quorum.
    ///
    /// # Errors
    /// The broker cannot be reached, or has a queue of that name with other arguments.
    pub async fn open(url: &str, name: &str) -> anyhow::Result<Self> {
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connection = Connection::connect(url, properties).await.context("connecting to RabbitMQ")?;
        let channel = connection.create_channel().await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let durable = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare(QUEUE.into(), durable, arguments).await.context("declaring the queue")?;
        Ok(Self { _connection: connection, channel })
    }
}

/// Publishes orders of one event and epoch.
pub struct Publisher {
    link: Link,
    event: EventId,
    epoch: u64,
}

impl Publisher {
    /// Connects and asks for confirms.
    ///
    /// # Errors
    /// As [`Link::open`].
    pub async fn connect(url: &str, event: EventId, epoch: u64) -> anyhow::Result<Self> {
        let link = Link::open(url, "peer service").await?;
        link.channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self { link, event, epoch })
    }

    /// Publishes one order, persistent and mandatory, and waits for its confirm.
    ///
    /// # Errors
    /// The broker did not take the message, or nobody knows whether it did.
    pub async fn publish(&self, order: QueuedOrder) -> anyhow::Result<()> {
        let id = order.order.to_string();
        // The epoch is all that the worker reads of the entry's id; this pipeline has no entries.
        let entry = OutboxEntry::new(EntryId { epoch: self.epoch, sequence: 0 }, vec![order]);
        let body = OrdersMessage::new(self.event, vec![entry]).encode();
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into())
            .with_message_id(id.into());
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let channel = &self.link.channel;
        let confirm =
            channel.basic_publish("".into(), QUEUE.into(), options, &body, properties).await?.await?;
        ensure!(confirm.is_ack(), "the broker refused the message");
        ensure!(confirm.take_message().is_none(), "the broker returned the message");
        Ok(())
    }
}
