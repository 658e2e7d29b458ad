//! A core's line to the ledger: its own pipelined connections to Redis or a cluster of them, or the embedded ledger's
//! thread.

use std::cell::Cell;
use std::time::Duration;

use spike_config::Config;
use spike_domain::{EventState, UserId};
use spike_stock::reserve::{Buyer, Decided, Decision, decode, encode};
use spike_stock::{Claim, EmbeddedLedger, StockError};

use super::batch::Undecided;
use crate::local::EventLocal;
use crate::redis::link::command;
use crate::redis::{Cluster, Copies, Kept, Link, LinkError, Reply};

/// Replicas may take so much of the time for a reply: other calls on the connection wait as long.
const COPIES_WAIT_PART: u64 = 4;

/// What the batches and the status polls of a core ask.
pub enum Line {
    /// Redis.
    Redis {
        /// The connection.
        link: Link,
        /// Calls in a row that Redis answered with an error of its own.
        failures: Cell<u64>,
        /// Replicas that must have a buy, where any are wanted.
        copies: Option<Copies>,
    },
    /// Redis Cluster: the event's slot says which master.
    Cluster {
        /// The connections.
        cluster: Cluster,
        /// As for one server.
        failures: Cell<u64>,
        /// As for one server.
        copies: Option<Copies>,
    },
    /// This process.
    Embedded {
        /// The ledger.
        ledger: EmbeddedLedger,
        /// Longest wait for its answer, which waits for the disk.
        timeout: Duration,
    },
}

/// What the ledger shows a user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// The claim now.
    pub claim: Option<Claim>,
    /// The last order that ended without one.
    pub ended: Option<Claim>,
    /// Units of the event that are accepted and not settled; `None` without a ledger.
    pub inflight: Option<u64>,
}

impl Look {
    /// Whether both show the same orders in the same states.
    pub fn same_order(&self, other: &Self) -> bool {
        (self.claim, self.ended) == (other.claim, other.ended)
    }
}

impl Line {
    /// The line that the settings want. `on_reconnect` is told of every connection to a node of a cluster after its first.
    pub fn new(config: &Config, embedded: Option<EmbeddedLedger>, on_reconnect: impl Fn() + 'static) -> Self {
        let (redis, hot) = (&config.redis, &config.hot);
        if let Some(ledger) = embedded {
            return Self::Embedded { ledger, timeout: Duration::from_millis(hot.redis_timeout_ms) };
        }
        let timeout_ms = (hot.redis_timeout_ms / COPIES_WAIT_PART).max(1);
        let copies =
            (redis.wait_replicas > 0).then_some(Copies { replicas: redis.wait_replicas, timeout_ms });
        let failures = Cell::new(0);
        if redis.cluster {
            let timeout = Duration::from_millis(redis.connect_timeout_ms);
            return Self::Cluster {
                cluster: Cluster::new(redis.seeds(), timeout, on_reconnect),
                failures,
                copies,
            };
        }
        Self::Redis { link: Link::new(), failures, copies }
    }

    /// Decides a batch of buyers of `event` in `epoch`.
    pub async fn reserve(
        &self,
        event: &EventLocal,
        epoch: u64,
        now_ms: u64,
        buyers: &[Buyer],
    ) -> Result<Decided, Undecided> {
        match self {
            Self::Redis { link, failures, copies: None } => {
                let call =
                    link.call(|out| encode(out, &event.reserve_sha, &event.keys, epoch, now_ms, buyers));
                let reply = call.await;
                tell(failures, &reply);
                read_decided(reply, buyers.len())
            }
            Self::Redis { link, failures, copies } => {
                let call = |out: &mut Vec<u8>| {
                    encode(out, &event.reserve_sha, &event.keys, epoch, now_ms, buyers);
                };
                read_kept(failures, link.call_kept(false, call, *copies).await, buyers.len())
            }
            Self::Cluster { cluster, failures, copies } => {
                let call = |out: &mut Vec<u8>| {
                    encode(out, &event.reserve_sha, &event.keys, epoch, now_ms, buyers);
                };
                read_kept(failures, cluster.call(event.slot, call, *copies).await, buyers.len())
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

    /// What the ledger shows one user.
    pub async fn look(&self, event: &EventLocal, user: UserId) -> Result<Look, LinkError> {
        let looks = self.looks(event, &[user]).await?;
        looks.into_iter().next().expect("a look for each user").ok_or(LinkError::Unknown)
    }

    /// What the ledger shows each of `users`, in their order: three commands in one write, however many they are. `None`
    /// for one whose claim cannot be read, which is told in the log and is no other user's trouble.
    pub async fn looks(&self, event: &EventLocal, users: &[UserId]) -> Result<Vec<Option<Look>>, LinkError> {
        match self {
            Self::Redis { .. } | Self::Cluster { .. } => self.looks_in_redis(event, users).await,
            Self::Embedded { ledger, timeout } => {
                let asked = monoio::time::timeout(*timeout, ledger.lookups(event.def.id, users));
                match asked.await {
                    Ok(Ok((pairs, inflight))) => {
                        let look = |(claim, ended)| Some(Look { claim, ended, inflight });
                        Ok(pairs.into_iter().map(look).collect())
                    }
                    // Nobody can have bought before the warm-up; behind the fence nobody knows.
                    Ok(Err(StockError::Fenced)) if event.state == EventState::Scheduled => {
                        Ok(vec![Some(Look::default()); users.len()])
                    }
                    _ => Err(LinkError::Unknown),
                }
            }
        }
    }

    /// The core's tick: see [`Link::tick`].
    pub fn tick(&self, now_ms: u64, timeout_ms: u64) {
        match self {
            Self::Redis { link, .. } => link.tick(now_ms, timeout_ms),
            Self::Cluster { cluster, .. } => cluster.tick(now_ms, timeout_ms),
            Self::Embedded { .. } => {}
        }
    }

    async fn looks_in_redis(
        &self,
        event: &EventLocal,
        users: &[UserId],
    ) -> Result<Vec<Option<Look>>, LinkError> {
        let users: Vec<String> = users.iter().map(UserId::to_string).collect();
        let hmget = |out: &mut Vec<u8>, hash: &str| {
            let mut words: Vec<&[u8]> = vec![b"HMGET", hash.as_bytes()];
            words.extend(users.iter().map(String::as_bytes));
            command(out, &words);
        };
        let claims = self.ask(event, |out| hmget(out, &event.keys.buyers));
        let ended = self.ask(event, |out| hmget(out, &event.keys.ended));
        let inflight = self.ask(event, |out| command(out, &[b"GET", event.keys.inflight.as_bytes()]));
        let (claims, ended, inflight) = futures_util::future::join3(claims, ended, inflight).await;
        let claims = parsed(claims?, users.len(), Claim::parse)?;
        let ended = parsed(ended?, users.len(), Claim::parse_ended)?;
        let inflight = match inflight? {
            Reply::Nil => None,
            Reply::Bulk(digits) => std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse().ok()),
            _ => return Err(LinkError::Unknown),
        };
        let look =
            |(claim, ended): (Read, Read)| Some(Look { claim: claim.ok()?, ended: ended.ok()?, inflight });
        Ok(claims.into_iter().zip(ended).map(look).collect())
    }

    /// One command about the event's keys.
    async fn ask(&self, event: &EventLocal, encode: impl Fn(&mut Vec<u8>)) -> Result<Reply, LinkError> {
        match self {
            Self::Redis { link, .. } => link.call(encode).await,
            Self::Cluster { cluster, .. } => Ok(cluster.call(event.slot, encode, None).await?.reply),
            Self::Embedded { .. } => Err(LinkError::Down),
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

/// A decision that a buyer could rely on is not told while a replica may lack it: should the master be lost, so is the order.
fn read_kept(
    failures: &Cell<u64>,
    kept: Result<Kept, LinkError>,
    buyers: usize,
) -> Result<Decided, Undecided> {
    let (reply, copied) = match kept {
        Ok(Kept { reply, copied }) => (Ok(reply), copied),
        Err(error) => (Err(error), true),
    };
    tell(failures, &reply);
    let decided = read_decided(reply, buyers)?;
    let holds = |decision: &Decision| !matches!(decision, Decision::OverLimit | Decision::Short);
    if copied || !decided.decisions.iter().any(holds) { Ok(decided) } else { Err(Undecided::Unknown) }
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

/// What was read of one user's claim.
type Read = Result<Option<Claim>, Unreadable>;

/// A value that is no claim: a bug, or another program's.
struct Unreadable;

/// The claims of a reply to HMGET of so many users.
fn parsed(
    reply: Reply,
    users: usize,
    parse: impl Fn(&[u8]) -> Option<Claim>,
) -> Result<Vec<Read>, LinkError> {
    // An error reply (loading, out of memory): Redis cannot say now.
    let Reply::Array(elements) = reply else { return Err(LinkError::Unknown) };
    // One too few would show users the claims of others: that must never be.
    assert_eq!(elements.len(), users, "HMGET must answer a value for each field");
    let claim = |element| match element {
        Reply::Nil => Ok(None),
        Reply::Bulk(bytes) => parse(&bytes).map(Some).ok_or_else(|| {
            tracing::error!(value = %bytes.escape_ascii(), "a claim is not order, letter and quantity");
            Unreadable
        }),
        other => {
            tracing::error!(value = ?other, "a claim is no string");
            Err(Unreadable)
        }
    };
    Ok(elements.into_iter().map(claim).collect())
}
