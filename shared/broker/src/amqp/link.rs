//! A connection with one channel and the topology in place.

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties};

use crate::{BrokerError, topology};

/// Seconds between heartbeats: a broker that vanished without a word is noticed after two of them.
const HEARTBEAT_S: u16 = 10;

/// Dropping it closes the connection.
pub(crate) struct Link {
    connection: Connection,
    pub(crate) channel: Channel,
}

impl Link {
    /// `name` shows in the broker's list of connections.
    pub(crate) async fn open(url: &str, name: &str, timeout: Duration) -> Result<Self, BrokerError> {
        let mut uri: AMQPUri = url.parse().map_err(BrokerError::Url)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_S);
        // Recovery stays off: it would hide from the caller that a window or a batch has to be done again.
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        within(timeout, "connecting", async {
            let connection = Connection::connect_uri(uri, properties).await?;
            let channel = connection.create_channel().await?;
            topology::declare(&channel).await?;
            Ok(Self { connection, channel })
        })
        .await
    }

    /// Whether there is such a queue. Asked on a channel of its own: the broker closes the one that asked for none.
    pub(crate) async fn has_queue(&self, name: &str) -> lapin::Result<bool> {
        let channel = self.connection.create_channel().await?;
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        match channel.queue_declare(name.into(), options, FieldTable::default()).await {
            Ok(_) => channel.close(200, "thanks".into()).await.map(|()| true),
            Err(error) if not_found(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Says goodbye; an error changes nothing, the connection is over either way.
    pub(crate) async fn close(self, timeout: Duration) {
        let goodbye = self.connection.close(200, "bye".into());
        if let Err(error) = within(timeout, "closing", goodbye).await {
            tracing::debug!(%error, "broker connection closed without an answer");
        }
    }
}

fn not_found(error: &lapin::Error) -> bool {
    const NOT_FOUND: u16 = 404;
    matches!(error.kind(), lapin::ErrorKind::ProtocolError(error) if error.get_id() == NOT_FOUND)
}

pub(crate) async fn within<T>(
    timeout: Duration,
    doing: &'static str,
    work: impl Future<Output = lapin::Result<T>>,
) -> Result<T, BrokerError> {
    match tokio::time::timeout(timeout, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(BrokerError::connection(doing, error)),
        Err(_) => Err(BrokerError::Timeout { doing, ms: timeout.as_millis() }),
    }
}
