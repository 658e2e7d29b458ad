//! A core's line to the ledger: its own pipelined connection to Redis, or the embedded ledger's thread.

use std::cell::Cell;
use std::time::Duration;

use spike_domain::{EventState, UserId};
use spike_stock::reserve::{Buyer, Decided, decode, encode};
use spike_stock::{Claim, EmbeddedLedger, StockError};

use super::batch::Undecided;
use crate::local::EventLocal;
use crate::redis::link::command;
use crate::redis::{Link, LinkError, Reply};

/// What the batches and the status polls of a core ask.
pub enum Line {
    /// Redis.
    Redis {
        /// The connection.
        link: Link,
        /// Calls in a row that Redis answered with an error of its own.
        failures: Cell<u64>,
    },
    /// This process.
    Embedded {
        /// The ledger.
        ledger: EmbeddedLedger,
        /// Longest wait for its answer, which waits for the disk.
        timeout: Duration,
    },
}

/// A user's claim, and its last order that ended without one.
pub struct Found {
    /// The claim now.
    pub claim: Option<Claim>,
    /// The last order that ended.
    pub ended: Option<Claim>,
}

impl Line {
    /// Decides a batch of buyers of `event` in `epoch`.
    pub async fn reserve(
        &self,
        event: &EventLocal,
        epoch: u64,
        now_ms: u64,
        buyers: &[Buyer],
    ) -> Result<Decided, Undecided> {
        match self {
            Self::Redis { link, failures } => {
                let call =
                    link.call(|out| encode(out, &event.reserve_sha, &event.keys, epoch, now_ms, buyers));
                let reply = call.await;
                tell(failures, &reply);
                read_decided(reply, buyers.len())
            }
            Self::Embedded { ledger, timeout } => {
                let asked = ledger.reserve(event.def.id, epoch, now_ms, buyers);
                let Ok(answer) = monoio::time::timeout(*timeout, asked).await else {
                    return Err(Undecided::Unknown);
                };
                answer.map_err(|error| match error {
                    StockError::Refused(refused) => Undecided::Refused(refused),
                    StockError::Fenced => Undecided::Fenced,
                    StockError::Lost => Undecided::Unknown,
                    _ => Undecided::Down,
                })
            }
        }
    }

    /// What the ledger knows of `user`: with Redis both hashes in one write.
    pub async fn lookup(&self, event: &EventLocal, user: UserId) -> Result<Found, LinkError> {
        let link = match self {
            Self::Redis { link, .. } => link,
            Self::Embedded { ledger, timeout } => {
                let asked = monoio::time::timeout(*timeout, ledger.lookup(event.def.id, user));
                return match asked.await {
                    Ok(Ok((claim, ended))) => Ok(Found { claim, ended }),
                    // Nobody can have bought before the warm-up; behind the fence nobody knows.
                    Ok(Err(StockError::Fenced)) if event.state == EventState::Scheduled => {
                        Ok(Found { claim: None, ended: None })
                    }
                    _ => Err(LinkError::Unknown),
                };
            }
        };
        let mut digits = itoa::Buffer::new();
        let user = digits.format(user.0).as_bytes();
        let claim = link.call(|out| command(out, &[b"HGET", event.keys.buyers.as_bytes(), user]));
        let ended = link.call(|out| command(out, &[b"HGET", event.keys.ended.as_bytes(), user]));
        let (claim, ended) = futures_util::future::join(claim, ended).await;
        Ok(Found { claim: parsed(claim?, Claim::parse)?, ended: parsed(ended?, Claim::parse_ended)? })
    }

    /// The core's tick: see [`Link::tick`].
    pub fn tick(&self, now_ms: u64, timeout_ms: u64) {
        if let Self::Redis { link, .. } = self {
            link.tick(now_ms, timeout_ms);
        }
    }
}

/// Logs an error of Redis once per outage and then rarely: a full one answers every call of every core with it.
fn tell(failures: &Cell<u64>, reply: &Result<Reply, LinkError>) {
    match reply {
        Ok(Reply::Array(_)) => failures.set(0),
        Ok(error @ Reply::Error(text)) if !error.is_error(b"NOSCRIPT") => {
            failures.set(failures.get() + 1);
            if failures.get().is_power_of_two() {
                let error = String::from_utf8_lossy(text);
                tracing::error!(%error, failures = failures.get(), "reserve failed in Redis");
            }
        }
        _ => {}
    }
}

fn read_decided(reply: Result<Reply, LinkError>, buyers: usize) -> Result<Decided, Undecided> {
    let elements = match reply {
        Err(LinkError::Down) => return Err(Undecided::Down),
        Err(LinkError::Unknown) => return Err(Undecided::Unknown),
        Ok(error) if error.is_error(b"NOSCRIPT") => return Err(Undecided::Fenced),
        // An error of the script's own is raised before it writes (Lua checks first), so nothing happened.
        Ok(Reply::Error(_)) => return Err(Undecided::Down),
        Ok(Reply::Array(elements)) => elements,
        Ok(other) => panic!("reserve must answer an array, not {other:?}"),
    };
    let words: Option<Vec<&[u8]>> =
        elements.iter().map(|e| if let Reply::Bulk(bytes) = e { Some(&bytes[..]) } else { None }).collect();
    let decoded = words.and_then(|words| decode(words.into_iter(), buyers));
    // A reply of the wrong arity would answer the wrong buyers: that must never be.
    let decided =
        decoded.unwrap_or_else(|| panic!("reserve answered {} elements for {buyers} buyers", elements.len()));
    decided.map_err(Undecided::Refused)
}

fn parsed(reply: Reply, parse: impl Fn(&[u8]) -> Option<Claim>) -> Result<Option<Claim>, LinkError> {
    match reply {
        Reply::Nil => Ok(None),
        Reply::Bulk(bytes) => match parse(&bytes) {
            Some(claim) => Ok(Some(claim)),
            None => panic!("a claim must be order, letter and quantity, not {bytes:?}"),
        },
        // An error reply (loading, out of memory): Redis cannot say now.
        _ => Err(LinkError::Unknown),
    }
}
