//! What the hot path's metrics cost: the sold-out answer, which is the cheapest one and so the one that they weigh on most,
//! of a gateway that measures against one that does not.

use super::sold_out::{one, sell_out};
use super::{Effort, say};
use crate::contender::Who;
use crate::ring::Ring;
use crate::table::{Better, Row, median};

const CONTENDERS: [(Who, &str); 2] = [(Who::Spike, "with metrics"), (Who::SpikeUnmeasured, "without")];

/// Measures the row.
///
/// # Errors
/// When a gateway or wrk fails, or answers something else.
pub async fn measure(ring: &Ring, effort: Effort) -> anyhow::Result<Row> {
    let event = sell_out(ring).await?;
    let mut costs: [Vec<f64>; 2] = Default::default();
    for round in 1..=effort.rounds {
        for turn in 0..CONTENDERS.len() {
            // Who comes first takes turns: a machine that slows down must not look like a cost.
            let at = (turn + round) % CONTENDERS.len();
            let (who, name) = CONTENDERS[at];
            let (cost, ran) = one(ring, who, event, effort.seconds).await?;
            say(&format!("metrics, round {round}, {name}: {cost:.3} CPU-µs, {:.0}/s", ran.per_s));
            costs[at].push(cost);
        }
    }
    let ratios: Vec<f64> = costs[0].iter().zip(&costs[1]).map(|(with, without)| with / without).collect();
    let line = |at: usize| format!("{}: {:.3} CPU-µs an answer", CONTENDERS[at].1, median(&costs[at]));
    Ok(Row {
        name: "sold-out answer, gateway CPU, with the hot path's metrics against none",
        figure: median(&ratios),
        unit: "x",
        target: 1.03,
        moonshot: 1.01,
        better: Better::Less,
        rounds: ratios,
        beside: (0..CONTENDERS.len()).map(line).collect(),
    })
}
