//! A circuit breaker: once a dependency has failed several times in a row, callers are refused at once instead of waiting
//! for the next time limit each, until a single probe gets through. After M. Nygard, "Release It!" (2nd ed., ch. 5).
//!
//! Shared by many tasks without a lock. Nothing here looks at a clock or rolls dice: both are passed in.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The state of one dependency as one process sees it.
#[derive(Debug)]
pub struct Breaker {
    /// Failures in a row at which it opens.
    threshold: u32,
    /// Longest rest after the first opening; it doubles with each probe that fails.
    first_rest_ms: u64,
    /// Longest rest at all.
    rest_max_ms: u64,
    failures: AtomicU32,
    /// Refused before this moment; 0: closed.
    open_until_ms: AtomicU64,
}

impl Breaker {
    /// A closed one.
    pub const fn new(threshold: u32, first_rest_ms: u64, rest_max_ms: u64) -> Self {
        let (failures, open_until_ms) = (AtomicU32::new(0), AtomicU64::new(0));
        Self { threshold, first_rest_ms, rest_max_ms, failures, open_until_ms }
    }

    /// Whether a call may be made at `now_ms` (any clock that does not go back). While it is open, one call after each rest
    /// is let through as a probe; the others are refused until that has succeeded, or is overdue itself.
    pub fn admits(&self, now_ms: u64) -> bool {
        let until = self.open_until_ms.load(Ordering::Acquire);
        if until == 0 {
            return true;
        }
        // Who moves the moment on is the probe.
        let next = now_ms + self.rest_max_ms;
        now_ms >= until
            && self.open_until_ms.compare_exchange(until, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The dependency has answered, whatever it said.
    pub fn succeeded(&self) {
        // Looked at first: the usual call finds nothing to write.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Release);
            self.open_until_ms.store(0, Ordering::Release);
        }
    }

    /// The dependency has not answered. `luck` is from 0 to 1: full jitter, so that processes that failed together do not
    /// come back together.
    pub fn failed(&self, now_ms: u64, luck: f64) {
        let failures = self.failures.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        let Some(beyond) = failures.checked_sub(self.threshold) else { return };
        let limit = self.first_rest_ms.saturating_mul(1 << beyond.min(20)).min(self.rest_max_ms);
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rest of some seconds in milliseconds"
        )]
        let rest = (limit as f64 * luck.clamp(0.0, 1.0)) as u64;
        self.open_until_ms.store(now_ms + rest.max(1), Ordering::Release);
    }

    /// Whether callers are refused.
    pub fn open(&self) -> bool {
        self.open_until_ms.load(Ordering::Relaxed) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_probe_through_at_a_time() {
        let breaker = Breaker::new(3, 100, 1000);
        for _ in 0..2 {
            breaker.failed(0, 1.0);
        }
        breaker.succeeded();
        for at in 0..3 {
            assert!(breaker.admits(at) && !breaker.open(), "a success in between starts the count anew");
            breaker.failed(at, 1.0);
        }
        assert!(breaker.open());
        assert!(!breaker.admits(101), "until 2 + 100");
        assert!(breaker.admits(102), "the probe");
        assert!(!breaker.admits(102) && !breaker.admits(1101), "nobody else meanwhile");
        breaker.failed(150, 1.0);
        assert!(!breaker.admits(349) && breaker.admits(350), "twice as long");
        assert!(breaker.admits(1350), "a probe that never came back is overdue");
        breaker.succeeded();
        assert!(breaker.admits(1351) && !breaker.open());
    }

    #[test]
    fn a_rest_is_jittered_and_bounded() {
        let rest = |failures: u32, luck: f64| {
            let breaker = Breaker::new(1, 100, 1000);
            (0..failures).for_each(|_| breaker.failed(5000, luck));
            (5000..).find(|&at| breaker.admits(at)).unwrap() - 5000
        };
        assert_eq!([rest(1, 1.0), rest(2, 1.0), rest(9, 1.0)], [100, 200, 1000]);
        assert_eq!([rest(1, 0.5), rest(1, 0.0), rest(200, 7.0)], [50, 1, 1000]);
    }

    #[test]
    fn of_many_at_once_one_is_the_probe() {
        let breaker = Breaker::new(1, 10, 60_000);
        breaker.failed(0, 1.0);
        let admitted = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..8).map(|_| scope.spawn(|| breaker.admits(10))).collect();
            tries.into_iter().map(|one| u32::from(one.join().unwrap())).sum::<u32>()
        });
        assert_eq!(admitted, 1);
    }
}
