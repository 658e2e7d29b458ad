//! Whether what is kept may still be shown: the decision, without a clock.

use std::time::Duration;

/// What an entry is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It is shown.
    Fresh,
    /// It is shown, and read anew meanwhile.
    Stale,
    /// It is as if it were not there.
    Gone,
}

/// How long an entry is fresh, and how long stale after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lives {
    /// From when it was read.
    pub fresh: Duration,
    /// From when it stopped being fresh.
    pub stale: Duration,
}

impl Lives {
    /// Of an entry read `age` ago. What was read in another generation, before the last change, is gone at any age: a
    /// reader who was slow cannot bring the past back.
    pub fn judge(self, generation: u64, generation_now: u64, age: Duration) -> Freshness {
        if generation != generation_now {
            Freshness::Gone
        } else if age < self.fresh {
            Freshness::Fresh
        } else if age < self.fresh + self.stale {
            Freshness::Stale
        } else {
            Freshness::Gone
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_ages_and_a_change_ends_it() {
        let ms = Duration::from_millis;
        let lives = Lives { fresh: ms(1000), stale: ms(500) };
        for (age, want) in [
            (0, Freshness::Fresh),
            (999, Freshness::Fresh),
            (1000, Freshness::Stale),
            (1499, Freshness::Stale),
            (1500, Freshness::Gone),
            (u64::MAX, Freshness::Gone),
        ] {
            assert_eq!(lives.judge(7, 7, ms(age)), want, "{age} ms");
            assert_eq!(lives.judge(7, 8, ms(age)), Freshness::Gone, "{age} ms, changed since");
            assert_eq!(lives.judge(8, 7, ms(age)), Freshness::Gone, "{age} ms, of another generation");
        }
        let never = Lives { fresh: ms(0), stale: ms(0) };
        assert_eq!(never.judge(1, 1, ms(0)), Freshness::Gone);
    }
}
