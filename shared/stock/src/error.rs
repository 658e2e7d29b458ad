//! How a ledger says no, and how it fails.

use redis::RedisError;

/// A script's refusal: nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The event has no complete ledger.
    #[error("the event has no ledger yet")]
    NotReady,
    /// The ledger is of another epoch.
    #[error("the ledger is of epoch {epoch}")]
    Stale {
        /// The epoch in Redis.
        epoch: u64,
    },
    /// Too many units wait to be settled.
    #[error("too many units wait to be written to the database")]
    Full,
    /// Buys are refused for now.
    #[error("the sale is paused")]
    Paused,
    /// The sale is over.
    #[error("the sale is closed")]
    Closed,
    /// A rebuild is under way.
    #[error("the ledger is being rebuilt")]
    Recovering,
    /// A rebuild's step found the ledger open: another rebuild was faster.
    #[error("the ledger stands already")]
    Standing,
}

impl Refused {
    /// Reads `why` and `epoch` of a `{'NO', why, epoch}` reply.
    pub fn parse(why: &[u8], epoch: &[u8]) -> Option<Self> {
        Some(match why {
            b"not_ready" => Self::NotReady,
            b"stale" => Self::Stale { epoch: std::str::from_utf8(epoch).ok()?.parse().ok()? },
            b"full" => Self::Full,
            b"paused" => Self::Paused,
            b"closed" => Self::Closed,
            b"recovering" => Self::Recovering,
            b"standing" => Self::Standing,
            _ => return None,
        })
    }
}

/// Why a call on the ledger has no result.
#[derive(Debug, thiserror::Error)]
pub enum StockError {
    /// The script refused and wrote nothing.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// A fenced script is not loaded: Redis has restarted and nobody has compared it with the database yet.
    #[error("the ledger is closed until it has been compared with the database")]
    Fenced,
    /// Redis could not be asked, or its answer is lost: what was asked may have happened.
    #[error("Redis: {0}")]
    Redis(RedisError),
    /// The embedded ledger takes nothing now: its queue is full or its disk has failed. Nothing happened.
    #[error("the ledger of this process takes nothing now")]
    Closed,
    /// The embedded ledger could not write what it decided; it is rebuilt. What was asked may have happened.
    #[error("the ledger of this process could not write its journal")]
    Lost,
    /// An answer of the wrong shape: a bug, or another program's script.
    #[error("unexpected reply of {script}: {reply}")]
    Reply {
        /// Which script.
        script: &'static str,
        /// What came, cut short.
        reply: String,
    },
}

impl From<RedisError> for StockError {
    fn from(error: RedisError) -> Self {
        if error.kind() == redis::ErrorKind::Server(redis::ServerErrorKind::NoScript) {
            Self::Fenced
        } else {
            Self::Redis(error)
        }
    }
}

impl StockError {
    /// A reply of the wrong shape.
    pub fn reply(script: &'static str, reply: &impl std::fmt::Debug) -> Self {
        let mut text = format!("{reply:?}");
        if let Some((cut, _)) = text.char_indices().nth(200) {
            text.truncate(cut);
        }
        Self::Reply { script, reply: text }
    }
}
