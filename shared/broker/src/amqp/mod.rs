//! The port over RabbitMQ.

mod consumer;
mod headers;
mod link;
mod publisher;
mod unacked;

pub(crate) use consumer::AmqpConsumer;
pub(crate) use publisher::AmqpPublisher;
