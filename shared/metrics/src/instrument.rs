//! What any thread may count with: off the hot cores, where an atomic addition costs nothing that matters.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::bounds::nanos;
use crate::{Bounds, Family, Kind, Page};

/// A counter, or a gauge of whole numbers, with all its series from the start: what has not happened yet is shown as 0, so
/// that its first time is seen as a change.
#[derive(Debug)]
pub struct Counts {
    family: Family,
    rows: Box<[Vec<&'static str>]>,
    cells: Box<[AtomicU64]>,
}

/// A histogram with all its series from the start.
#[derive(Debug)]
pub struct Spreads {
    family: Family,
    bounds: Bounds,
    rows: Box<[Vec<&'static str>]>,
    cells: Box<[Spread]>,
}

#[derive(Debug)]
struct Spread {
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Counts {
    /// Of every combination of the label's words, in their order.
    pub fn new(family: &Family) -> Self {
        Self::of_rows(family, family.rows())
    }

    /// Of these rows of label values.
    pub fn of_rows(family: &Family, rows: Vec<Vec<&'static str>>) -> Self {
        debug_assert!(!matches!(family.kind, Kind::Histogram(_)), "{}", family.name);
        let cells = rows.iter().map(|_| AtomicU64::new(0)).collect();
        Self { family: *family, rows: rows.into(), cells }
    }

    /// Adds `n` to the only series.
    pub fn add(&self, n: u64) {
        self.add_at(0, n);
    }

    /// Adds `n` to the series of row `at`: the word's place, where there is one label.
    pub fn add_at(&self, at: usize, n: u64) {
        self.cells[at].fetch_add(n, Ordering::Relaxed);
    }

    /// Sets the series of row `at`.
    pub fn set_at(&self, at: usize, n: u64) {
        debug_assert_eq!(self.family.kind, Kind::Gauge, "{} only grows", self.family.name);
        self.cells[at].store(n, Ordering::Relaxed);
    }

    /// What row `at` shows.
    pub fn at(&self, at: usize) -> u64 {
        self.cells[at].load(Ordering::Relaxed)
    }

    /// Shows all series.
    pub fn write(&self, page: &mut Page) {
        let mut section = page.family(&self.family);
        for (row, cell) in self.rows.iter().zip(&self.cells) {
            section.sample(row, cell.load(Ordering::Relaxed));
        }
    }
}

impl Spreads {
    /// Of every combination of the label's words, in their order.
    pub fn new(family: &Family) -> Self {
        Self::of_rows(family, family.rows())
    }

    /// Of these rows of label values.
    pub fn of_rows(family: &Family, rows: Vec<Vec<&'static str>>) -> Self {
        let bounds = family.bounds();
        let zeros = || (0..bounds.buckets()).map(|_| AtomicU64::new(0)).collect();
        let cells = rows.iter().map(|_| Spread { buckets: zeros(), sum: AtomicU64::new(0) }).collect();
        Self { family: *family, bounds, rows: rows.into(), cells }
    }

    /// Counts a value of the series of row `at`, in the unit of the bounds.
    pub fn observe_at(&self, at: usize, value: u64) {
        let spread = &self.cells[at];
        spread.buckets[self.bounds.bucket_of(value)].fetch_add(1, Ordering::Relaxed);
        spread.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts a duration of the series of row `at`.
    pub fn took_at(&self, at: usize, time: Duration) {
        self.observe_at(at, nanos(time));
    }

    /// How many values row `at` has counted.
    pub fn count_at(&self, at: usize) -> u64 {
        self.cells[at].buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// Shows all series.
    pub fn write(&self, page: &mut Page) {
        let mut section = page.family(&self.family);
        for (row, spread) in self.rows.iter().zip(&self.cells) {
            let buckets: Vec<u64> =
                spread.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
            section.spread(row, &buckets, spread.sum.load(Ordering::Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Label, Values, bounds};

    const COLOUR: Label = Label { name: "colour", values: Values::Closed(&["red", "blue"]) };
    const SIZE: Label = Label { name: "size", values: Values::Closed(&["s", "m", "l"]) };

    #[test]
    fn what_has_not_happened_is_shown_as_nothing() {
        let counts = Counts::new(&Family::counter("a_total", "One.").by(&[COLOUR, SIZE]));
        counts.add_at(4, 3);
        let mut page = Page::default();
        counts.write(&mut page);
        let text = page.into_text();
        assert!(text.contains("a_total{colour=\"blue\",size=\"m\"} 3\n"), "{text}");
        assert_eq!(text.matches(" 0\n").count(), 5, "{text}");
    }

    #[test]
    fn durations_are_sorted_in_by_size() {
        let spreads = Spreads::new(&Family::histogram("b_seconds", bounds::CALL, "Two."));
        for ms in [1, 3, 3, 20_000] {
            spreads.took_at(0, Duration::from_millis(ms));
        }
        let mut page = Page::default();
        spreads.write(&mut page);
        let text = page.into_text();
        for line in [
            "b_seconds_bucket{le=\"0.0005\"} 0",
            "b_seconds_bucket{le=\"0.001\"} 1",
            "b_seconds_bucket{le=\"0.005\"} 3",
            "b_seconds_bucket{le=\"10\"} 3",
            "b_seconds_bucket{le=\"+Inf\"} 4",
            "b_seconds_sum 20.007",
            "b_seconds_count 4",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
        assert_eq!(spreads.count_at(0), 4);
    }
}
