//! Exchanges and queues, declared by whoever connects: declaring what is there already changes nothing.
//!
//! Every argument is stated, because servers differ in their defaults (RabbitMQ 3.10 has no delivery limit, 4.0 has 20). An
//! argument that changes needs a new queue name: a broker refuses to declare a queue with other arguments.
//!
//! Queues in which messages only wait have one lifetime each, which is part of the name, and hand over at least once to the
//! queue where the message is wanted. Nobody consumes them. They are declared when the first message goes there.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use crate::route::name_of;
use crate::{Inbox, Route};

/// Exchange and queue of accepted orders; the routing key is the same word.
pub const ORDERS: &str = "spike.orders";
/// Exchange of messages that nobody can use; the routing key is the same word. Before there was a delivery limit of its own
/// the queue had this name too: see [`PARKED`].
pub const PARKING: &str = "spike.parking";
/// The queue behind [`PARKING`], until the worker has moved its messages to the table `dead_letters`.
pub const PARKED: &str = "spike.parked";
/// Exchange and queue of orders whose time to pay may be over; the routing key is the same word.
pub const CANCEL: &str = "spike.cancel";
/// Deliveries after which a message is parked. High, because every restart of a worker in trouble counts as one, and low
/// enough that a message which kills its worker does not do so for ever.
pub const DELIVERY_LIMIT: i32 = 1000;
/// The limit of queues from which nothing may be dropped: there is nowhere to drop it to.
const NO_DELIVERY_LIMIT: i32 = i32::MAX;

/// What everybody needs.
pub(crate) async fn declare(channel: &Channel) -> lapin::Result<()> {
    declare_queue(channel, ORDERS, ORDERS, parked_in_the_end()).await?;
    // Last on purpose: on RabbitMQ 3.10 the quorum queue declared last comes back without a leader when the node is killed
    // within a second or two (rabbitmq-server issue 10070; `ra:trigger_election` mends it). Orders must not be that queue.
    let mut arguments = FieldTable::default();
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(NO_DELIVERY_LIMIT));
    declare_queue(channel, PARKING, PARKED, arguments).await
}

/// What orders to cancel need besides.
pub(crate) async fn declare_cancel(channel: &Channel) -> lapin::Result<()> {
    declare_queue(channel, CANCEL, CANCEL, parked_in_the_end()).await
}

/// The queue that a route ends in first, declared if it is one of those that messages wait in.
pub(crate) async fn declare_waiting(channel: &Channel, route: Route) -> lapin::Result<()> {
    let (wait, target) = match route {
        Route::Orders | Route::Parking => return Ok(()),
        Route::Retry(wait) => (wait, ORDERS),
        Route::Cancel(wait) => {
            declare_cancel(channel).await?;
            (wait, CANCEL)
        }
    };
    let mut arguments = handed_over_to(target);
    let ttl = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(ttl));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(NO_DELIVERY_LIMIT));
    create_queue(channel, &address(route).1, arguments).await
}

/// The queue behind an inbox.
pub fn name(inbox: Inbox) -> &'static str {
    match inbox {
        Inbox::Orders => ORDERS,
        Inbox::Parking => PARKED,
        Inbox::Cancel => CANCEL,
    }
}

/// Exchange and routing key of a route.
pub(crate) fn address(route: Route) -> (&'static str, String) {
    match route {
        Route::Orders => (ORDERS, ORDERS.to_owned()),
        Route::Parking => (PARKING, PARKING.to_owned()),
        // The exchange without a name reaches every queue by its name.
        Route::Retry(wait) => ("", format!("spike.retry.{}", name_of(wait))),
        Route::Cancel(wait) => ("", format!("spike.delay.{}", name_of(wait))),
    }
}

/// Takes the binding from the parking queue of former versions, which has other arguments.
pub(crate) async fn unbind_former_parking(channel: &Channel) -> lapin::Result<()> {
    channel.queue_unbind(PARKING.into(), PARKING.into(), PARKING.into(), FieldTable::default()).await
}

fn parked_in_the_end() -> FieldTable {
    let mut arguments = handed_over_to(PARKING);
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(DELIVERY_LIMIT));
    arguments
}

/// Where a queue's messages go when they are over: at least once, so that a broker that stops in between loses none.
fn handed_over_to(target: &str) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-dead-letter-exchange".into(), text(target));
    arguments.insert("x-dead-letter-routing-key".into(), text(target));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    // At-least-once dead lettering demands it; without a length limit nothing is ever rejected for it.
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments
}

async fn declare_queue(
    channel: &Channel,
    exchange: &str,
    queue: &str,
    arguments: FieldTable,
) -> lapin::Result<()> {
    let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
    channel.exchange_declare(exchange.into(), ExchangeKind::Direct, durable, FieldTable::default()).await?;
    create_queue(channel, queue, arguments).await?;
    let options = QueueBindOptions::default();
    channel.queue_bind(queue.into(), exchange.into(), exchange.into(), options, FieldTable::default()).await
}

async fn create_queue(channel: &Channel, name: &str, mut arguments: FieldTable) -> lapin::Result<()> {
    arguments.insert("x-queue-type".into(), text("quorum"));
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(name.into(), durable, arguments).await?;
    Ok(())
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
