//! Sending messages on to other queues: all of a window is confirmed, or the caller still has it.

use std::sync::Arc;
use std::time::Duration;

use spike_broker::{Broker, Forward, Publisher, Timeouts};
use spike_config::AmqpConfig;

use crate::metrics::WorkerMetrics;

/// A publisher that is replaced whenever a window is not known to be safe.
pub(crate) struct Onward {
    broker: Broker,
    timeouts: Timeouts,
    window: usize,
    metrics: Arc<WorkerMetrics>,
    publisher: Option<Publisher>,
}

impl Onward {
    pub(crate) fn new(broker: Broker, amqp: &AmqpConfig, metrics: Arc<WorkerMetrics>) -> Self {
        let timeouts = Timeouts {
            connect: Duration::from_millis(amqp.connect_timeout_ms),
            confirm: Duration::from_millis(amqp.confirm_timeout_ms),
        };
        Self { broker, timeouts, window: amqp.confirm_window, metrics, publisher: None }
    }

    /// Publishes `messages` and waits for every confirm. After an error some of them may be where they were to go.
    pub(crate) async fn send(&mut self, messages: &[Forward]) -> anyhow::Result<()> {
        for window in messages.chunks(self.window) {
            // Taken out, so that only a publisher whose windows were all confirmed is used again.
            let mut publisher = match self.publisher.take() {
                Some(publisher) => publisher,
                None => self.broker.publisher(self.timeouts).await?,
            };
            self.metrics.published.window(window.len(), publisher.forward(window)).await?;
            self.publisher = Some(publisher);
        }
        Ok(())
    }
}
