//! Access tokens that are dead before their time, as the hot cores see them.
//!
//! A core reads an immutable snapshot through an `ArcSwap`: no lock, no wait, some ten nanoseconds, and a snapshot is
//! replaced as a whole, so it is never seen half changed. One map would have to be copied for each second's news: with
//! 200,000 sessions refreshed in a token's life that is megabytes a second. So a snapshot is two maps: a big one, shared
//! between snapshots, and the few hundred entries that came since, which are all that a change copies. When those have
//! grown, or the big map has not been swept for a while, both become a new big map without what is over.
//!
//! Each entry is kept for a time on this process's monotonic clock, counted from when it was learnt. The clock of the sale
//! may step, forwards and back again, and an entry that such a step ended would not come again.
//!
//! Memory: the revocations within one life of an access token, some 50 bytes each. What is over is dropped within
//! [`SWEEP_MS`] of the next word from the follower, which comes every second.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use spike_domain::SessionId;

use super::gcra::mix;

/// News that are copied with each change before they move to the big map.
const RECENT_MAX: usize = 512;
/// Longest time between two sweeps of what is over, in milliseconds.
const SWEEP_MS: u64 = 30_000;
/// The `min_ver` of a session that is over: no token of it is alive, not even one of this generation.
const ALL_TOKENS: u32 = u32::MAX;

/// What is revoked. Any thread reads; those that [`Revocations::learn`] take turns.
pub struct Revocations {
    /// What the times of the entries are counted from.
    start: Instant,
    snapshot: ArcSwap<Snapshot>,
    learning: Mutex<()>,
    loaded: AtomicBool,
}

#[derive(Default, Clone)]
struct Snapshot {
    recent: Sessions,
    big: Arc<Sessions>,
    swept_ms: u64,
}

type Sessions = HashMap<SessionId, Dead, BuildHasherDefault<SessionHasher>>;

/// Tokens of a session with a smaller `ver` are dead; the last of them has expired `until_ms` after the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Dead {
    min_ver: u32,
    until_ms: u64,
}

impl Default for Revocations {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            snapshot: ArcSwap::default(),
            learning: Mutex::default(),
            loaded: AtomicBool::default(),
        }
    }
}

impl Revocations {
    /// Whether a token of generation `ver` of `session` is dead.
    pub fn revoked(&self, session: SessionId, ver: u32) -> bool {
        let snapshot = self.snapshot.load();
        let dies = |sessions: &Sessions| sessions.get(&session).is_some_and(|dead| dead.covers(ver));
        dies(&snapshot.recent) || dies(&snapshot.big)
    }

    /// Takes in revocations as (session, `min_ver`, milliseconds to keep it from `now` on), in any order and as often as
    /// they come, and forgets what is over at `now`. The higher `min_ver` of a session counts.
    pub fn learn(&self, news: impl IntoIterator<Item = (SessionId, u32, u64)>, now: Instant) {
        let since_start = now.saturating_duration_since(self.start);
        let now_ms = u64::try_from(since_start.as_millis()).unwrap_or(u64::MAX);
        let _turn = self.learning.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.snapshot.load_full();
        let unknown: Vec<_> = news
            .into_iter()
            .map(|(session, min_ver, life_ms)| {
                (session, Dead { min_ver, until_ms: now_ms.saturating_add(life_ms) })
            })
            .filter(|(session, dead)| dead.until_ms > now_ms && !before.knows(*session, *dead))
            .collect();
        let sweep = now_ms.abs_diff(before.swept_ms) >= SWEEP_MS && before.len() > 0;
        if unknown.is_empty() && !sweep {
            return;
        }
        let mut next = Snapshot::clone(&before);
        unknown.into_iter().for_each(|(session, dead)| put(&mut next.recent, session, dead));
        if sweep || next.recent.len() > RECENT_MAX {
            next.merge(now_ms);
        }
        self.snapshot.store(Arc::new(next));
    }

    /// How many are held; one that was told twice may count twice for a while.
    pub fn len(&self) -> usize {
        self.snapshot.load().len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all that had been revoked before the start has been read once. Before that nobody can say of any token
    /// that it is alive.
    pub fn loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    /// Says that what was revoked before the start has been learnt.
    pub fn mark_loaded(&self) {
        self.loaded.store(true, Ordering::Release);
    }
}

impl Snapshot {
    fn len(&self) -> usize {
        self.recent.len() + self.big.len()
    }

    /// Whether this says as much already: news come again with every poll. The tokens that `min_ver` kills are older than the
    /// first time that it was heard of, so what was kept then outlives them.
    fn knows(&self, session: SessionId, news: Dead) -> bool {
        let says =
            |sessions: &Sessions| sessions.get(&session).is_some_and(|dead| dead.min_ver >= news.min_ver);
        says(&self.recent) || says(&self.big)
    }

    fn merge(&mut self, now_ms: u64) {
        let alive = |(_, dead): &(&SessionId, &Dead)| dead.until_ms > now_ms;
        let mut big = Sessions::with_capacity_and_hasher(self.len(), BuildHasherDefault::default());
        for (session, dead) in self.big.iter().chain(&self.recent).filter(alive) {
            put(&mut big, *session, *dead);
        }
        big.shrink_to_fit();
        *self = Self { recent: Sessions::default(), big: Arc::new(big), swept_ms: now_ms };
    }
}

fn put(sessions: &mut Sessions, session: SessionId, news: Dead) {
    let dead = sessions.entry(session).or_insert(news);
    dead.min_ver = dead.min_ver.max(news.min_ver);
    dead.until_ms = dead.until_ms.max(news.until_ms);
}

impl Dead {
    fn covers(self, ver: u32) -> bool {
        ver < self.min_ver || self.min_ver == ALL_TOKENS
    }
}

/// Session ids are made here, of random bits: nobody can choose colliding ones, and one multiplication spreads them.
#[derive(Default)]
struct SessionHasher(u64);

impl Hasher for SessionHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = mix(u64::from_le_bytes(word), self.0);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;

    fn session(n: u64) -> SessionId {
        SessionId(Uuid::from_u64_pair(0x0190_0000_0000_7000, 1 << 63 | n))
    }

    /// `ms` after `revocations` began.
    fn at(revocations: &Revocations, ms: u64) -> Instant {
        revocations.start + Duration::from_millis(ms)
    }

    #[test]
    fn generations_below_die_and_a_session_dies_whole() {
        let revocations = Revocations::default();
        revocations.learn([(session(1), 3, 1000), (session(2), ALL_TOKENS, 1000)], at(&revocations, 0));
        for (n, ver, dead) in [
            (1, 0, true),
            (1, 2, true),
            (1, 3, false),
            (1, u32::MAX, false),
            (2, 0, true),
            (2, u32::MAX, true),
            (3, 0, false),
        ] {
            assert_eq!(revocations.revoked(session(n), ver), dead, "session {n}, generation {ver}");
        }
    }

    #[test]
    fn the_higher_generation_counts_in_whatever_order_and_map() {
        let revocations = Revocations::default();
        revocations.learn([(session(1), 5, 1000), (session(1), 3, 2000)], at(&revocations, 0));
        assert!(revocations.revoked(session(1), 4));
        revocations.learn((10..1000).map(|n| (session(n), 1, 1000)), at(&revocations, 0));
        revocations.learn([(session(1), 4, 3000), (session(10), 7, 1000)], at(&revocations, 0));
        assert!(revocations.revoked(session(1), 4) && revocations.revoked(session(10), 6));
        assert!(!revocations.revoked(session(1), 5) && !revocations.revoked(session(10), 7));
    }

    #[test]
    fn what_is_over_is_forgotten_and_what_comes_again_is_not_kept_twice() {
        let revocations = Revocations::default();
        let all = || (0..2000).map(|n| (session(n), 1, 1000 + n));
        for _ in 0..5 {
            revocations.learn(all(), at(&revocations, 0));
        }
        assert_eq!(revocations.len(), 2000);
        revocations.learn([], at(&revocations, SWEEP_MS - 1));
        assert_eq!(revocations.len(), 2000, "not swept yet");
        revocations.learn([], at(&revocations, SWEEP_MS));
        assert_eq!(revocations.len(), 0);
        revocations.learn([(session(1), 1, 0)], at(&revocations, SWEEP_MS));
        assert!(revocations.is_empty(), "what is over when it comes is not taken in");
    }

    #[test]
    fn small_news_leave_the_big_map_where_it_is() {
        let revocations = Revocations::default();
        revocations.learn((0..10_000).map(|n| (session(n), 1, 1000)), at(&revocations, 0));
        let big = revocations.snapshot.load().big.clone();
        assert_eq!(big.len(), 10_000);
        revocations.learn([(session(20_000), 1, 1000)], at(&revocations, 1));
        assert!(Arc::ptr_eq(&big, &revocations.snapshot.load().big));
        assert!(revocations.revoked(session(20_000), 0));
    }

    #[test]
    fn readers_see_every_revocation_whole_while_others_are_learnt() {
        let revocations = Revocations::default();
        revocations.learn([(session(0), 2, 1_000_000)], at(&revocations, 0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..3000 {
                    revocations.learn([(session(n), 1, 1_000_000)], at(&revocations, 0));
                    assert!(revocations.revoked(session(n), 0));
                }
            });
            for _ in 0..50_000 {
                assert!(revocations.revoked(session(0), 1) && !revocations.revoked(session(0), 2));
            }
        });
    }
}
