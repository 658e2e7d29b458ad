//! What is shown of a phase: which charts, and the rows of its tables. Pure.

use std::collections::BTreeSet;

use super::chart::{Chart, Line};
use super::number::{count, measure, per_cent, signed};
use super::scale::Scale;
use crate::open::Second;
use crate::record::{AuditRecord, Phase, Record, Sample, StreamRecord};

/// A table: names of the columns, then rows of as many cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

/// Every chart of a phase that has something to show.
pub(super) fn charts(phase: &Phase) -> Vec<Chart> {
    let mut charts: Vec<Chart> = phase.streams.iter().flat_map(stream_charts).collect();
    charts.extend(sample_charts(&phase.samples));
    let streams = phase.streams.iter().flat_map(|stream| &stream.seconds);
    let seconds = streams
        .map(|second| f64::from(second.at_s))
        .chain(phase.samples.iter().map(|sample| sample.at_s))
        .fold(phase.seconds, f64::max);
    for chart in &mut charts {
        // All charts of a phase have the same axis of time, so that one can be read against the other.
        chart.seconds = seconds;
    }
    charts.retain(|chart| !chart.is_empty());
    charts
}

fn stream_charts(stream: &StreamRecord) -> [Chart; 2] {
    let line = |name: &str, value: fn(&Second) -> f64| Line {
        name: name.to_owned(),
        points: stream.seconds.iter().map(|second| (f64::from(second.at_s), value(second))).collect(),
    };
    let mut counts = vec![
        line("offered", |second| float(second.offered)),
        line("answered", |second| float(second.answered)),
        line("accepted", |second| float(second.accepted)),
        line("errors", |second| float(second.errors)),
        line("refused", |second| float(second.refused)),
        line("not sent", |second| float(second.not_sent)),
    ];
    // What never happened is not drawn; what is always of interest stays.
    let mut at = 0;
    counts.retain(|line| {
        at += 1;
        at <= 3 || line.points.iter().any(|(_, value)| *value > 0.0)
    });
    let latencies = vec![
        line("p50", |second| second.p50_ms),
        line("p95", |second| second.p95_ms),
        line("p99", |second| second.p99_ms),
    ];
    let name = &stream.name;
    [
        chart(format!("{name}: throughput"), "requests/s", Scale::Linear, counts),
        chart(format!("{name}: latency from the scheduled time"), "milliseconds", Scale::Log, latencies),
    ]
}

fn sample_charts(samples: &[Sample]) -> Vec<Chart> {
    let one = |name: &str, value: &dyn Fn(&Sample) -> Option<f64>| Line {
        name: name.to_owned(),
        points: samples.iter().map(|sample| (sample.at_s, value(sample).unwrap_or(f64::NAN))).collect(),
    };
    let named = |map: fn(&Sample) -> &std::collections::BTreeMap<String, f64>| -> Vec<Line> {
        let names: BTreeSet<&String> = samples.iter().flat_map(|sample| map(sample).keys()).collect();
        names.into_iter().map(|name| one(name, &|sample| map(sample).get(name).copied())).collect()
    };
    let stock = vec![one("left", &|sample| sample.stock.map(float))];
    let backlog = [
        one("messages in the queue", &|sample| sample.queue_messages.map(float)),
        one("entries in the outbox", &|sample| sample.outbox_entries.map(float)),
    ];
    let seen = |line: &Line| line.points.iter().any(|(_, value)| value.is_finite());
    let backlog = backlog.into_iter().filter(seen).collect();
    let mut charts = vec![
        chart("Stock".to_owned(), "units", Scale::Linear, stock),
        chart("Backlog: queue and outbox".to_owned(), "messages or entries", Scale::Linear, backlog),
        chart("CPU by process".to_owned(), "cores", Scale::Linear, named(|sample| &sample.cpu)),
        chart(
            "Memory by process".to_owned(),
            "MiB resident",
            Scale::Linear,
            named(|sample| &sample.memory_mib),
        ),
    ];
    for line in named(|sample| &sample.metrics) {
        charts.push(chart(line.name.clone(), "value", Scale::Linear, vec![line]));
    }
    charts
}

fn chart(title: String, unit: &str, scale: Scale, lines: Vec<Line>) -> Chart {
    Chart { title, unit: unit.to_owned(), scale, seconds: 0.0, lines }
}

/// Name and value of everything that says where and how a test ran.
pub(super) fn environment(record: &Record) -> Table {
    let machine = &record.machine;
    let rows = [
        ("started", record.started_at.clone()),
        ("commit", record.commit.clone()),
        ("CPU", format!("{}, {} cores", machine.cpu, machine.cores)),
        ("memory", format!("{} MiB", count(machine.memory_mib))),
        ("system", format!("{}, Linux {}", machine.os, machine.kernel)),
    ];
    pairs(rows.into_iter().map(|(name, value)| (name.to_owned(), value)))
}

/// The parameters of a test.
pub(super) fn parameters(record: &Record) -> Table {
    pairs(record.parameters.iter().map(|(name, value)| (name.clone(), value.clone())))
}

/// A row a stream: what was offered and what became of it.
pub(super) fn outcomes(phase: &Phase) -> Table {
    let row = |stream: &StreamRecord| {
        let answers = &stream.answers;
        let mut row = vec![stream.name.clone(), measure(stream.rate_per_s)];
        row.extend([stream.offered, stream.sent, stream.not_sent].map(count));
        row.extend([answers.accepted, answers.sold_out, answers.duplicates].map(count));
        row.extend([answers.refused, answers.rejected, answers.errors].map(count));
        row.push(per_cent(answers.errors + stream.not_sent, stream.offered));
        row
    };
    Table {
        columns: vec![
            "stream",
            "rate/s",
            "offered",
            "sent",
            "not sent",
            "accepted",
            "sold out",
            "duplicates",
            "refused",
            "rejected",
            "errors",
            "failed",
        ],
        rows: phase.streams.iter().map(row).collect(),
    }
}

/// A row a stream: latencies in milliseconds.
pub(super) fn latencies(phase: &Phase) -> Table {
    let row = |stream: &StreamRecord| {
        let (all, accepted) = (&stream.latency, &stream.accepted_latency);
        let figures = [all.p50_ms, all.p95_ms, all.p99_ms, all.p999_ms, all.max_ms];
        let others = [accepted.p95_ms, accepted.p99_ms, stream.lateness.p99_ms];
        std::iter::once(stream.name.clone()).chain(figures.into_iter().chain(others).map(measure)).collect()
    };
    Table {
        columns: vec![
            "stream",
            "p50 ms",
            "p95 ms",
            "p99 ms",
            "p99.9 ms",
            "max ms",
            "accepted p95 ms",
            "accepted p99 ms",
            "generator late p99 ms",
        ],
        rows: phase.streams.iter().map(row).collect(),
    }
}

/// The words of the answers, a line a stream that has any.
pub(super) fn words(phase: &Phase) -> Vec<String> {
    let line = |stream: &StreamRecord| {
        let words: Vec<String> =
            stream.words.iter().map(|(word, times)| format!("{word} {}", count(*times))).collect();
        (!words.is_empty()).then(|| format!("{}: {}", stream.name, words.join(", ")))
    };
    phase.streams.iter().filter_map(line).collect()
}

/// The audit in one row.
pub(super) fn audit(audit: &AuditRecord) -> Table {
    let figures = &audit.conservation;
    let mut row: Vec<String> = [figures.S, figures.R, figures.L, figures.F, figures.K].map(signed).into();
    row.extend([audit.oversold, audit.doubled, audit.lost].map(count));
    row.push(measure(audit.drain_s));
    row.push(if audit.clean() { "clean" } else { "FAILED" }.to_owned());
    let columns = vec!["S", "R", "L", "F", "K", "oversold", "doubled", "lost", "drained in s", "verdict"];
    Table { columns, rows: vec![row] }
}

/// Names and their values.
pub(super) fn pairs(rows: impl Iterator<Item = (String, String)>) -> Table {
    Table { columns: vec!["what", "value"], rows: rows.map(|(name, value)| vec![name, value]).collect() }
}

#[allow(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
fn float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
#[path = "figures_tests.rs"]
mod tests;
