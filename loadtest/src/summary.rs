//! The end of a run: a table for people, one JSON object for machines.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use spike_domain::Conservation;

use crate::audit::Audit;
use crate::sale::SaleResult;

/// The figures of a run. Its field names are a contract: scripts read them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// Presses sent.
    pub requests: u64,
    /// First 202 of an order.
    pub accepted: u64,
    /// Refused because nothing was left.
    pub sold_out: u64,
    /// Refused or replayed because the user had bought.
    pub duplicates: u64,
    /// Other refusals of class 4xx.
    pub rejected: u64,
    /// No answer, or one of class 5xx.
    pub errors: u64,
    /// Units sold beyond the stock.
    pub oversold: u64,
    /// Users with more than one order.
    pub doubled: u64,
    /// Acknowledged orders without a row.
    pub lost: u64,
    /// Median latency, milliseconds.
    pub p50_ms: f64,
    /// 95th percentile, milliseconds.
    pub p95_ms: f64,
    /// 99th percentile, milliseconds.
    pub p99_ms: f64,
    /// Answers a second from the opening to the last one.
    pub requests_per_s: f64,
    /// From the last answer until every order was written, seconds.
    pub drain_s: f64,
    /// The figures of the conservation law.
    pub audit: Conservation,
}

impl Summary {
    /// The figures of a sale that drained in `drain`.
    pub fn new(sale: &SaleResult, drain: Duration, audit: &Audit) -> Self {
        let (counts, latency) = (&sale.figures.counts, &sale.figures.latency);
        Self {
            requests: sale.figures.sent,
            accepted: counts.accepted,
            sold_out: counts.sold_out,
            duplicates: counts.duplicates,
            rejected: counts.rejected,
            errors: counts.errors,
            oversold: audit.oversold,
            doubled: audit.doubled,
            lost: audit.lost,
            p50_ms: thousandths(latency.p50_ms),
            p95_ms: thousandths(latency.p95_ms),
            p99_ms: thousandths(latency.p99_ms),
            requests_per_s: thousandths(sale.requests_per_s),
            drain_s: thousandths(drain.as_secs_f64()),
            audit: audit.conservation,
        }
    }

    /// Whether the answers add up to the requests and the audit found nothing: exit code 0.
    pub fn passed(&self, audit: &Audit) -> bool {
        let answered = self.accepted + self.sold_out + self.duplicates + self.rejected + self.errors;
        self.requests == answered && audit.clean()
    }

    /// One line.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers only")
    }

    /// The table, with the words that came with the answers and every difference the auditor found.
    pub fn table(&self, sale: &SaleResult, audit: &Audit) -> String {
        let Conservation { S, R, L, F, K } = self.audit;
        let mut text = String::new();
        let mut row = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<12} {value}");
        };
        row(
            "throughput",
            format!("{:.0} requests/s over {:.2} s", self.requests_per_s, sale.elapsed.as_secs_f64()),
        );
        row(
            "latency",
            format!(
                "P50 {:.2} ms · P95 {:.2} ms · P99 {:.2} ms · max {:.2} ms",
                self.p50_ms, self.p95_ms, self.p99_ms, sale.figures.latency.max_ms
            ),
        );
        row("requests", self.requests.to_string());
        let accepted_per_s = self.accepted as f64 / sale.elapsed.as_secs_f64().max(f64::EPSILON);
        row("accepted", format!("{} ({accepted_per_s:.0}/s over the whole run)", self.accepted));
        for (name, count) in [
            ("sold out", self.sold_out),
            ("duplicates", self.duplicates),
            ("rejected", self.rejected),
            ("errors", self.errors),
        ] {
            row(name, count.to_string());
        }
        let words: Vec<String> =
            sale.figures.words.iter().map(|(word, count)| format!("{word} {count}")).collect();
        if !words.is_empty() {
            row("answers", words.join(" · "));
        }
        row("drained in", format!("{:.2} s", self.drain_s));
        row("audit", format!("S {S} = R {R} + L {L} + F {F} + K {K}"));
        row("", format!("oversold {} · doubled {} · lost {}", self.oversold, self.doubled, self.lost));
        row("verdict", if self.passed(audit) { "clean" } else { "FAILED" }.to_owned());
        for difference in &audit.differences {
            row("", difference.clone());
        }
        text
    }
}

fn thousandths(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::{Counts, Latency, Snapshot};
    use crate::sale::History;

    fn sale() -> SaleResult {
        let counts = Counts { accepted: 3, sold_out: 4, duplicates: 1, rejected: 2, errors: 0 };
        let latency = Latency { p50_ms: 1.23449, p95_ms: 2.0, p99_ms: 3.5, max_ms: 9.25 };
        let words = [("not-started", 2), ("sold-out", 4)].into();
        SaleResult {
            figures: Snapshot { connected: 2, sent: 10, counts, latency, words },
            history: History::default(),
            elapsed: Duration::from_millis(250),
            requests_per_s: 40.0,
        }
    }

    fn audit() -> Audit {
        Audit {
            oversold: 0,
            doubled: 0,
            lost: 0,
            withdrawn: 0,
            unexplained: 0,
            conservation: Conservation { S: 3, R: 0, L: 3, F: 0, K: 0 },
            differences: Vec::new(),
        }
    }

    #[test]
    fn the_json_has_these_fields_and_no_other() {
        let summary = Summary::new(&sale(), Duration::from_millis(1500), &audit());
        assert_eq!(
            summary.json(),
            r#"{"requests":10,"accepted":3,"sold_out":4,"duplicates":1,"rejected":2,"errors":0,"oversold":0,"doubled":0,"lost":0,"p50_ms":1.234,"p95_ms":2.0,"p99_ms":3.5,"requests_per_s":40.0,"drain_s":1.5,"audit":{"S":3,"R":0,"L":3,"F":0,"K":0}}"#
        );
    }

    #[test]
    fn the_verdict_needs_a_clean_audit_and_answers_that_add_up() {
        let (sale, clean) = (sale(), audit());
        let summary = Summary::new(&sale, Duration::ZERO, &clean);
        assert!(summary.passed(&clean));
        let failed = Audit { differences: vec!["something".into()], ..audit() };
        assert!(!summary.passed(&failed));
        assert!(!Summary { requests: 11, ..summary }.passed(&clean));
        let text = summary.table(&sale, &clean);
        for part in ["40 requests/s", "max 9.25 ms", "not-started 2 · sold-out 4", "S 3 = R 0 + L 3", "clean"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        let text = summary.table(&sale, &failed);
        assert!(text.contains("FAILED") && text.ends_with("something\n"), "{text}");
    }
}
