//! Tries that have failed, by key, and how long the next one must wait: pure decisions over one word a key, in bounded
//! memory without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// How tries are slowed down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Tries that cost no wait.
    pub free: u32,
    /// Wait after the last of them; it doubles with each further one. Milliseconds.
    pub first_ms: u64,
    /// Longest wait, in milliseconds; 0: no wait at all.
    pub most_ms: u64,
    /// A try is forgotten for each of these that pass without one, in milliseconds.
    pub forget_ms: u64,
}

/// What is remembered of one key: how many tries count, and when the last one was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tries {
    count: u32,
    last_ms: u64,
}

/// Bits of a word that hold the moment: enough for 8,900 years of milliseconds.
const MOMENT_BITS: u32 = 48;
/// The most tries that fit beside it.
const COUNT_MAX: u32 = u16::MAX as u32;

impl Tries {
    /// A mark of that moment.
    pub fn at(now_ms: u64) -> Self {
        Self { count: 1, last_ms: now_ms }
    }

    /// When the last try was; `None` where there was none.
    pub fn last_ms(self) -> Option<u64> {
        (self.count > 0).then_some(self.last_ms)
    }

    /// The wait that follows the last try, in milliseconds.
    pub fn delay_ms(self, pace: Pace) -> u64 {
        match self.count.checked_sub(pace.free) {
            Some(beyond) if self.count > 0 => {
                pace.first_ms.saturating_mul(1 << beyond.min(32)).min(pace.most_ms)
            }
            _ => 0,
        }
    }

    /// What is left of that wait. A clock that was set back makes nobody wait longer than the delay.
    pub fn wait_ms(self, pace: Pace, now_ms: u64) -> u64 {
        let delay = self.delay_ms(pace);
        (self.last_ms + delay).saturating_sub(now_ms).min(delay)
    }

    /// One more, after some may have been forgotten.
    #[must_use]
    pub fn and_one(self, pace: Pace, now_ms: u64) -> Self {
        let idle_ms = now_ms.saturating_sub(self.last_ms + self.delay_ms(pace));
        let forgotten = u32::try_from(idle_ms / pace.forget_ms.max(1)).unwrap_or(u32::MAX);
        let count = (self.count.saturating_sub(forgotten) + 1).min(COUNT_MAX);
        Self { count, last_ms: now_ms }
    }

    /// One less: it did not fail after all.
    #[must_use]
    pub fn less_one(self) -> Self {
        Self { count: self.count.saturating_sub(1), ..self }
    }

    fn word(self) -> u64 {
        if self.count == 0 {
            return 0;
        }
        u64::from(self.count.min(COUNT_MAX)) << MOMENT_BITS | (self.last_ms & ((1 << MOMENT_BITS) - 1))
    }

    fn of(word: u64) -> Self {
        let count = u32::try_from(word >> MOMENT_BITS).expect("16 bits are left");
        Self { count, last_ms: word & ((1 << MOMENT_BITS) - 1) }
    }
}

/// Slots that one key may lie in.
const WAYS: usize = 8;

/// Tries of many keys. When all slots of a key's group are in use, the key whose last try is the oldest is forgotten,
/// which errs on the side of letting somebody through.
pub struct TriesTable {
    slots: Box<[Slot]>,
    mask: usize,
}

#[derive(Default)]
struct Slot {
    key: AtomicU64,
    word: AtomicU64,
}

impl TriesTable {
    /// A table of `slots` keys (rounded up to a power of two, at least 8): 16 bytes each.
    pub fn new(slots: usize) -> Self {
        let slots = slots.max(WAYS).next_power_of_two();
        Self { slots: (0..slots).map(|_| Slot::default()).collect(), mask: slots - 1 }
    }

    /// What is remembered of a key, given as its hash by a function that nobody outside can foresee.
    pub fn get(&self, hash: u64) -> Tries {
        let (key, slots) = self.group(hash);
        let slot = slots.iter().find(|slot| slot.key.load(Ordering::Acquire) == key);
        slot.map_or_else(Tries::default, |slot| Tries::of(slot.word.load(Ordering::Acquire)))
    }

    /// Changes what is remembered of a key.
    pub fn change(&self, hash: u64, change: impl Fn(Tries) -> Tries) {
        let (key, slots) = self.group(hash);
        let slot = slots.iter().find(|slot| slot.key.load(Ordering::Acquire) == key);
        let slot = slot.unwrap_or_else(|| claim(slots, key));
        let changed = |word| Some(change(Tries::of(word)).word());
        let _ = slot.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, changed);
    }

    fn group(&self, hash: u64) -> (u64, &[Slot]) {
        let key = hash | 1; // never 0, the mark of a free slot
        let first = (hash >> 16) as usize & self.mask & !(WAYS - 1);
        (key, &self.slots[first..first + WAYS])
    }
}

/// The emptiest slot of a group. Two threads may race for it: then one of two tries is not counted.
fn claim(slots: &[Slot], key: u64) -> &Slot {
    let age = |slot: &&Slot| Tries::of(slot.word.load(Ordering::Relaxed)).last_ms;
    let slot = slots.iter().min_by_key(age).expect("a group is never empty");
    slot.key.store(key, Ordering::Release);
    slot.word.store(0, Ordering::Release);
    slot
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { free: 3, first_ms: 1000, most_ms: 30_000, forget_ms: 60_000 };

    #[test]
    fn waits_grow_from_the_first_that_is_not_free_up_to_the_longest() {
        let (mut tries, mut now_ms, mut waits) = (Tries::default(), 1_000_000, Vec::new());
        for _ in 0..10 {
            now_ms += tries.wait_ms(PACE, now_ms);
            tries = tries.and_one(PACE, now_ms);
            waits.push(tries.wait_ms(PACE, now_ms) / 1000);
        }
        assert_eq!(waits, [0, 0, 1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn tries_are_forgotten_one_by_one_and_given_back() {
        let mut tries = Tries::default();
        for _ in 0..5 {
            tries = tries.and_one(PACE, 1_000_000);
        }
        assert_eq!(tries.delay_ms(PACE), 4000);
        assert_eq!(tries.less_one().delay_ms(PACE), 2000);
        let later = tries.and_one(PACE, 1_000_000 + 4000 + 2 * PACE.forget_ms);
        assert_eq!(later.delay_ms(PACE), 2000, "five, less two, and one");
        assert_eq!(tries.and_one(PACE, u64::MAX >> 20).delay_ms(PACE), 0, "all forgotten");
    }

    #[test]
    fn a_clock_set_back_makes_nobody_wait_longer() {
        let mut tries = Tries::default();
        for _ in 0..4 {
            tries = tries.and_one(PACE, 10_000_000);
        }
        assert_eq!(tries.wait_ms(PACE, 1), 2000);
        assert_eq!(Pace { most_ms: 0, ..PACE }, Pace { most_ms: 0, ..PACE });
        assert_eq!(tries.wait_ms(Pace { most_ms: 0, ..PACE }, 10_000_000), 0, "switched off");
    }

    #[test]
    fn a_word_holds_what_was_put_in() {
        for tries in [Tries::default(), Tries::at(1_763_800_000_123), Tries { count: COUNT_MAX, last_ms: 1 }]
        {
            assert_eq!(Tries::of(tries.word()), tries);
        }
        let full = Tries { count: COUNT_MAX, last_ms: 5 }.and_one(PACE, 5);
        assert_eq!(full.count, COUNT_MAX, "no overflow");
    }

    #[test]
    fn a_table_stays_bounded_and_forgets_the_oldest_first() {
        let table = TriesTable::new(8);
        for key in 0..8_u64 {
            table.change(key * 2, |tries| tries.and_one(PACE, 100 + key));
        }
        table.change(1000, |_| Tries::at(500));
        assert_eq!(table.get(0), Tries::default(), "the oldest made room");
        for key in 1..8_u64 {
            assert_eq!(table.get(key * 2).last_ms(), Some(100 + key));
        }
        assert_eq!((table.get(1000).last_ms(), table.get(7777).last_ms()), (Some(500), None));
    }

    #[test]
    fn tries_at_once_are_all_counted() {
        let table = TriesTable::new(64);
        table.change(42, |_| Tries::at(1));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| table.change(42, |tries| tries.and_one(PACE, 1))));
            }
        });
        assert_eq!(table.get(42).count, 4001);
    }
}
