//! The broker crate against a real RabbitMQ.

mod faults;
mod queue;
mod traffic;
