//! A connection with one channel and the topology in place, to any node of the broker.

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
    /// Connects to one of the nodes in `urls`, which are separated by commas and tried in turn from a random one on, so that
    /// many processes spread over them; `timeout` limits each try. `name` shows in the broker's list of connections.
    ///
    /// # Errors
    /// A URL that is none; else what the node tried last has answered, when no other has taken the connection either.
    pub(crate) async fn open(urls: &str, name: &str, timeout: Duration) -> Result<Self, BrokerError> {
        let nodes = nodes(urls)?;
        let first = fastrand::usize(..nodes.len());
        let (before, from) = nodes.split_at(first);
        let mut failed = None;
        for node in from.iter().chain(before) {
            match Self::open_on(node.clone(), name, timeout).await {
                Ok(link) => return Ok(link),
                Err(error) => {
                    let at = (&node.authority.host, node.authority.port);
                    tracing::debug!(host = at.0, port = at.1, %error, "no connection to this node of the broker");
                    failed = Some(error);
                }
            }
        }
        Err(failed.expect("a broker has at least one node"))
    }

    async fn open_on(uri: AMQPUri, name: &str, timeout: Duration) -> Result<Self, BrokerError> {
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

/// The nodes of a broker, at least one.
fn nodes(urls: &str) -> Result<Vec<AMQPUri>, BrokerError> {
    let node = |url: &str| {
        let mut uri: AMQPUri = url.trim().parse().map_err(BrokerError::Url)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_S);
        Ok(uri)
    };
    urls.split(',').map(node).collect()
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
