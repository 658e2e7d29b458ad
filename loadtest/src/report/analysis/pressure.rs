//! Limits that refused, and what gave way under the load.

use super::{Rows, Section, growth, peak, words};
use crate::record::Phase;
use crate::report::number::{count, measure, per_cent};
use crate::sale::answer::LIMITS;

pub(super) fn limits(phase: &Phase) -> Section {
    let mut rows = Rows::new();
    let offered: u64 = phase.streams.iter().map(|stream| stream.offered).sum();
    let (mut all, mut most) = (0, (0, String::new()));
    for (name, word) in LIMITS {
        let mut of_limit = 0;
        for stream in &phase.streams {
            let refused = stream.words.get(word).copied().unwrap_or(0);
            of_limit += refused;
            if refused > 0 {
                let row = format!("limit `{name}`, stream {}", stream.name);
                rows.add(&row, format!("{} ({})", count(refused), per_cent(refused, stream.offered)));
            }
            if refused > most.0 {
                most = (refused, format!("limit `{name}` on stream {}", stream.name));
            }
        }
        rows.add(&format!("limit `{name}`, all streams"), count(of_limit));
        all += of_limit;
    }
    rows.figure(
        "refused by a limit, counted by the gateway",
        growth(phase, "gateway", "spike_gateway_rejected_limit_total"),
    );
    let says = if all == 0 {
        "No request was refused by a limit.".to_owned()
    } else {
        let (refused, by) = most;
        format!(
            "{} of {} requests ({}) were refused by a limit, most of them by the {by} ({}).",
            count(all),
            count(offered),
            per_cent(all, offered),
            count(refused)
        )
    };
    rows.into_section("Limits", says)
}

pub(super) fn degradation(phase: &Phase) -> Section {
    let mut rows = Rows::new();
    let sum = |of: fn(&crate::record::StreamRecord) -> u64| phase.streams.iter().map(of).sum::<u64>();
    let offered = sum(|stream| stream.offered);
    let (errors, not_sent) = (sum(|stream| stream.answers.errors), sum(|stream| stream.not_sent));
    let late_ms = phase.streams.iter().map(|stream| stream.lateness.p99_ms).fold(0.0, f64::max);
    rows.add("errors: 5xx, no answer, no connection", count(errors));
    rows.add("given up before they could be sent", count(not_sent));
    rows.add("generator late, 99th percentile, ms", measure(late_ms));
    for word in ["overloaded", "outbox-full", "outcome-unknown", "recovering"] {
        let times = phase.streams.iter().filter_map(|stream| stream.words.get(word)).sum();
        rows.add(&format!("answers `{word}`"), count(times));
    }
    let of = |name: &str| growth(phase, "gateway", &format!("spike_gateway_{name}_total"));
    let unavailable = of("unavailable");
    rows.figure("503 with nothing done, counted by the gateway", unavailable);
    rows.figure("503 with an unknown outcome, counted by the gateway", of("outcome_unknown"));
    rows.figure("connections refused over the cap", of("connections_refused"));
    rows.figure("connections closed by a deadline", of("connections_timed_out"));
    let opened = breakers(phase, &mut rows);
    let most = |of: fn(&crate::record::Sample) -> Option<u64>| phase.samples.iter().filter_map(of).max();
    let (queue, outbox) = (most(|sample| sample.queue_messages), most(|sample| sample.outbox_entries));
    let shown = |value: Option<u64>| value.map_or_else(|| "–".to_owned(), count);
    rows.add("messages in the queue, most", shown(queue));
    rows.add("entries in the outbox, most", shown(outbox));
    let oldest = peak(phase, "outbox", "oldest_s");
    rows.figure("oldest order without a settled row, most, s", oldest);
    rows.figure("drained after the last answer, s", phase.audit.as_ref().map(|audit| audit.drain_s));
    let lost = errors + not_sent;
    let mut says = match lost {
        0 => "Nothing gave way: every request was sent and answered without an error".to_owned(),
        _ => format!(
            "{} of {} requests ({}) failed or were never sent",
            count(lost),
            count(offered),
            per_cent(lost, offered)
        ),
    };
    if !opened.is_empty() {
        says.push_str(&format!(", {}", words(&opened)));
    }
    if let Some(oldest) = oldest {
        says.push_str(&format!("; an order waited at most {} s for its row", measure(oldest)));
    }
    says.push('.');
    rows.into_section("Degradation", says)
}

/// Rows of the breakers, and those that were seen open.
fn breakers(phase: &Phase, rows: &mut Rows) -> Vec<String> {
    let breakers =
        [("gateway", "ledger"), ("gateway", "database"), ("worker", "ledger"), ("worker", "database")];
    let mut opened = Vec::new();
    for (process, of) in breakers {
        let open = peak(phase, process, &format!("spike_{process}_{of}_breaker_open"));
        rows.figure(&format!("breaker of the {process} to its {of} seen open (1) or not (0)"), open);
        if open.is_some_and(|open| open > 0.0) {
            opened.push(format!("the {process}'s breaker to its {of} opened"));
        }
    }
    opened
}
