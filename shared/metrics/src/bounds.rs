//! The upper bounds of a histogram's buckets, in whole units, so that sorting a value in needs no floating point.

use std::time::Duration;

/// What the bounds count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds here, seconds in the exposition.
    Nanoseconds,
    /// Things.
    Things,
}

/// Upper bounds, each inclusive, rising; what is above the last one is in the bucket `+Inf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The bounds.
    pub upper: &'static [u64],
    /// Their unit.
    pub unit: Unit,
}

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

/// Requests: five buckets a decade from 50 µs to 10 s, with the objectives (10, 50 and 200 ms) among the bounds, so that a
/// quantile is off by less than one bucket, a factor of two at most.
pub const LATENCY: Bounds = nanoseconds(&[
    20 * US,
    50 * US,
    70 * US,
    100 * US,
    200 * US,
    300 * US,
    500 * US,
    700 * US,
    MS,
    2 * MS,
    3 * MS,
    5 * MS,
    7 * MS,
    10 * MS,
    20 * MS,
    30 * MS,
    50 * MS,
    70 * MS,
    100 * MS,
    200 * MS,
    300 * MS,
    500 * MS,
    700 * MS,
    S,
    2 * S,
    3 * S,
    5 * S,
    7 * S,
    10 * S,
]);

/// Steps of a request, which begin below a microsecond.
pub const STEP: Bounds = nanoseconds(&[
    100,
    200,
    500,
    US,
    2 * US,
    5 * US,
    10 * US,
    20 * US,
    50 * US,
    100 * US,
    200 * US,
    500 * US,
    MS,
    2 * MS,
    5 * MS,
    10 * MS,
    20 * MS,
    50 * MS,
    100 * MS,
    200 * MS,
    500 * MS,
    S,
    10 * S,
]);

/// Calls of servers and of the control API: three buckets a decade.
pub const CALL: Bounds = nanoseconds(&[
    100 * US,
    200 * US,
    500 * US,
    MS,
    2 * MS,
    5 * MS,
    10 * MS,
    20 * MS,
    50 * MS,
    100 * MS,
    200 * MS,
    500 * MS,
    S,
    2 * S,
    5 * S,
    10 * S,
]);

/// How long an order is on its way, up to what an outage costs.
pub const AGE: Bounds = nanoseconds(&[
    MS,
    2 * MS,
    5 * MS,
    10 * MS,
    20 * MS,
    50 * MS,
    100 * MS,
    200 * MS,
    500 * MS,
    S,
    2 * S,
    5 * S,
    10 * S,
    30 * S,
    60 * S,
    300 * S,
    3600 * S,
]);

/// How many there are in a batch.
pub const BATCH: Bounds =
    Bounds { upper: &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096], unit: Unit::Things };

const fn nanoseconds(upper: &'static [u64]) -> Bounds {
    Bounds { upper, unit: Unit::Nanoseconds }
}

impl Bounds {
    /// Buckets, the one without a bound included.
    pub const fn buckets(&self) -> usize {
        self.upper.len() + 1
    }

    /// The bucket of a value.
    #[inline]
    pub fn bucket_of(&self, value: u64) -> usize {
        self.upper.partition_point(|upper| *upper < value)
    }

    /// A value as the exposition writes it.
    #[allow(clippy::cast_precision_loss, reason = "nanoseconds of less than a hundred days are exact")]
    pub fn shown(&self, value: u64) -> f64 {
        match self.unit {
            Unit::Nanoseconds => value as f64 / 1e9,
            Unit::Things => value as f64,
        }
    }
}

/// A duration in the unit of the bounds; at most 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_rise_and_hold_their_own_value() {
        for bounds in [LATENCY, STEP, CALL, AGE, BATCH] {
            assert!(bounds.upper.windows(2).all(|pair| pair[0] < pair[1]), "{bounds:?}");
            for (at, &upper) in bounds.upper.iter().enumerate() {
                assert_eq!((bounds.bucket_of(upper), bounds.bucket_of(upper + 1)), (at, at + 1));
            }
            assert_eq!(bounds.bucket_of(0), 0);
            assert_eq!(bounds.bucket_of(u64::MAX), bounds.buckets() - 1);
        }
    }

    #[test]
    fn a_quantile_of_requests_is_close_from_50_us_to_10_s() {
        let of_interest = LATENCY.upper.iter().skip_while(|upper| **upper < 50 * US);
        let upper: Vec<u64> = of_interest.copied().collect();
        assert_eq!((upper.first(), upper.last()), (Some(&(50 * US)), Some(&(10 * S))));
        assert!(upper.windows(2).all(|pair| pair[1] <= 2 * pair[0]), "{upper:?}");
        for objective in [10 * MS, 50 * MS, 200 * MS] {
            assert!(upper.contains(&objective), "{objective}");
        }
    }

    #[test]
    fn seconds_are_written_as_seconds() {
        assert_eq!(LATENCY.shown(50 * US).to_string(), "0.00005");
        assert_eq!(STEP.shown(100).to_string(), "0.0000001");
        assert_eq!(BATCH.shown(128).to_string(), "128");
    }
}
