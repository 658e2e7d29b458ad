//! The back half of the conventional pipeline: one transaction a row, one acknowledgement a message.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use spike_domain::{EventId, OrdersMessage};
use spike_store::{DatabaseSettings, Store};

use crate::queue::{Link, QUEUE};

/// Messages in hand.
const PREFETCH: u16 = 64;

/// A worker with its connections.
pub struct Worker {
    event: EventId,
    store: Store,
    deliveries: lapin::Consumer,
    _link: Link,
}

impl Worker {
    /// Connects to broker and database and subscribes.
    ///
    /// # Errors
    /// One of them cannot be reached.
    pub async fn connect(amqp: &str, database: &str, event: EventId) -> anyhow::Result<Self> {
        let settings = DatabaseSettings {
            url: database.to_owned(),
            connections_min: 1,
            connections_max: 2,
            acquire_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(10),
        };
        let store = Store::connect(&settings).await.context("connecting to the database")?;
        let link = Link::open(amqp, "peer worker").await?;
        link.channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let deliveries = link.channel.basic_consume(QUEUE.into(), "".into(), options, arguments).await?;
        Ok(Self { event, store, deliveries, _link: link })
    }

    /// Writes orders one after the other. They all lock the event's row, so that several at once would only wait for
    /// each other.
    ///
    /// # Errors
    /// An order that cannot be written ends the worker: it is here to be measured, not to recover.
    pub async fn run(mut self) -> anyhow::Result<()> {
        while let Some(delivery) = self.deliveries.next().await {
            self.write(&delivery?).await?;
        }
        bail!("the broker has ended the subscription")
    }

    async fn write(&self, delivery: &Delivery) -> anyhow::Result<()> {
        let message = OrdersMessage::decode(&delivery.data)?;
        ensure!(message.event == self.event, "a message of event {}", message.event);
        ensure!(message.order_count() == 1, "a message of {} orders", message.order_count());
        let written = self.store.insert_entries(self.event, &message.entries).await?;
        ensure!(written.foreign.is_empty(), "an order of another epoch than {}", written.epoch);
        delivery.ack(BasicAckOptions::default()).await?;
        Ok(())
    }
}
