//! The clock of the sale: this process's monotonic clock plus an offset to Redis TIME.
//!
//! Every gateway that asks the same Redis opens and closes a window at the same moment, and a wall clock that is set by
//! ten minutes changes nothing.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Monotonic time since the process's start, and the offset that makes Unix time of it.
#[derive(Debug)]
pub struct SaleClock {
    start: Instant,
    /// Unix milliseconds at `start`, as far as known.
    unix_at_start_ms: AtomicI64,
}

/// One reading of the clock.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// Nanoseconds since the process's start: for buckets and flags.
    pub mono_ns: u64,
    /// Unix milliseconds: for windows and tokens.
    pub unix_ms: u64,
}

impl Reading {
    /// Milliseconds since the process's start.
    pub fn mono_ms(&self) -> u64 {
        self.mono_ns / 1_000_000
    }

    /// Unix seconds.
    pub fn unix_s(&self) -> u64 {
        self.unix_ms / 1000
    }
}

impl SaleClock {
    /// A clock that shows `unix_ms` now, until [`SaleClock::learn`] says better.
    pub fn new(unix_ms: u64) -> Self {
        Self { start: Instant::now(), unix_at_start_ms: AtomicI64::new(signed(unix_ms)) }
    }

    /// Reads the clock once; ~25 ns.
    pub fn read(&self) -> Reading {
        let since = self.start.elapsed();
        let unix = self.unix_at_start_ms.load(Ordering::Relaxed).saturating_add(signed(millis(since)));
        Reading {
            mono_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            unix_ms: u64::try_from(unix).unwrap_or(0),
        }
    }

    /// Nanoseconds since the process's start, alone.
    #[inline]
    pub fn mono_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Sets the offset from one exchange with Redis: its TIME in Unix ms, asked at `asked` and answered at `answered`.
    /// Half the round trip is the error made.
    pub fn learn(&self, redis_unix_ms: u64, asked: Instant, answered: Instant) {
        let middle = asked + answered.saturating_duration_since(asked) / 2;
        let since_start = signed(millis(middle.saturating_duration_since(self.start)));
        self.unix_at_start_ms.store(signed(redis_unix_ms) - since_start, Ordering::Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_follows_redis_and_not_the_wall() {
        let clock = SaleClock::new(5_000);
        assert!((5_000..6_000).contains(&clock.read().unix_ms));
        let asked = Instant::now();
        clock.learn(1_000_000, asked, asked + Duration::from_millis(20));
        let shown = clock.read().unix_ms;
        assert!((999_985..1_001_000).contains(&shown), "{shown}");
    }
}
