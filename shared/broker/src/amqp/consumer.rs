//! Consuming the orders queue: messages stay with the broker until they are acknowledged.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery as Frame;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions,
};
use lapin::types::{AMQPValue, FieldTable};

use super::link::{Link, within};
use super::unacked::Unacked;
use crate::topology::ORDERS;
use crate::{BrokerError, Delivery, Tag};

/// A subscription. What is in hand when it ends is delivered again.
pub(crate) struct AmqpConsumer {
    link: Link,
    deliveries: lapin::Consumer,
    unacked: Unacked,
    timeout: Duration,
}

impl AmqpConsumer {
    /// Connects, declares the topology and subscribes; at most `prefetch` messages are in hand at once. `timeout` limits
    /// each step of connecting.
    pub(crate) async fn connect(url: &str, prefetch: u16, timeout: Duration) -> Result<Self, BrokerError> {
        let link = Link::open(url, "spike worker", timeout).await?;
        let deliveries = within(timeout, "subscribing", async {
            link.channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
            let options = BasicConsumeOptions::default();
            link.channel.basic_consume(ORDERS.into(), "".into(), options, FieldTable::default()).await
        })
        .await?;
        Ok(Self { link, deliveries, unacked: Unacked::default(), timeout })
    }

    /// The next message; waits for one. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Delivery, BrokerError> {
        match self.deliveries.next().await {
            Some(Ok(frame)) => {
                self.unacked.delivered(frame.delivery_tag);
                Ok(delivery(frame))
            }
            Some(Err(error)) => Err(BrokerError::connection("consuming", error)),
            None => Err(BrokerError::Ended),
        }
    }

    /// Tells the broker that these messages are done. Tags that are not in hand are passed over.
    pub(crate) async fn ack(&mut self, tags: &[Tag]) -> Result<(), BrokerError> {
        let tags: Vec<u64> = tags.iter().map(|tag| tag.0).collect();
        for ack in self.unacked.acknowledge(&tags) {
            let options = BasicAckOptions { multiple: ack.multiple };
            within(self.timeout, "acknowledging", self.link.channel.basic_ack(ack.tag, options)).await?;
        }
        Ok(())
    }

    /// Moves a message nobody can read to the parking queue.
    pub(crate) async fn reject_to_parking(&mut self, tag: Tag) -> Result<(), BrokerError> {
        if !self.unacked.take(tag.0) {
            return Ok(());
        }
        let options = BasicRejectOptions { requeue: false };
        within(self.timeout, "parking", self.link.channel.basic_reject(tag.0, options)).await
    }

    /// Gives messages back, to be delivered again to anybody.
    pub(crate) async fn requeue(&mut self, tags: &[Tag]) -> Result<(), BrokerError> {
        for tag in tags {
            if self.unacked.take(tag.0) {
                let options = BasicNackOptions { multiple: false, requeue: true };
                within(self.timeout, "requeueing", self.link.channel.basic_nack(tag.0, options)).await?;
            }
        }
        Ok(())
    }

    /// Ends the subscription; what is in hand goes back to the queue.
    pub(crate) async fn close(self) {
        self.link.close(self.timeout).await;
    }
}

fn delivery(frame: Frame) -> Delivery {
    let headers = frame.properties.headers().as_ref();
    let count = headers.and_then(|headers| headers.inner().get("x-delivery-count")).map(count);
    Delivery {
        message_id: frame.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default(),
        redelivered: frame.redelivered,
        delivery_count: count.unwrap_or(0),
        tag: Tag(frame.delivery_tag),
        body: frame.data,
    }
}

fn count(value: &AMQPValue) -> u64 {
    let count = match *value {
        AMQPValue::LongLongInt(count) => count,
        AMQPValue::LongInt(count) => count.into(),
        AMQPValue::ShortInt(count) => count.into(),
        AMQPValue::ShortShortInt(count) => count.into(),
        _ => 0,
    };
    u64::try_from(count).unwrap_or(0)
}
