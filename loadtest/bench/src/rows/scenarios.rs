//! Logins, lists, ordinary orders and presses, all at once, each at its stated rate: how long they take and how many go wrong.

use std::path::Path;
use std::time::Duration;

use loadtest::Mode;
use loadtest::open::{OpenSpec, StreamFigures};

use super::{Effort, say};
use crate::drive;
use crate::mix::Rates;
use crate::ring::Ring;
use crate::shop::{Processes, Shop};
use crate::stage;
use crate::table::{Better, Row, median};

/// Those of the scripts for k6. One hashing thread does some 30 logins a second.
const RATES: Rates = Rates { spike: 1000.0, list: 500.0, order: 100.0, login: 20.0, ..Rates::NONE };
const SECONDS_MIN: u32 = 10;
const CONNECTIONS: usize = 256;
const EACH: usize = 4;
const DEADLINE: Duration = Duration::from_secs(10);

/// Measures two rows: the worst P95 of the four, and the worst share of wrong answers.
///
/// # Errors
/// When the shop cannot be run.
pub async fn measure(dir: &Path, effort: Effort) -> anyhow::Result<[Row; 2]> {
    let ring = Ring::open_with(dir, stage::settings()).await?;
    let processes = Processes::start(&ring, None).await?;
    let seconds = effort.seconds.max(SECONDS_MIN);
    let (mut p95, mut wrong, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=effort.rounds {
        let streams = one(&ring, seconds, round as u64).await?;
        p95.push(worst(&streams, |figures| figures.latency.p95_ms));
        wrong.push(worst(&streams, wrong_per_cent));
        for figures in &streams {
            let line = line(figures);
            say(&format!("scenarios, round {round}, {line}"));
            beside.push(format!("round {round}, {line}"));
        }
    }
    processes.leave().await;
    Ok([
        Row {
            name: "login, list, order, spike at their stated rates: worst P95",
            figure: median(&p95),
            unit: " ms",
            target: 200.0,
            moonshot: 50.0,
            better: Better::Less,
            rounds: p95,
            beside,
        },
        Row {
            name: "the same: worst share of wrong answers",
            // One bad round is bad.
            figure: wrong.iter().copied().fold(0.0, f64::max),
            unit: " %",
            target: 1.0,
            moonshot: 0.0,
            better: Better::Less,
            rounds: wrong,
            beside: Vec::new(),
        },
    ])
}

/// One round against a sale of its own: half of its buyers find something.
async fn one(ring: &Ring, seconds: u32, seed: u64) -> anyhow::Result<Vec<StreamFigures>> {
    let presses = RATES.spike * f64::from(seconds);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
    let presses = presses as u32;
    // More users than presses, so that nobody presses twice.
    let shop = Shop::open(ring, presses + presses / 4, presses / 2).await?;
    let spec = OpenSpec {
        base: ring.base(),
        host: ring.base().to_string(),
        streams: RATES.streams(&shop),
        duration: Duration::from_secs(seconds.into()),
        requests_max: u64::MAX,
        connections_max: CONNECTIONS,
        deadline: DEADLINE,
        patience: DEADLINE,
        seed,
        sources: drive::sources(true, CONNECTIONS, EACH),
    };
    let result = drive::drive(spec, Mode::Silent).await?;
    Ok(result.streams.into_iter().map(|stream| stream.figures).collect())
}

fn worst(streams: &[StreamFigures], figure: fn(&StreamFigures) -> f64) -> f64 {
    streams.iter().map(figure).fold(0.0, f64::max)
}

/// Everything but what was asked for, and "sold out" of a buy.
fn wrong_per_cent(figures: &StreamFigures) -> f64 {
    let answers = &figures.answers;
    let right = answers.accepted + answers.sold_out + answers.duplicates;
    100.0 * (figures.offered - right) as f64 / figures.offered.max(1) as f64
}

fn line(figures: &StreamFigures) -> String {
    let StreamFigures { name, rate_per_s, offered, latency, .. } = figures;
    let wrong = wrong_per_cent(figures);
    format!(
        "{name} at {rate_per_s:.0}/s: {offered} requests, P50 {:.1} ms, P95 {:.1} ms, P99 {:.1} ms, wrong {wrong:.2} %",
        latency.p50_ms, latency.p95_ms, latency.p99_ms
    )
}

#[cfg(test)]
mod tests {
    use loadtest::open::Tally;

    use super::*;

    #[test]
    fn whatever_was_not_asked_for_is_wrong() {
        let answers =
            Tally { accepted: 900, sold_out: 50, duplicates: 30, refused: 5, rejected: 5, errors: 5 };
        let figures = StreamFigures { offered: 1000, not_sent: 5, answers, ..StreamFigures::default() };
        assert!((wrong_per_cent(&figures) - 2.0).abs() < 1e-9);
        let right = StreamFigures {
            offered: 10,
            answers: Tally { accepted: 10, ..Tally::default() },
            ..StreamFigures::default()
        };
        assert_eq!(worst(&[right, figures], wrong_per_cent), 2.0);
        assert_eq!(wrong_per_cent(&StreamFigures::default()), 0.0);
    }
}
