//! Where the relay's messages go: a publisher that is replaced whenever a window is not known to be safe.

use std::sync::Arc;
use std::time::Duration;

use spike_broker::{Backoff, Broker, Outgoing, Publisher, Timeouts};
use spike_config::AmqpConfig;
use spike_domain::OrdersMessage;
use tokio::sync::watch;

use super::join::message_id;
use super::metrics::RelayMetrics;

/// Longest wait between two attempts.
const WAIT_MAX: Duration = Duration::from_secs(3);

pub(super) struct Sink {
    broker: Broker,
    amqp: AmqpConfig,
    metrics: Arc<RelayMetrics>,
    publisher: Option<Publisher>,
    stopping: watch::Receiver<bool>,
}

impl Sink {
    pub(super) fn new(
        broker: Broker,
        amqp: AmqpConfig,
        metrics: Arc<RelayMetrics>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self { broker, amqp, metrics, publisher: None, stopping }
    }

    /// Publishes a window until the broker has confirmed all of it. False when the relay is to stop and this attempt has
    /// failed: the entries stay unacknowledged, and the next relay publishes them.
    pub(super) async fn publish(&mut self, window: &[OrdersMessage]) -> bool {
        let outgoing =
            |message: &OrdersMessage| Outgoing { message_id: message_id(message), body: message.encode() };
        let window: Vec<_> = window.iter().map(outgoing).collect();
        let mut backoff = Backoff::new(Duration::from_millis(100), WAIT_MAX);
        loop {
            let metrics = self.metrics.clone();
            match metrics.published.window(window.len(), self.attempt(&window)).await {
                Ok(()) => return true,
                Err(error) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        messages = window.len(),
                        attempt = backoff.failures() + 1,
                        "window not confirmed, it will be published again"
                    );
                }
            }
            if *self.stopping.borrow() {
                return false;
            }
            let wait = tokio::time::sleep(backoff.next_wait());
            tokio::select! {
                () = wait => {}
                _ = self.stopping.changed() => {}
            }
        }
    }

    pub(super) async fn close(self) {
        if let Some(publisher) = self.publisher {
            publisher.close().await;
        }
    }

    async fn attempt(&mut self, window: &[Outgoing]) -> anyhow::Result<()> {
        // Taken out, so that only a publisher whose windows were all confirmed is used again.
        let mut publisher = match self.publisher.take() {
            Some(publisher) => publisher,
            None => self.broker.publisher(self.timeouts()).await?,
        };
        publisher.publish_window(window).await?;
        self.publisher = Some(publisher);
        Ok(())
    }

    fn timeouts(&self) -> Timeouts {
        Timeouts {
            connect: Duration::from_millis(self.amqp.connect_timeout_ms),
            confirm: Duration::from_millis(self.amqp.confirm_timeout_ms),
        }
    }
}
