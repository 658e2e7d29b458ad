//! Token buckets by GCRA: one atomic word holds the theoretical arrival time of the next conforming request.
//!
//! Source: ITU-T I.371 (virtual scheduling). A single bucket is [`Gcra`]; [`GcraTable`] keeps one a user or address in
//! bounded memory: a slot whose time has passed is a full bucket, so reusing it forgets nothing.

#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};

// Every interleaving of this file is run by model/loom.
#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};

use crate::rate_limit::Policy;

/// Requests a second, and how many may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Nanoseconds between two requests at the sustained rate; 0 = no limit.
    period_ns: u64,
    /// How far ahead of time a request may come.
    tolerance_ns: u64,
}

impl Quota {
    /// No limit at all.
    pub const OFF: Self = Self { period_ns: 0, tolerance_ns: 0 };

    /// `per_s` requests a second with bursts of `burst`; a rate of 0 is no limit.
    pub fn new(per_s: u32, burst: u32) -> Self {
        if per_s == 0 {
            return Self::OFF;
        }
        let period_ns = (1_000_000_000 / u64::from(per_s)).max(1);
        Self { period_ns, tolerance_ns: period_ns * u64::from(burst.max(1) - 1) }
    }

    /// One request every `ms` milliseconds; 0 is no limit.
    pub fn every_ms(ms: u64) -> Self {
        Self { period_ns: ms * 1_000_000, tolerance_ns: 0 }
    }

    /// `burst` requests at once, and after them one every `ms` milliseconds; 0 is no limit.
    pub fn burst_every_ms(burst: u32, ms: u64) -> Self {
        let period_ns = ms * 1_000_000;
        Self { period_ns, tolerance_ns: period_ns * u64::from(burst.max(1) - 1) }
    }

    /// The limit as clients are told of it.
    pub fn policy(&self, name: &'static str) -> Policy {
        let burst = self.burst();
        let window_s = (burst * self.period_ns).div_ceil(1_000_000_000).max(1);
        let fitted = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Policy { name, quota: fitted(burst), window_s: fitted(window_s) }
    }

    /// Whether this limits anything.
    pub fn on(&self) -> bool {
        self.period_ns != 0
    }

    /// How far ahead of now a bucket's time can come to lie: that of an empty bucket.
    fn furthest_ns(self) -> u64 {
        self.tolerance_ns.saturating_add(self.period_ns)
    }

    fn burst(self) -> u64 {
        self.tolerance_ns / self.period_ns.max(1) + 1
    }
}

/// A quota that may change while every core reads it: one word, so that a reader sees the old one or the new one and never the
/// period of one with the burst of the other. Reading it is one relaxed load and a multiplication.
#[derive(Debug)]
pub struct LiveQuota(AtomicU64);

/// Low bits of the word: the burst less one. The bits above are the period in nanoseconds.
const BURST_BITS: u32 = 28;
const BURST_MAX: u64 = 1 << BURST_BITS;
/// Over a minute.
const PERIOD_NS_MAX: u64 = u64::MAX >> BURST_BITS;

impl LiveQuota {
    /// Starts as `quota`.
    ///
    /// # Panics
    /// Where its period is longer than 68 s or its burst larger than 2^28.
    pub fn new(quota: Quota) -> Self {
        Self(AtomicU64::new(word(quota)))
    }

    /// The present quota.
    pub fn get(&self) -> Quota {
        let word = self.0.load(Ordering::Relaxed);
        let (period_ns, more) = (word >> BURST_BITS, word & (BURST_MAX - 1));
        Quota { period_ns, tolerance_ns: period_ns * more }
    }

    /// Replaces it; panics as [`LiveQuota::new`]. Buckets keep their state.
    pub fn set(&self, quota: Quota) {
        self.0.store(word(quota), Ordering::Relaxed);
    }
}

fn word(quota: Quota) -> u64 {
    let burst = quota.burst();
    assert!(quota.period_ns <= PERIOD_NS_MAX && burst <= BURST_MAX, "{quota:?} does not fit");
    quota.period_ns << BURST_BITS | (burst - 1)
}

/// A request that comes too early: when it may come again, in nanoseconds from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooEarly {
    /// Nanoseconds to wait.
    pub wait_ns: u64,
}

/// One bucket.
#[derive(Debug, Default)]
pub struct Gcra(AtomicU64);

impl Gcra {
    /// Takes one token at `now_ns`, or says how long to wait.
    pub fn take(&self, quota: Quota, now_ns: u64) -> Result<(), TooEarly> {
        if quota.on() { take(&self.0, quota, now_ns) } else { Ok(()) }
    }
}

/// Slots that one key may lie in.
const WAYS: usize = 8;

/// A bucket for each of many keys, in bounded memory. Lock-free; when all slots of a key's group are in use, the
/// one nearest to a full bucket is taken over, which errs on the side of letting a request through.
pub struct GcraTable {
    slots: Box<[Slot]>,
    mask: usize,
}

#[derive(Default)]
struct Slot {
    /// 0: free.
    key: AtomicU64,
    /// Theoretical arrival time, ns.
    time: AtomicU64,
}

impl GcraTable {
    /// A table of `slots` buckets (rounded up to a power of two, at least 8): 16 bytes each.
    pub fn new(slots: usize) -> Self {
        let slots = slots.max(WAYS).next_power_of_two();
        Self { slots: (0..slots).map(|_| Slot::default()).collect(), mask: slots - 1 }
    }

    /// Takes one token of the bucket of `hash` (well mixed, see [`mix`]) at `now_ns`.
    pub fn take(&self, hash: u64, quota: Quota, now_ns: u64) -> Result<(), TooEarly> {
        if !quota.on() {
            return Ok(());
        }
        let key = hash | 1; // never 0, the mark of a free slot
        let group = (hash >> 16) as usize & self.mask & !(WAYS - 1);
        let slots = &self.slots[group..group + WAYS];
        let slot = slots.iter().find(|slot| slot.key.load(Ordering::Relaxed) == key);
        take(&slot.unwrap_or_else(|| claim(slots, key, now_ns)).time, quota, now_ns)
    }
}

/// Spreads an id over 64 bits (the finaliser of splitmix64, Steele et al. 2014), salted so that tables differ.
pub fn mix(id: u64, salt: u64) -> u64 {
    let mut x = id.wrapping_add(salt).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Takes a free slot of the group, else the one whose bucket is nearest to full. Two cores may race for one key and give
/// it two slots for a moment, or one slot two keys: both let at most a burst too many through.
fn claim(slots: &[Slot], key: u64, now_ns: u64) -> &Slot {
    let mut oldest = &slots[0];
    for slot in slots {
        let held = slot.key.load(Ordering::Relaxed);
        let time = slot.time.load(Ordering::Relaxed);
        let spent = held == 0 || time <= now_ns;
        if spent && slot.key.compare_exchange(held, key, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            return slot;
        }
        if time < oldest.time.load(Ordering::Relaxed) {
            oldest = slot;
        }
    }
    oldest.key.store(key, Ordering::Relaxed);
    oldest.time.store(now_ns, Ordering::Relaxed);
    oldest
}

/// How far one core's reading of the clock may lag behind another's when both use a bucket.
const CLOCKS_APART_NS: u64 = 100_000_000;

/// A time further ahead than this quota ever puts one was left by a former quota. It is cut to that of an empty bucket, so that
/// a higher rate does not wait for what a lower one has promised. Within `CLOCKS_APART_NS` it may as well be the time that a
/// core has just written whose clock is ahead, and cutting that would give its token back.
fn take(time: &AtomicU64, quota: Quota, now_ns: u64) -> Result<(), TooEarly> {
    let mut seen = time.load(Ordering::Relaxed);
    loop {
        let due = seen.max(now_ns);
        let ahead = due - now_ns;
        if ahead > quota.tolerance_ns {
            if ahead > quota.furthest_ns().saturating_add(CLOCKS_APART_NS) {
                let empty = now_ns.saturating_add(quota.furthest_ns());
                let cut = time.compare_exchange_weak(seen, empty, Ordering::Relaxed, Ordering::Relaxed);
                seen = cut.map_or_else(|there| there, |_| empty);
                continue;
            }
            return Err(TooEarly { wait_ns: ahead - quota.tolerance_ns });
        }
        match time.compare_exchange_weak(seen, due + quota.period_ns, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Ok(()),
            Err(now_there) => seen = now_there,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use spike_domain::{Rate, RateLimits};

    use super::*;

    #[test]
    fn a_quota_is_told_as_a_burst_within_the_time_that_fills_it() {
        for (quota, burst, window_s) in [
            (Quota::new(10, 25), 25, 3),
            (Quota::new(100, 1), 1, 1),
            (Quota::every_ms(200), 1, 1),
            (Quota::every_ms(60_000), 1, 60),
        ] {
            assert_eq!(quota.policy("x"), Policy { name: "x", quota: burst, window_s }, "{quota:?}");
        }
    }

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let (bucket, quota) = (Gcra::default(), Quota::new(10, 3));
        for _ in 0..3 {
            assert_eq!(bucket.take(quota, S), Ok(()));
        }
        assert_eq!(bucket.take(quota, S), Err(TooEarly { wait_ns: S / 10 }));
        assert_eq!(bucket.take(quota, S + S / 10), Ok(()));
        assert!(bucket.take(quota, S + S / 10).is_err());
        assert_eq!(bucket.take(quota, 10 * S), Ok(()), "a long pause fills the bucket, not more");
    }

    #[test]
    fn a_live_quota_is_read_back_as_it_was_set() {
        let live = LiveQuota::new(Quota::OFF);
        for quota in [
            Quota::OFF,
            Quota::new(1, 1),
            Quota::new(1, Rate::BURST_MAX),
            Quota::new(Rate::PER_S_MAX, Rate::BURST_MAX),
            Quota::new(3, 7),
            Quota::every_ms(1),
            Quota::every_ms(u64::from(RateLimits::DEBOUNCE_MS_MAX)),
        ] {
            live.set(quota);
            assert_eq!(live.get(), quota);
        }
        let too_long = std::panic::catch_unwind(|| LiveQuota::new(Quota::every_ms(69_000)));
        assert!(too_long.is_err(), "never another quota than the one that was set");
    }

    #[test]
    fn a_reader_sees_one_quota_or_the_other() {
        let both = [Quota::new(1, 100_000), Quota::new(100_000, 1)];
        let live = LiveQuota::new(both[0]);
        std::thread::scope(|scope| {
            let reader = || (0..100_000).all(|_| both.contains(&live.get()));
            let readers = [scope.spawn(reader), scope.spawn(reader)];
            while !readers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                both.into_iter().for_each(|quota| live.set(quota));
            }
            assert!(readers.into_iter().all(|reader| reader.join().unwrap()));
        });
    }

    #[test]
    fn a_much_higher_rate_takes_effect_at_once() {
        let (slow, fast) = (Quota::new(1, 10), Quota::new(1000, 100));
        let (bucket, table) = (Gcra::default(), GcraTable::new(8));
        let of_bucket = |quota, now_ns| bucket.take(quota, now_ns);
        let of_table = |quota, now_ns| table.take(7, quota, now_ns);
        for take in [&of_bucket as &dyn Fn(Quota, u64) -> Result<(), TooEarly>, &of_table] {
            assert_eq!((0..10).filter(|_| take(slow, S).is_ok()).count(), 10);
            assert_eq!(take(slow, S), Err(TooEarly { wait_ns: S }));
            assert_eq!(
                take(fast, S),
                Err(TooEarly { wait_ns: S / 1000 }),
                "empty, and filled at the new rate"
            );
            assert_eq!(take(fast, S + S / 1000), Ok(()));
            assert_eq!(take(fast, S + S / 1000), Err(TooEarly { wait_ns: S / 1000 }));
            assert_eq!((0..200).filter(|_| take(fast, 2 * S).is_ok()).count(), 100, "and to the new burst");
        }
    }

    #[test]
    fn a_lower_rate_takes_effect_at_once_and_the_bucket_keeps_its_state() {
        let (bucket, fast, slow) = (Gcra::default(), Quota::new(1000, 100), Quota::new(1, 2));
        assert_eq!((0..100).filter(|_| bucket.take(fast, S).is_ok()).count(), 100);
        // The time is a tenth of a second ahead: one token of the new quota, less a tenth, is left.
        assert_eq!((0..5).filter(|_| bucket.take(slow, S).is_ok()).count(), 1);
        assert_eq!(bucket.take(slow, S), Err(TooEarly { wait_ns: S / 10 }));
        assert_eq!((0..5).filter(|_| bucket.take(slow, 2 * S).is_ok()).count(), 1);
        // While there is no limit nothing is taken; what was taken before is not forgotten.
        assert_eq!(bucket.take(Quota::OFF, 2 * S), Ok(()));
        assert!(bucket.take(slow, 2 * S).is_err());
    }

    #[test]
    fn a_long_debounce_that_is_shortened_lets_the_next_press_through() {
        let table = GcraTable::new(8);
        assert_eq!(table.take(7, Quota::every_ms(60_000), S), Ok(()));
        assert!(table.take(7, Quota::every_ms(60_000), S).is_err());
        assert_eq!(table.take(7, Quota::every_ms(200), S), Err(TooEarly { wait_ns: S / 5 }));
        assert_eq!(table.take(7, Quota::every_ms(200), S + S / 5), Ok(()));
    }

    #[test]
    fn a_core_whose_clock_is_behind_gives_no_token_back() {
        let (bucket, quota) = (Gcra::default(), Quota::new(100_000, 10));
        assert_eq!((0..100).filter(|_| bucket.take(quota, S).is_ok()).count(), 10);
        for behind in [1, 1000, CLOCKS_APART_NS] {
            assert!(bucket.take(quota, S - behind).is_err());
            assert!(bucket.take(quota, S).is_err(), "{behind} ns behind");
        }
    }

    #[test]
    fn no_limit_is_no_limit() {
        let (bucket, table) = (Gcra::default(), GcraTable::new(8));
        for _ in 0..1000 {
            assert_eq!(bucket.take(Quota::new(0, 0), 0), Ok(()));
            assert_eq!(table.take(7, Quota::OFF, 0), Ok(()));
        }
    }

    #[test]
    fn keys_do_not_share_a_bucket_and_the_table_stays_bounded() {
        let (table, quota) = (GcraTable::new(1024), Quota::every_ms(200));
        let keys: Vec<u64> = (0..64).map(|id| mix(id, 1)).collect();
        for &key in &keys {
            assert_eq!(table.take(key, quota, S), Ok(()));
        }
        let refused = keys.iter().filter(|&&key| table.take(key, quota, S).is_err()).count();
        assert_eq!(refused, keys.len(), "every key is remembered while there is room");
        for id in 0..100_000 {
            let _ = table.take(mix(id, 2), quota, S);
        }
        assert_eq!(table.slots.len(), 1024);
        assert_eq!(table.take(mix(1, 3), quota, 10 * S), Ok(()), "spent slots are reused");
    }

    #[test]
    fn many_threads_never_take_more_than_the_burst() {
        let (bucket, quota) = (Gcra::default(), Quota::new(1, 50));
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..1000).filter(|_| bucket.take(quota, S).is_ok()).count()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 50);
    }
}
