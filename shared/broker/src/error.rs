//! What can go wrong with the broker.

/// An error of the client library, kept whole for logs.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The connection could not be opened or is over; open another one.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The URL is none.
    #[error("not a broker URL: {0}")]
    Url(String),
    /// No answer in time.
    #[error("no answer from the broker within {ms} ms while {doing}")]
    Timeout {
        /// What was going on.
        doing: &'static str,
        /// The limit.
        ms: u128,
    },
    /// The broker closed the connection or the channel, refused a declaration, or the network failed.
    #[error("{doing}: {cause}")]
    Connection {
        /// What was going on.
        doing: &'static str,
        /// What the client library says.
        #[source]
        cause: Cause,
    },
    /// The broker ended the subscription, for example because the queue was deleted.
    #[error("the subscription has ended")]
    Ended,
}

impl BrokerError {
    pub(crate) fn connection(doing: &'static str, cause: lapin::Error) -> Self {
        Self::Connection { doing, cause: Box::new(cause) }
    }
}

/// A window that is not known to be safe with the broker. Some of its messages may be: publish the whole window again, on
/// a new connection, since confirms of this one may still be under way.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A message fits no queue: somebody removed the topology.
    #[error("the broker returned message {message_id}: {reply}")]
    Returned {
        /// The message's id.
        message_id: String,
        /// The broker's words.
        reply: String,
    },
    /// The broker could not take a message.
    #[error("the broker refused {count} messages of the window")]
    Refused {
        /// How many were not acknowledged.
        count: usize,
    },
    /// The confirms did not come in time; so shows a broker that blocks publishers for want of memory or disk.
    #[error("no confirm of the whole window within {ms} ms")]
    Timeout {
        /// The limit.
        ms: u128,
    },
    /// The connection is over.
    #[error("publishing: {0}")]
    Connection(#[source] Cause),
}

impl From<lapin::Error> for PublishError {
    fn from(error: lapin::Error) -> Self {
        Self::Connection(Box::new(error))
    }
}
