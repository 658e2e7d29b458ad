//! The way of accepted orders from the relay to the worker: over RabbitMQ, or through a queue of the process they share.
//!
//! Delivery is at least once in both directions: a publisher that is not sure publishes again, a consumer that dies gets
//! its messages again. Whoever uses this crate is idempotent. Nothing here reconnects by itself: an error ends the
//! connection, and the caller, who knows what was not finished, opens the next one.

mod amqp;
mod backoff;
mod broker;
mod consumer;
mod error;
mod lookout;
mod metrics;
mod publisher;
mod queue;
mod route;
pub mod topology;

pub use backoff::Backoff;
pub use broker::Broker;
pub use consumer::{Consumer, Delivery, Tag};
pub use error::{BrokerError, PublishError};
pub use lookout::{Lookout, QueueState};
pub use metrics::PublishMetrics;
pub use publisher::{Outgoing, Publisher, Timeouts};
pub use queue::{Depth, Queue};
pub use route::{Forward, Inbox, Route, Trail};
