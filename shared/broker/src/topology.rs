//! Exchanges and queues, declared by whoever connects: declaring what is there already changes nothing.
//!
//! Every argument is stated, because servers differ in their defaults (RabbitMQ 3.10 has no delivery limit, 4.0 has 20). An
//! argument that changes needs a new queue name: a broker refuses to declare a queue with other arguments.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

/// Exchange and queue of accepted orders; the routing key is the same word.
pub const ORDERS: &str = "spike.orders";
/// Exchange and queue of messages that nobody could read; the routing key is the same word.
pub const PARKING: &str = "spike.parking";
/// Deliveries after which a message is parked. High, because every restart of a worker in trouble counts as one, and low
/// enough that a message which kills its worker does not do so for ever.
pub const DELIVERY_LIMIT: i32 = 1000;

pub(crate) async fn declare(channel: &Channel) -> lapin::Result<()> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(DELIVERY_LIMIT));
    arguments.insert("x-dead-letter-exchange".into(), text(PARKING));
    arguments.insert("x-dead-letter-routing-key".into(), text(PARKING));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    // At-least-once dead lettering demands it; without a length limit nothing is ever rejected for it.
    arguments.insert("x-overflow".into(), text("reject-publish"));
    declare_queue(channel, ORDERS, arguments).await?;
    // Last on purpose: on RabbitMQ 3.10 the quorum queue declared last comes back without a leader when the node is killed
    // within a second or two (rabbitmq-server issue 10070; `ra:trigger_election` mends it). Orders must not be that queue.
    declare_queue(channel, PARKING, FieldTable::default()).await
}

async fn declare_queue(channel: &Channel, name: &str, mut arguments: FieldTable) -> lapin::Result<()> {
    let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
    channel.exchange_declare(name.into(), ExchangeKind::Direct, durable, FieldTable::default()).await?;
    arguments.insert("x-queue-type".into(), text("quorum"));
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(name.into(), durable, arguments).await?;
    let options = QueueBindOptions::default();
    channel.queue_bind(name.into(), name.into(), name.into(), options, FieldTable::default()).await
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
