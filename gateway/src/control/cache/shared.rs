//! The part of the cache in Redis, which all gateways share, and how they tell each other of changes.
//!
//! A value carries the epoch of its slot as it was before the database was asked; a change gives the slot an epoch
//! never seen before. A value of another epoch is worth nothing, so that a slow reader cannot write over a change, and a
//! Redis that has forgotten its epochs cannot bring an old value back. Values end by themselves besides.
//!
//! In a Redis Cluster all of it is in one slot: a value and its epoch are read at once.
//!
//! Nothing here is an error for anybody: what Redis does not say in time is not there, and after that it is left in
//! peace for a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use spike_stock::stock::Timeouts;
use spike_stock::{Connection, Servers};
use uuid::Uuid;

use super::key::{Key, Topic};
use super::local::Local;
use super::{Cached, Settings};

/// Hash: slot -> epoch.
const EPOCHS: &str = "spike:{cache}:epochs";
/// Channel on which a change is told: the teller and the topic.
const CHANGES: &str = "spike:{cache}:changes";
/// How long a Redis that failed is left in peace.
const REST: Duration = Duration::from_secs(1);
/// How long a key that changes by itself is kept.
const BRIEF: Duration = Duration::from_secs(2);
/// Pause between two tries to tell a change to a Redis that does not answer.
const TELL_AGAIN: Duration = Duration::from_millis(500);

/// A connection for the cache alone: its timeouts are much shorter than the ledger's.
#[derive(Clone)]
pub(super) struct Shared {
    servers: Servers,
    connection: Connection,
    ttl: Duration,
    timeout: Duration,
    me: Arc<str>,
    begun: Instant,
    /// Milliseconds since `begun` until which nothing is asked.
    resting_until: Arc<AtomicU64>,
}

/// What a look into Redis found.
#[derive(Default)]
pub(super) struct Look {
    /// A value of the present epoch.
    pub cached: Option<Cached>,
    /// The present epoch; `None` where Redis did not answer.
    pub epoch: Option<String>,
}

impl Shared {
    /// Connects when first used. `None` where the client's connection cannot even be set up.
    pub fn new(servers: Servers, settings: &Settings) -> Option<Self> {
        let timeouts = Timeouts { connect: settings.timeout, command: settings.timeout };
        let connection = servers.connection(timeouts).ok()?;
        Some(Self {
            servers,
            connection,
            ttl: settings.shared_ttl,
            timeout: settings.timeout,
            me: Uuid::now_v7().to_string().into(),
            begun: Instant::now(),
            resting_until: Arc::new(AtomicU64::new(0)),
        })
    }

    /// The value of a key with its slot's epoch, in one round trip.
    pub async fn find(&self, key: &Key) -> Look {
        let mut pipe = redis::pipe();
        pipe.cmd("HGET").arg(EPOCHS).arg(key.topic.slot());
        pipe.cmd("GET").arg(name_of(key));
        let Some((epoch, value)) = self.ask::<(Option<String>, Option<String>)>(&pipe).await else {
            return Look::default();
        };
        let epoch = epoch.unwrap_or_default();
        let cached = value.and_then(|value| decode(&value, &epoch));
        Look { cached, epoch: Some(epoch) }
    }

    /// Keeps what was read after `epoch` was seen.
    pub async fn keep(&self, key: &Key, epoch: &str, cached: &Cached) {
        let ttl = if key.brief { self.ttl.min(BRIEF) } else { self.ttl };
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut pipe = redis::pipe();
        let value = format!("{epoch}\n{}\n{}", cached.tag, cached.json);
        pipe.cmd("SET").arg(name_of(key)).arg(value).arg("PX").arg(ttl_ms).ignore();
        self.ask::<()>(&pipe).await;
    }

    /// Tells every gateway that these have changed. A Redis that does not answer is told again until every value of
    /// before has ended by itself.
    pub async fn changed(&self, topics: &[Topic]) {
        let mut pipe = redis::pipe();
        for topic in topics {
            pipe.cmd("HSET").arg(EPOCHS).arg(topic.slot()).arg(Uuid::now_v7().simple().to_string()).ignore();
            pipe.cmd("PUBLISH").arg(CHANGES).arg(format!("{} {topic}", self.me)).ignore();
        }
        if self.tell(&pipe).await {
            return;
        }
        let (shared, until) = (self.clone(), Instant::now() + self.ttl);
        tokio::spawn(async move {
            while Instant::now() < until {
                tokio::time::sleep(TELL_AGAIN).await;
                if shared.tell(&pipe).await {
                    return;
                }
            }
        });
    }

    /// Passes on what other gateways tell, for ever. After a break anything may have been told to nobody here.
    pub async fn follow(self, local: Arc<Local>) {
        loop {
            if let Ok(mut subscription) = self.servers.subscribe(CHANGES).await {
                local.invalidate_all();
                let mut messages = subscription.on_message();
                while let Some(message) = messages.next().await {
                    let text: String = message.get_payload().unwrap_or_default();
                    match text.split_once(' ') {
                        Some((teller, _)) if teller == &*self.me => {}
                        Some((_, topic)) => match Topic::parse(topic) {
                            Some(topic) => local.invalidate(topic),
                            None => local.invalidate_all(),
                        },
                        None => local.invalidate_all(),
                    }
                }
                local.invalidate_all();
            }
            tokio::time::sleep(REST.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        }
    }

    /// An answer in time, from a Redis that is not resting.
    async fn ask<T: redis::FromRedisValue>(&self, pipe: &redis::Pipeline) -> Option<T> {
        if self.elapsed_ms() < self.resting_until.load(Ordering::Relaxed) {
            return None;
        }
        self.query(pipe).await
    }

    /// The same, rested or not: a change must be told.
    async fn tell(&self, pipe: &redis::Pipeline) -> bool {
        self.query::<()>(pipe).await.is_some()
    }

    async fn query<T: redis::FromRedisValue>(&self, pipe: &redis::Pipeline) -> Option<T> {
        let mut connection = self.connection.clone();
        // The connection's own limits do not bound the wait for a new connection.
        match tokio::time::timeout(self.timeout, pipe.query_async(&mut connection)).await {
            Ok(Ok(answer)) => Some(answer),
            failed => {
                let error = failed.map(Result::err);
                tracing::debug!(?error, "the shared cache does not answer");
                let rest = self.elapsed_ms() + u64::try_from(REST.as_millis()).unwrap_or(u64::MAX);
                self.resting_until.store(rest, Ordering::Relaxed);
                None
            }
        }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Gateways of another version may show things otherwise: each version has names of its own.
fn name_of(key: &Key) -> String {
    format!("spike:{{cache}}:{}:{}", env!("CARGO_PKG_VERSION"), key.name)
}

/// Epoch, tag and JSON, each on a line. Neither of the first two has a line break in it.
fn decode(value: &str, epoch: &str) -> Option<Cached> {
    let (of, rest) = value.split_once('\n')?;
    let (tag, json) = rest.split_once('\n')?;
    (of == epoch).then(|| Cached { json: json.into(), tag: tag.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_another_epoch_is_worth_nothing() {
        let value = "e1\n\"3\"\n{\"a\":\n1}";
        let cached = decode(value, "e1").unwrap();
        assert_eq!((&*cached.tag, &*cached.json), ("\"3\"", "{\"a\":\n1}"));
        for (value, epoch) in [(value, "e2"), (value, ""), ("e1\nx", "e1"), ("", "")] {
            assert!(decode(value, epoch).is_none(), "{value:?} {epoch:?}");
        }
        assert!(decode("\n\"3\"\n", "").is_some(), "before the first change there is no epoch");
    }
}
