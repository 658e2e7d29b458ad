//! Which traces begun here are recorded, and whether any is.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is recorded. As text `off`, or a number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// Nothing: no trace begun here, none that a client or another process records, and nothing that failed or was slow.
    Off,
    /// This part of the traces begun here, 0 to 1, and what is asked for or kept besides. Decided by the trace's id as
    /// OpenTelemetry's `TraceIdRatioBased` does, so that services that record the same part record the same traces.
    Part(f64),
}

/// Read on every buy, written by an operator.
#[derive(Debug)]
pub(crate) struct AtomicSampling(AtomicU64);

/// No part has these bits: they are a NaN's.
const OFF: u64 = u64::MAX;

impl Sampling {
    /// Whether a trace begun here whose id ends in these bits is recorded.
    #[inline]
    pub(crate) fn takes(self, trace_id_low: u64) -> bool {
        match self {
            Self::Off => false,
            Self::Part(part) => trace_id_low >> 1 < bound(part),
        }
    }
}

/// Of 2^63.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "from 0 to 2^63"
)]
fn bound(part: f64) -> u64 {
    (part * (1u64 << 63) as f64) as u64
}

impl AtomicSampling {
    pub(crate) fn new(sampling: Sampling) -> Self {
        let new = Self(AtomicU64::new(OFF));
        new.set(sampling);
        new
    }

    #[inline]
    pub(crate) fn get(&self) -> Sampling {
        match self.0.load(Ordering::Relaxed) {
            OFF => Sampling::Off,
            bits => Sampling::Part(f64::from_bits(bits)),
        }
    }

    /// What is beyond 0 to 1 counts as the nearer one.
    pub(crate) fn set(&self, sampling: Sampling) {
        let bits = match sampling {
            Sampling::Off => OFF,
            Sampling::Part(part) => part.clamp(0.0, 1.0).to_bits(),
        };
        self.0.store(bits, Ordering::Relaxed);
    }
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Part(part) => write!(f, "{part}"),
        }
    }
}

impl FromStr for Sampling {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let part = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
        part.map(Self::Part).ok_or_else(|| format!("{text:?} is neither off nor a number from 0 to 1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_taken_and_the_bounds_take_all_or_nothing() {
        fastrand::seed(7);
        for part in [0.01, 0.3, 0.999] {
            let taken = (0..20_000).filter(|_| Sampling::Part(part).takes(fastrand::u64(..))).count();
            assert!(
                (f64::from(u32::try_from(taken).unwrap()) / 20_000.0 - part).abs() < 0.02,
                "{part}: {taken}"
            );
        }
        assert!(Sampling::Part(1.0).takes(u64::MAX) && !Sampling::Part(0.0).takes(0));
        assert!(!Sampling::Off.takes(0));
    }

    #[test]
    fn it_is_kept_as_one_word_and_read_as_it_is_written() {
        let kept = AtomicSampling::new(Sampling::Part(7.0));
        assert_eq!(kept.get(), Sampling::Part(1.0));
        for text in ["off", "0", "0.01", "0.0001", "1"] {
            let sampling: Sampling = text.parse().unwrap();
            kept.set(sampling);
            assert_eq!((kept.get(), kept.get().to_string().as_str()), (sampling, text));
        }
        for bad in ["", "on", "-0.1", "1.01", "NaN", "inf", "Off"] {
            assert!(bad.parse::<Sampling>().unwrap_err().contains("neither off nor"), "{bad}");
        }
    }
}
