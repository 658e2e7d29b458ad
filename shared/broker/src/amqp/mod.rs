//! The port over RabbitMQ.

mod consumer;
mod headers;
mod link;
mod lookout;
mod publisher;
mod unacked;

pub(crate) use consumer::AmqpConsumer;
pub(crate) use lookout::AmqpLookout;
pub(crate) use publisher::AmqpPublisher;
