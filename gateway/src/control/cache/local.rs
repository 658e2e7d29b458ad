//! The part of the cache in this process: bounded by entries, each bounded in size, with a life of about a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;

use super::freshness::{Freshness, Lives};
use super::key::{Key, SLOTS, Topic};
use super::{Cached, Settings};

/// Entries by name, and the generation of each slot.
pub(super) struct Local {
    entries: DashMap<String, Entry>,
    generations: Box<[AtomicU64]>,
    lives: Lives,
    entries_max: usize,
    entry_bytes_max: usize,
}

struct Entry {
    generation: u64,
    read_at: Instant,
    cached: Cached,
}

impl Local {
    pub fn new(settings: &Settings) -> Self {
        Self {
            entries: DashMap::new(),
            generations: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            lives: settings.lives,
            entries_max: settings.entries_max,
            entry_bytes_max: settings.entry_bytes_max,
        }
    }

    /// The generation of a topic: what is read from now on belongs to it.
    pub fn generation(&self, topic: Topic) -> u64 {
        self.generations[topic.slot()].load(Ordering::Acquire)
    }

    /// Everything of these topics is gone, and so is what is being read at this moment.
    pub fn invalidate(&self, topic: Topic) {
        self.generations[topic.slot()].fetch_add(1, Ordering::AcqRel);
    }

    /// Everything is gone.
    pub fn invalidate_all(&self) {
        self.generations.iter().for_each(|generation| _ = generation.fetch_add(1, Ordering::AcqRel));
    }

    /// An entry that may be shown.
    pub fn find(&self, key: &Key, now: Instant) -> Option<(Cached, Freshness)> {
        let entry = self.entries.get(&key.name)?;
        let age = now.saturating_duration_since(entry.read_at);
        let freshness = self.lives_of(key).judge(entry.generation, self.generation(key.topic), age);
        (freshness != Freshness::Gone).then(|| (entry.cached.clone(), freshness))
    }

    /// Keeps what was read in `generation`, unless it is too large.
    pub fn keep(&self, key: &Key, generation: u64, cached: Cached, now: Instant) {
        if cached.json.len() > self.entry_bytes_max {
            return;
        }
        if self.entries.len() >= self.entries_max {
            self.make_room(now);
        }
        self.entries.insert(key.name.clone(), Entry { generation, read_at: now, cached });
    }

    /// Drops what has outlived itself, and half of the rest if that is not enough, whichever it is: then as many calls
    /// as were dropped cost nothing.
    fn make_room(&self, now: Instant) {
        let longest = self.lives.fresh + self.lives.stale;
        self.entries.retain(|_, entry| now.saturating_duration_since(entry.read_at) < longest);
        if self.entries.len() > self.entries_max / 2 {
            self.entries.retain(|_, _| fastrand::bool());
        }
    }

    fn lives_of(&self, key: &Key) -> Lives {
        if key.brief { Lives { stale: Duration::ZERO, ..self.lives } } else { self.lives }
    }
}

#[cfg(test)]
mod tests {
    use spike_domain::ProductId;

    use super::*;

    fn local() -> Local {
        let lives = Lives { fresh: Duration::from_secs(1), stale: Duration::from_secs(1) };
        Local::new(&Settings { lives, entries_max: 100, entry_bytes_max: 10, ..Settings::for_tests() })
    }

    fn cached(json: &str) -> Cached {
        Cached { json: json.into(), tag: "\"1\"".into() }
    }

    #[test]
    fn a_change_ends_what_was_read_before_it_and_no_more() {
        let (local, now) = (local(), Instant::now());
        let (one, two) = (Key::product(ProductId(1)), Key::product(ProductId(2)));
        let generation = local.generation(one.topic);
        local.keep(&one, generation, cached("1"), now);
        local.keep(&two, local.generation(two.topic), cached("2"), now);
        assert!(local.find(&one, now).is_some());
        local.invalidate(one.topic);
        assert!(local.find(&one, now).is_none() && local.find(&two, now).is_some());
        local.keep(&one, generation, cached("old"), now);
        assert!(local.find(&one, now).is_none(), "a slow reader's");
        local.invalidate_all();
        assert!(local.find(&two, now).is_none());
    }

    #[test]
    fn it_never_holds_more_than_it_may() {
        let (local, now) = (local(), Instant::now());
        for id in 1..=1000 {
            let key = Key::product(ProductId(id));
            local.keep(&key, local.generation(key.topic), cached("x"), now);
            assert!(local.find(&key, now).is_some(), "the last one is there");
            assert!(local.entries.len() <= 100);
        }
        let large = Key::product(ProductId(5000));
        local.keep(&large, local.generation(large.topic), cached("more than ten"), now);
        assert!(local.find(&large, now).is_none());
    }
}
