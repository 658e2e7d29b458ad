//! The exposition: metrics as Prometheus reads them (text format 0.0.4).

use std::fmt::{Display, Write};

use crate::{Family, Values};

/// A scrape in the making.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
    shown: Vec<&'static str>,
}

/// The series of one metric on their way to the page.
#[derive(Debug)]
pub struct Section<'p> {
    page: &'p mut Page,
    family: Family,
}

impl Page {
    /// Begins a metric; its samples follow.
    pub fn family(&mut self, family: &Family) -> Section<'_> {
        debug_assert!(!self.shown.contains(&family.name), "{} is shown twice", family.name);
        self.shown.push(family.name);
        let kind = match family.kind {
            crate::Kind::Counter => "counter",
            crate::Kind::Gauge => "gauge",
            crate::Kind::Histogram(_) => "histogram",
        };
        self.line(format_args!("# HELP {} {}", family.name, family.help));
        self.line(format_args!("# TYPE {} {kind}", family.name));
        Section { page: self, family: *family }
    }

    /// A metric without labels.
    pub fn value(&mut self, family: &Family, value: impl Display) {
        self.family(family).sample(&[], value);
    }

    /// The text so far.
    pub fn into_text(self) -> String {
        self.text
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a String takes all that is written");
    }
}

impl Section<'_> {
    /// One series. The values are those of the metric's labels, in their order.
    pub fn sample(&mut self, values: &[&str], value: impl Display) {
        self.check(values);
        let labels = labels(&self.family, values, None);
        let name = self.family.name;
        self.page.line(format_args!("{name}{labels} {value}"));
    }

    /// One histogram: the count of each bucket alone, and the sum of the values in the unit of the bounds.
    pub fn spread(&mut self, values: &[&str], buckets: &[u64], sum: u64) {
        self.check(values);
        let (name, bounds) = (self.family.name, self.family.bounds());
        debug_assert_eq!(buckets.len(), bounds.buckets(), "{name}");
        let mut count = 0;
        for (at, bucket) in buckets.iter().enumerate() {
            count += bucket;
            let le = bounds
                .upper
                .get(at)
                .map_or_else(|| "+Inf".to_owned(), |upper| bounds.shown(*upper).to_string());
            let labels = labels(&self.family, values, Some(&le));
            self.page.line(format_args!("{name}_bucket{labels} {count}"));
        }
        let labels = labels(&self.family, values, None);
        self.page.line(format_args!("{name}_sum{labels} {}", bounds.shown(sum)));
        self.page.line(format_args!("{name}_count{labels} {count}"));
    }

    fn check(&self, values: &[&str]) {
        debug_assert_eq!(values.len(), self.family.labels.len(), "{}", self.family.name);
        for (label, value) in self.family.labels.iter().zip(values) {
            let known = match label.values {
                Values::Closed(known) => known.contains(value),
                Values::Bounded(_) => true,
            };
            debug_assert!(known, "{}: {} is never {value}", self.family.name, label.name);
        }
    }
}

fn labels(family: &Family, values: &[&str], le: Option<&str>) -> String {
    let pairs = family.labels.iter().map(|label| label.name).zip(values.iter().copied());
    let written: Vec<String> = pairs
        .chain(le.map(|le| ("le", le)))
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    if written.is_empty() { String::new() } else { format!("{{{}}}", written.join(",")) }
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bounds, Label, Unit};

    const SIZES: Bounds = Bounds { upper: &[1, 2], unit: Unit::Things };
    const EVENT: Label = Label { name: "event", values: Values::Bounded("a few") };
    const COLOUR: Label = Label { name: "colour", values: Values::Closed(&["red", "blue"]) };

    #[test]
    fn every_kind_is_written_as_prometheus_reads_it() {
        let mut page = Page::default();
        page.value(&Family::gauge("a", "One."), 1.5);
        page.family(&Family::counter("b_total", "Two.").by(&[COLOUR, EVENT])).sample(&["red", "x\"\\\n"], 7);
        page.family(&Family::histogram("c", SIZES, "Three.").by(&[COLOUR])).spread(&["blue"], &[2, 0, 1], 9);
        let want = [
            "# HELP a One.",
            "# TYPE a gauge",
            "a 1.5",
            "# HELP b_total Two.",
            "# TYPE b_total counter",
            r#"b_total{colour="red",event="x\"\\\n"} 7"#,
            "# HELP c Three.",
            "# TYPE c histogram",
            r#"c_bucket{colour="blue",le="1"} 2"#,
            r#"c_bucket{colour="blue",le="2"} 2"#,
            r#"c_bucket{colour="blue",le="+Inf"} 3"#,
            r#"c_sum{colour="blue"} 9"#,
            r#"c_count{colour="blue"} 3"#,
        ];
        assert_eq!(page.into_text().lines().collect::<Vec<_>>(), want);
    }

    #[test]
    #[should_panic(expected = "colour is never green")]
    fn a_word_that_is_not_described_is_a_bug() {
        Page::default().family(&Family::gauge("a", "One.").by(&[COLOUR])).sample(&["green"], 1);
    }
}
