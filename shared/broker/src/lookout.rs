//! How full the queues are and who reads them, as the broker says.

use std::time::Duration;

use crate::amqp::AmqpLookout;
use crate::{Broker, BrokerError, Inbox};

/// What a broker says of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueState {
    /// The queue.
    pub inbox: Inbox,
    /// Messages that wait; those in hand are not counted.
    pub messages: u64,
    /// Subscriptions.
    pub consumers: u64,
}

/// Looks at the queues again and again over one connection, which is opened anew after an error.
pub struct Lookout {
    broker: Broker,
    timeout: Duration,
    open: Option<AmqpLookout>,
}

impl Lookout {
    /// A look-out that connects when it first looks. `timeout` limits each step.
    pub fn new(broker: Broker, timeout: Duration) -> Self {
        Self { broker, timeout, open: None }
    }

    /// The state of every queue that is read.
    ///
    /// # Errors
    /// When the broker does not answer in time, or refuses.
    pub async fn look(&mut self) -> Result<Vec<QueueState>, BrokerError> {
        let url = match &self.broker {
            Broker::InProcess(queue) => return Ok(Inbox::ALL.map(|inbox| queue.state(inbox)).to_vec()),
            Broker::Amqp { url } => url,
        };
        // Taken out, so that only a connection that has answered is used again.
        let open = match self.open.take() {
            Some(open) => open,
            None => AmqpLookout::connect(url, self.timeout).await?,
        };
        let states = open.look().await?;
        self.open = Some(open);
        Ok(states)
    }
}
