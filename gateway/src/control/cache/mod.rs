//! The read cache of the catalogue: products by id, their inventories, pages of products, pages of events.
//!
//! A read looks into this process ([`local`], a second), then into Redis ([`shared`], where there is one; tens of
//! seconds), then into the database. What is missed by many at once is read once ([`flights`]); what has just stopped
//! being fresh is shown while one task reads it anew. A change ends, before its request is answered, what was read
//! before it here and in Redis, and within a moment in every other gateway; should that message be lost, the second
//! and the epochs in Redis do it. Without Redis everything works as before, from this process alone.
//!
//! Not cached: orders, accounts, anything of one person.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use sha1_smol::Sha1;
use spike_config::CacheConfig;
use spike_metrics::catalogue::gateway::{
    CACHE_HITS, CACHE_LOADS, CACHE_MISSES, CACHE_SHARED_HITS, CACHE_STALE,
};
use spike_metrics::{Counts, Page};
use spike_stock::Stock;
use tokio::task::AbortHandle;

use super::{Refusal, Result};
use flights::Flights;
use freshness::{Freshness, Lives};
use local::Local;
use shared::Shared;

mod flights;
mod freshness;
mod key;
mod local;
mod shared;

pub use key::{Key, Topic};

/// The cache of one control API.
pub struct Cache {
    local: Arc<Local>,
    shared: Option<Shared>,
    flights: Flights,
    counts: Arc<CacheCounts>,
    following: Option<AbortHandle>,
}

/// An answer's `data` as it is sent, and its tag. Empty where there is nothing: that is remembered too.
#[derive(Debug, Clone)]
pub struct Cached {
    /// JSON, or empty.
    pub json: Arc<str>,
    /// The ETag, with its quotes.
    pub tag: Arc<str>,
}

/// What a read of the database found.
pub struct Loaded {
    /// `None` where there is nothing of that name.
    pub data: Option<Value>,
    /// The ETag; `None` for one made of the content.
    pub tag: Option<String>,
}

/// How reads ended.
#[derive(Debug)]
pub struct CacheCounts {
    hits: Counts,
    stale: Counts,
    misses: Counts,
    shared_hits: Counts,
    loads: Counts,
}

/// [`CacheConfig`] in the types used here.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub lives: Lives,
    pub shared_ttl: Duration,
    pub timeout: Duration,
    pub entries_max: usize,
    pub entry_bytes_max: usize,
}

impl Cache {
    /// A cache over the ledger's Redis, if the ledger has one; then on a tokio runtime.
    pub fn new(config: &CacheConfig, ledger: &Stock) -> Arc<Self> {
        let settings = Settings::of(config);
        let local = Arc::new(Local::new(&settings));
        let shared = ledger.redis_client().and_then(|client| Shared::new(client, &settings));
        let following =
            shared.clone().map(|shared| tokio::spawn(shared.follow(local.clone())).abort_handle());
        Arc::new(Self { local, shared, flights: Flights::default(), counts: Arc::default(), following })
    }

    /// How reads have ended so far.
    pub fn counts(&self) -> Arc<CacheCounts> {
        self.counts.clone()
    }

    /// What is kept under `key`, or what `load` reads. Errors: only those of `load`.
    pub async fn read<F>(
        self: &Arc<Self>,
        key: Key,
        load: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Cached>
    where
        F: Future<Output = Result<Loaded>> + Send + 'static,
    {
        let found = self.local.find(&key, Instant::now());
        let count = match &found {
            Some((_, Freshness::Fresh)) => &self.counts.hits,
            Some(_) => &self.counts.stale,
            None => &self.counts.misses,
        };
        count.add(1);
        if let Some((cached, Freshness::Fresh)) = found {
            return Ok(cached);
        }
        let generation = self.local.generation(key.topic);
        let cache = self.clone();
        let flight = format!("{generation} {}", key.name);
        let landing =
            self.flights.join(flight, move || async move { cache.fetch(&key, generation, load).await });
        match found {
            Some((cached, _)) => Ok(cached),
            None => {
                landing.wait().await.unwrap_or_else(|| Err(Refusal::internal("a read of the cache panicked")))
            }
        }
    }

    /// Ends what was read of these topics before. Call it after the commit and before the answer.
    pub async fn changed(&self, topics: &[Topic]) {
        topics.iter().for_each(|topic| self.local.invalidate(*topic));
        if let Some(shared) = &self.shared {
            shared.changed(topics).await;
        }
    }

    async fn fetch<F>(&self, key: &Key, generation: u64, load: impl FnOnce() -> F) -> Result<Cached>
    where
        F: Future<Output = Result<Loaded>>,
    {
        // A fetch may have ended between this reader's miss and this flight's begin.
        if let Some((cached, Freshness::Fresh)) = self.local.find(key, Instant::now()) {
            return Ok(cached);
        }
        let look = match &self.shared {
            Some(shared) => shared.find(key).await,
            None => shared::Look::default(),
        };
        if let Some(cached) = look.cached {
            self.counts.shared_hits.add(1);
            self.local.keep(key, generation, cached.clone(), Instant::now());
            return Ok(cached);
        }
        self.counts.loads.add(1);
        let cached = Cached::of(load().await?);
        self.local.keep(key, generation, cached.clone(), Instant::now());
        if let (Some(shared), Some(epoch)) = (self.shared.clone(), look.epoch) {
            let (key, cached) = (key.clone(), cached.clone());
            // Nobody waits for it.
            tokio::spawn(async move { shared.keep(&key, &epoch, &cached).await });
        }
        Ok(cached)
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        if let Some(following) = &self.following {
            following.abort();
        }
    }
}

impl Cached {
    /// An answer that is not kept, tagged by what it says.
    pub fn of_data(data: &Value) -> Self {
        let json = data.to_string();
        Self { tag: tag_of_content(&json).into(), json: json.into() }
    }

    fn of(loaded: Loaded) -> Self {
        let json = loaded.data.map(|data| data.to_string()).unwrap_or_default();
        let tag = loaded.tag.unwrap_or_else(|| tag_of_content(&json));
        Self { json: json.into(), tag: tag.into() }
    }

    /// Whether there is something.
    pub fn there(&self) -> bool {
        !self.json.is_empty()
    }
}

fn tag_of_content(json: &str) -> String {
    format!("W/\"{}\"", Sha1::from(json.as_bytes()).digest())
}

impl Default for CacheCounts {
    fn default() -> Self {
        Self {
            hits: Counts::new(&CACHE_HITS),
            stale: Counts::new(&CACHE_STALE),
            misses: Counts::new(&CACHE_MISSES),
            shared_hits: Counts::new(&CACHE_SHARED_HITS),
            loads: Counts::new(&CACHE_LOADS),
        }
    }
}

impl CacheCounts {
    /// Shows all of it.
    pub fn write(&self, page: &mut Page) {
        for counts in [&self.hits, &self.stale, &self.misses, &self.shared_hits, &self.loads] {
            counts.write(page);
        }
    }
}

impl Settings {
    fn of(config: &CacheConfig) -> Self {
        Self {
            lives: Lives {
                fresh: Duration::from_millis(config.local_ms),
                stale: Duration::from_millis(config.stale_ms),
            },
            shared_ttl: Duration::from_millis(config.shared_ms),
            timeout: Duration::from_millis(config.timeout_ms),
            entries_max: config.entries_max,
            entry_bytes_max: config.entry_bytes_max,
        }
    }

    #[cfg(test)]
    fn for_tests() -> Self {
        let second = Duration::from_secs(1);
        let lives = Lives { fresh: second, stale: second };
        Self { lives, shared_ttl: second, timeout: second, entries_max: 100, entry_bytes_max: 1000 }
    }
}
