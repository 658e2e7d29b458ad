//! How long to wait before trying again: capped exponential, full jitter, so that many who failed together do not come
//! back together (after "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

use std::time::Duration;

/// A run of failures and the waits between them.
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// The first wait is at most `base`; the limit doubles with every failure up to `cap`.
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, failures: 0 }
    }

    /// Counts a failure and says how long to wait now: anything from half a millisecond to the present limit.
    pub fn next_wait(&mut self) -> Duration {
        let limit = self.limit();
        self.failures = self.failures.saturating_add(1);
        limit.mul_f64(fastrand::f64()).max(Duration::from_micros(500))
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// A success: the next wait is a first one again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    fn limit(&self) -> Duration {
        self.base.saturating_mul(1 << self.failures.min(20)).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_doubles_up_to_the_cap_and_a_success_starts_over() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(1000));
        for limit_ms in [100, 200, 400, 800, 1000, 1000] {
            assert_eq!(backoff.limit(), Duration::from_millis(limit_ms));
            assert!(backoff.next_wait() <= Duration::from_millis(limit_ms));
        }
        assert_eq!(backoff.failures(), 6);
        for _ in 0..100 {
            backoff.next_wait();
        }
        assert_eq!(backoff.limit(), Duration::from_millis(1000));
        backoff.reset();
        assert_eq!(backoff.limit(), Duration::from_millis(100));
    }
}
