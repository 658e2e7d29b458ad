//! Axes: from values to places, and the ticks between.

/// How an axis is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Evenly, from zero.
    Linear,
    /// By powers of ten; only values above zero have a place.
    Log,
}

/// An axis with its bounds: ticks on a linear axis, 1, 2 or 5 times a power of ten on the other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    /// The distance of the ticks of a linear axis.
    pub(super) step: f64,
}

impl Axis {
    /// An axis that has a place for each of `values`.
    pub(super) fn over(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values
            .filter(|value| has_place(scale, *value))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        match scale {
            Scale::Linear => {
                let (low, high) = (low.min(0.0), high.max(0.0));
                let high = if high > low { high } else { low + 1.0 };
                let step = round_up((high - low) / 4.0);
                let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
                Self { scale, low: first * step, high: last * step, step }
            }
            Scale::Log if low > high => Self { scale, low: 1.0, high: 10.0, step: 1.0 },
            Scale::Log => {
                let (low, high) = (round_down(low), round_up(high));
                Self { scale, low, high: if high > low { high } else { high * 10.0 }, step: 1.0 }
            }
        }
    }

    /// An axis of time from 0 to exactly `high`.
    pub(super) fn time(high: f64) -> Self {
        let high = if high > 0.0 { high } else { 1.0 };
        Self { scale: Scale::Linear, low: 0.0, high, step: round_up(high / 6.0) }
    }

    /// Where `value` is, from 0 at the low end to 1 at the high one; `None` when it has no place.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        has_place(self.scale, value).then(|| match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).log10() / (self.high / self.low).log10(),
        })
    }

    /// The values that are named, ascending.
    pub(super) fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let first = (self.low / self.step - 1e-9).ceil();
                (0..64)
                    .map(|at| (first + f64::from(at)) * self.step)
                    .take_while(|tick| *tick <= self.high + self.step * 1e-6)
                    .collect()
            }
            Scale::Log => {
                let wide = (self.high / self.low).log10() > 2.5;
                let parts: &[f64] = if wide { &[1.0] } else { &[1.0, 2.0, 5.0] };
                let from = exponent(self.low);
                (from..from + 64)
                    .flat_map(|power| parts.iter().map(move |part| part * 10_f64.powi(power)))
                    .skip_while(|tick| *tick < self.low * 0.999)
                    .take_while(|tick| *tick <= self.high * 1.001)
                    .collect()
            }
        }
    }
}

fn has_place(scale: Scale, value: f64) -> bool {
    value.is_finite() && (scale == Scale::Linear || value > 0.0)
}

/// The smallest of …, 1, 2, 5, 10, … that is at least `value`, which lies above zero.
fn round_up(value: f64) -> f64 {
    let unit = 10_f64.powi(exponent(value));
    let steps = [1.0, 2.0, 5.0].map(|part| part * unit);
    steps.into_iter().find(|step| *step >= value * 0.999_999).unwrap_or(unit * 10.0)
}

/// The largest of them that is at most `value`.
fn round_down(value: f64) -> f64 {
    let unit = 10_f64.powi(exponent(value));
    [5.0, 2.0].map(|part| part * unit).into_iter().find(|step| *step <= value * 1.000_001).unwrap_or(unit)
}

#[allow(clippy::cast_possible_truncation, reason = "the exponent of a double lies within 400 of zero")]
fn exponent(value: f64) -> i32 {
    (value.log10() + 1e-12).floor() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: &[f64], two: &[f64]) -> bool {
        one.len() == two.len() && one.iter().zip(two).all(|(one, two)| (one - two).abs() <= two.abs() * 1e-9)
    }

    #[test]
    fn linear_axes_begin_at_zero_and_end_at_a_tick() {
        let axis = Axis::over(Scale::Linear, [3.0, 870.0].into_iter());
        assert!(near(&axis.ticks(), &[0.0, 500.0, 1000.0]), "{:?}", axis.ticks());
        assert_eq!([0.0, 500.0, 1000.0].map(|value| axis.place(value).unwrap()), [0.0, 0.5, 1.0]);
        let axis = Axis::over(Scale::Linear, [0.3].into_iter());
        assert!(near(&axis.ticks(), &[0.0, 0.1, 0.2, 0.3]), "{:?}", axis.ticks());
        let flat = Axis::over(Scale::Linear, [0.0, f64::NAN].into_iter());
        assert!(flat.place(0.0) == Some(0.0) && flat.place(f64::NAN).is_none() && flat.ticks().len() > 1);
    }

    #[test]
    fn log_axes_span_their_values_and_have_no_zero() {
        let axis = Axis::over(Scale::Log, [0.0, 1.5, 40.0].into_iter());
        assert!(near(&axis.ticks(), &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0]), "{:?}", axis.ticks());
        assert_eq!((axis.place(0.0), axis.place(1.0), axis.place(50.0)), (None, Some(0.0), Some(1.0)));
        let wide = Axis::over(Scale::Log, [0.012, 9000.0].into_iter());
        let want = [0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 10_000.0];
        assert!(near(&wide.ticks(), &want), "{:?}", wide.ticks());
        let one = Axis::over(Scale::Log, [10.0].into_iter());
        assert_eq!((one.place(10.0), one.place(100.0)), (Some(0.0), Some(1.0)));
        assert!(Axis::over(Scale::Log, [0.0].into_iter()).ticks().len() > 1);
    }

    #[test]
    fn time_ends_where_it_ends() {
        let axis = Axis::time(61.0);
        assert!(near(&axis.ticks(), &[0.0, 20.0, 40.0, 60.0]), "{:?}", axis.ticks());
        assert_eq!(axis.place(61.0), Some(1.0));
    }
}
