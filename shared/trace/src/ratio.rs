//! Which traces begun here are recorded.

/// A part of all traces, decided by the trace's id as OpenTelemetry's `TraceIdRatioBased` does, so that services that
/// record the same part record the same traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    /// Of 2^63.
    bound: u64,
}

impl Ratio {
    /// `part` from 0 to 1; what is beyond counts as the nearer one.
    pub fn new(part: f64) -> Self {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "from 0 to 2^63"
        )]
        Self { bound: (part.clamp(0.0, 1.0) * (1u64 << 63) as f64) as u64 }
    }

    /// Whether a trace whose id ends in these bits is recorded.
    #[inline]
    pub fn takes(self, trace_id_low: u64) -> bool {
        trace_id_low >> 1 < self.bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_takes_its_part_and_the_bounds_take_all_or_nothing() {
        fastrand::seed(7);
        for part in [0.01, 0.3, 0.999] {
            let taken = (0..20_000).filter(|_| Ratio::new(part).takes(fastrand::u64(..))).count();
            assert!(
                (f64::from(u32::try_from(taken).unwrap()) / 20_000.0 - part).abs() < 0.02,
                "{part}: {taken}"
            );
        }
        assert!(Ratio::new(1.0).takes(u64::MAX) && !Ratio::new(0.0).takes(0));
        assert_eq!((Ratio::new(7.0), Ratio::new(-1.0)), (Ratio::new(1.0), Ratio::new(0.0)));
    }
}
