//! A line of the log that may be written only so often: what a hot core says when everything fails at once.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

/// Lets so many pass in a while, and counts those it keeps back. Where several threads come at once it may let one too many
/// pass; it never waits.
#[derive(Debug)]
pub struct Seldom {
    passes: u32,
    while_ms: u64,
    /// Number of the while, plus 1.
    current: AtomicU64,
    passed: AtomicU32,
    suppressed: AtomicU64,
}

impl Seldom {
    /// `passes` in each `while_ms` milliseconds.
    pub const fn new(passes: u32, while_ms: u64) -> Self {
        Self {
            passes,
            while_ms,
            current: AtomicU64::new(0),
            passed: AtomicU32::new(0),
            suppressed: AtomicU64::new(0),
        }
    }

    /// Whether a line may be written at `now_ms`, and how many were kept back since the last one.
    pub fn pass(&self, now_ms: u64) -> Option<u64> {
        let now = now_ms / self.while_ms + 1;
        if self.current.swap(now, Ordering::Relaxed) != now {
            self.passed.store(0, Ordering::Relaxed);
        }
        if self.passed.load(Ordering::Relaxed) >= self.passes {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.passed.fetch_add(1, Ordering::Relaxed);
        Some(self.suppressed.swap(0, Ordering::Relaxed))
    }

    /// The same by the process's own clock.
    pub fn pass_now(&self) -> Option<u64> {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        self.pass(u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_pass_in_a_while_and_the_next_one_tells_how_many_did_not() {
        let seldom = Seldom::new(2, 1000);
        let passed: Vec<_> = [0, 10, 20, 999, 1000, 1001, 1002, 3000].map(|now| seldom.pass(now)).into();
        let none = None;
        assert_eq!(passed, [Some(0), Some(0), none, none, Some(2), Some(0), none, Some(1)]);
        assert_eq!(Seldom::new(0, 1000).pass(5), None);
    }
}
