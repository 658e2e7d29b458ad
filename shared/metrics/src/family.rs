//! The description of a metric.

use crate::Bounds;

/// One metric with all its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name, by the rules of Prometheus.
    pub name: &'static str,
    /// One line for whoever reads the scrape.
    pub help: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// What tells its series apart.
    pub labels: &'static [Label],
}

/// What kind of number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from the start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by size, with these bounds.
    Histogram(Bounds),
}

/// A label and what it may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub values: Values,
}

/// The values of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// One of these; every one is shown, from the start.
    Closed(&'static [&'static str]),
    /// What is known only when the process runs; the text says what it is and what keeps it few.
    Bounded(&'static str),
}

impl Family {
    /// A counter without labels.
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Counter, labels: &[] }
    }

    /// A gauge without labels.
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Gauge, labels: &[] }
    }

    /// A histogram without labels.
    pub const fn histogram(name: &'static str, bounds: Bounds, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Histogram(bounds), labels: &[] }
    }

    /// The same with labels.
    pub const fn by(self, labels: &'static [Label]) -> Self {
        Self { labels, ..self }
    }

    /// The bounds of a histogram.
    ///
    /// # Panics
    /// Where it is none.
    pub fn bounds(&self) -> Bounds {
        match self.kind {
            Kind::Histogram(bounds) => bounds,
            Kind::Counter | Kind::Gauge => panic!("{} is no histogram", self.name),
        }
    }

    /// The names under which its series are stored.
    pub fn series_names(&self) -> Vec<String> {
        match self.kind {
            Kind::Counter | Kind::Gauge => vec![self.name.to_owned()],
            Kind::Histogram(_) => {
                ["bucket", "sum", "count"].map(|end| format!("{}_{end}", self.name)).to_vec()
            }
        }
    }

    /// Every combination of the values of its labels.
    ///
    /// # Panics
    /// Where a label is not closed.
    pub fn rows(&self) -> Vec<Vec<&'static str>> {
        self.labels.iter().fold(vec![Vec::new()], |rows, label| {
            let Values::Closed(values) = label.values else {
                panic!("{}: the values of {} are not known", self.name, label.name)
            };
            let longer = |row: Vec<&'static str>| {
                values.iter().map(move |value| [&row[..], &[*value]].concat()).collect::<Vec<_>>()
            };
            rows.into_iter().flat_map(longer).collect()
        })
    }
}
