//! The sold-out flag: one atomic word that lets a core refuse a buy before any other work.
//!
//! It may lie, so it is bounded (I8): set only by a reply of the ledger whose version is not older than the one known,
//! cleared by a higher version (the follower saw a release), and after [`SoldOutFlag`]'s life one request goes through
//! as a probe. If no reply confirms the flag while that probe is out, it lapses: a dependency that is down never
//! reads as "sold out". Longest lie: life + probe, below one second.

#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};

// Every interleaving of this file is run by model/loom.
#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
use spike_domain::mutant::{self, Mutant};

/// Bits of the packed word: version (28), until in ms since the process's start (35, one year), probing (1).
const UNTIL_BITS: u32 = 35;
const UNTIL_MASK: u64 = (1 << UNTIL_BITS) - 1;
const VERSION_MAX: u64 = (1 << 28) - 1;

/// How long others wait behind a probe before the flag lapses, in ms.
pub const PROBE_MS: u64 = 400;

/// What the flag says to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sale {
    /// Go on to the ledger.
    Selling,
    /// Refuse at once.
    SoldOut,
}

/// A sold-out flag of one event and epoch, shared by all cores.
#[derive(Debug)]
pub struct SoldOutFlag {
    word: AtomicU64,
    life_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Word {
    version: u64,
    /// 0: selling. Otherwise sold out until this moment.
    until: u64,
    probing: bool,
}

impl SoldOutFlag {
    /// A flag that says selling; a set flag lives `life_ms` before it is probed.
    pub fn new(life_ms: u64) -> Self {
        Self { word: AtomicU64::new(0), life_ms }
    }

    /// What this request is to do at `now_ms` (since the process's start). After the flag's life exactly one caller is
    /// let through as the probe.
    pub fn ask(&self, now_ms: u64) -> Sale {
        let seen = self.word.load(Ordering::Relaxed);
        let word = unpack(seen);
        if word.until == 0 {
            return Sale::Selling;
        }
        if now_ms < word.until {
            return Sale::SoldOut;
        }
        let next = if word.probing {
            Word { until: 0, probing: false, ..word } // nobody confirmed it in time
        } else {
            Word { until: now_ms + PROBE_MS, probing: true, ..word }
        };
        let won = self.word.compare_exchange(seen, pack(next), Ordering::AcqRel, Ordering::Relaxed).is_ok();
        // Who loses the race asks the word that won it; it is fresh, so this ends.
        if won { Sale::Selling } else { self.ask(now_ms) }
    }

    /// Whether [`Self::ask`] would say sold out, without being let through as the probe.
    pub fn certain(&self, now_ms: u64) -> bool {
        now_ms < unpack(self.word.load(Ordering::Relaxed)).until
    }

    /// A reply of the ledger at `version` left no stock.
    pub fn set(&self, version: u64, now_ms: u64) {
        self.change(|word| {
            let version = version.min(VERSION_MAX);
            (version >= word.version).then_some(Word {
                version,
                until: now_ms + self.life_ms,
                probing: false,
            })
        });
    }

    /// The ledger was seen at `version` with stock left. An older version than the one known says nothing.
    pub fn clear(&self, version: u64) {
        self.change(|word| {
            let version = version.min(VERSION_MAX);
            let news = version > word.version || (version == word.version && word.until != 0);
            #[cfg(not(loom))]
            let news = news || mutant::on(Mutant::UnversionedClear);
            news.then_some(Word { version, until: 0, probing: false })
        });
    }

    /// The ledger was seen at `version`, stock unknown: a higher version means a release.
    pub fn observe(&self, version: u64) {
        self.change(|word| {
            let version = version.min(VERSION_MAX);
            (version > word.version).then_some(Word { version, until: 0, probing: false })
        });
    }

    /// The ledger could not be asked: nobody knows whether it is sold out, so the flag says nothing.
    pub fn lapse(&self) {
        self.change(|word| (word.until != 0).then_some(Word { until: 0, probing: false, ..word }));
    }

    fn change(&self, next: impl Fn(Word) -> Option<Word>) {
        // Fails only when `next` sees nothing to change, which is no failure.
        let _ =
            self.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |seen| next(unpack(seen)).map(pack));
    }
}

fn pack(word: Word) -> u64 {
    assert!(word.version <= VERSION_MAX, "the flag's version is bounded before it is packed");
    (word.version << (UNTIL_BITS + 1)) | ((word.until & UNTIL_MASK) << 1) | u64::from(word.probing)
}

fn unpack(bits: u64) -> Word {
    Word { version: bits >> (UNTIL_BITS + 1), until: (bits >> 1) & UNTIL_MASK, probing: bits & 1 == 1 }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_probe_goes_through_after_the_life_and_a_reply_confirms() {
        let flag = SoldOutFlag::new(500);
        assert_eq!(flag.ask(10), Sale::Selling);
        flag.set(3, 1000);
        assert_eq!((flag.ask(1000), flag.ask(1499)), (Sale::SoldOut, Sale::SoldOut));
        assert_eq!((flag.certain(1499), flag.certain(1500), flag.certain(1500)), (true, false, false));
        assert_eq!(flag.ask(1500), Sale::Selling, "the probe, which nobody has used up by looking");
        assert_eq!(flag.ask(1501), Sale::SoldOut, "everyone behind the probe");
        flag.set(3, 1510);
        assert_eq!(flag.ask(2009), Sale::SoldOut);
    }

    #[test]
    fn an_unanswered_probe_lapses_the_flag_within_a_second() {
        let flag = SoldOutFlag::new(500);
        flag.set(1, 1000);
        assert_eq!(flag.ask(1500), Sale::Selling);
        assert_eq!(flag.ask(1899), Sale::SoldOut);
        for _ in 0..3 {
            assert_eq!(flag.ask(1900), Sale::Selling, "900 ms after the last reply it says nothing any more");
        }
    }

    #[test]
    fn a_ledger_that_cannot_be_asked_is_not_sold_out() {
        let flag = SoldOutFlag::new(500);
        flag.set(4, 1000);
        flag.lapse();
        assert_eq!(flag.ask(1001), Sale::Selling);
        flag.set(3, 1002);
        assert_eq!(flag.ask(1003), Sale::Selling, "the version known is still known");
    }

    #[test]
    fn only_versions_that_are_not_older_count() {
        let flag = SoldOutFlag::new(500);
        flag.set(5, 1000);
        flag.observe(5);
        flag.clear(4);
        assert_eq!(flag.ask(1001), Sale::SoldOut);
        flag.observe(6);
        assert_eq!(flag.ask(1002), Sale::Selling);
        flag.set(5, 1003);
        assert_eq!(flag.ask(1004), Sale::Selling, "a reply from before the release sets nothing");
        flag.set(6, 1005);
        assert_eq!(flag.ask(1006), Sale::SoldOut);
        flag.clear(6);
        assert_eq!(flag.ask(1007), Sale::Selling);
    }

    #[test]
    fn a_version_beyond_the_word_saturates() {
        let flag = SoldOutFlag::new(500);
        flag.set(u64::MAX, 1000);
        assert_eq!(flag.ask(1001), Sale::SoldOut);
        flag.clear(u64::MAX);
        assert_eq!(flag.ask(1001), Sale::Selling);
    }
}
