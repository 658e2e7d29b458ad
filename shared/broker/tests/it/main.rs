//! The broker crate: one contract for RabbitMQ and the queue of a process, and what only one of them can meet.

mod contract;
mod faults;
mod former;
mod full;
mod no_route;
mod queue;
