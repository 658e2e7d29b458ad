//! Consuming a queue: messages stay with the broker until they are acknowledged.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::SelectAll;
use lapin::message::Delivery as Frame;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions,
};
use lapin::types::FieldTable;

use super::headers;
use super::link::{Link, within};
use super::unacked::Unacked;
use crate::topology::{CANCEL, ORDERS, PARKED, PARKING, declare_cancel, unbind_former_parking};
use crate::{BrokerError, Delivery, Inbox, Tag, Trail};

/// Why a message leaves a queue that it only waited in.
const EXPIRED: &str = "expired";

/// A subscription. What is in hand when it ends is delivered again.
pub(crate) struct AmqpConsumer {
    link: Link,
    deliveries: SelectAll<lapin::Consumer>,
    unacked: Unacked,
    timeout: Duration,
}

impl AmqpConsumer {
    /// Connects, declares the topology and subscribes; at most `prefetch` messages are in hand at once. `timeout` limits
    /// each step of connecting.
    pub(crate) async fn connect(
        url: &str,
        inbox: Inbox,
        prefetch: u16,
        timeout: Duration,
    ) -> Result<Self, BrokerError> {
        let link = Link::open(url, "spike worker", timeout).await?;
        let queues = within(timeout, "looking for queues", queues(&link, inbox)).await?;
        let deliveries = within(timeout, "subscribing", async {
            link.channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
            let mut deliveries = SelectAll::new();
            for queue in queues {
                let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
                deliveries
                    .push(link.channel.basic_consume(queue.into(), "".into(), options, arguments).await?);
            }
            Ok(deliveries)
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

/// The queues behind an inbox. Parked messages of a former version are in a queue of another name: it gets no new ones from
/// now on, and what is in it is read as well.
async fn queues(link: &Link, inbox: Inbox) -> lapin::Result<Vec<&'static str>> {
    match inbox {
        Inbox::Orders => Ok(vec![ORDERS]),
        Inbox::Cancel => {
            declare_cancel(&link.channel).await?;
            Ok(vec![CANCEL])
        }
        Inbox::Parking if link.has_queue(PARKING).await? => {
            unbind_former_parking(&link.channel).await?;
            Ok(vec![PARKED, PARKING])
        }
        Inbox::Parking => Ok(vec![PARKED]),
    }
}

fn delivery(frame: Frame) -> Delivery {
    let headers = frame.properties.headers().as_ref();
    Delivery {
        message_id: frame.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default(),
        redelivered: frame.redelivered,
        delivery_count: headers::number(headers, "x-delivery-count"),
        trail: trail(headers),
        tag: Tag(frame.delivery_tag),
        body: frame.data,
    }
}

/// Whoever parks a message says from where and why; the broker, which does so after too many deliveries, has its own words.
fn trail(headers: Option<&FieldTable>) -> Trail {
    let trail = headers::read(headers);
    match headers::last_death(headers) {
        Some((queue, why)) if trail.parked_from.is_empty() && why != EXPIRED => {
            trail.parked_by_broker(&queue, &why)
        }
        _ => trail,
    }
}
