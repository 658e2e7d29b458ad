//! What the hot path's metrics cost: the sold-out answer, which is the cheapest one and so the one that they weigh on most,
//! of a gateway that measures against one that does not.

use anyhow::Context;

use super::sold_out::{round_of, sell_out, warm};
use super::{Effort, say};
use crate::contender::{Contender, THEIR_CPU, Who};
use crate::ring::{Beside, Ring};
use crate::table::{Better, Row, median};
use crate::wrk::Press;

const CONTENDERS: [(Who, &str); 2] = [(Who::Spike, "with metrics"), (Who::SpikeUnmeasured, "without")];
/// What is sought is a few parts in a hundred, and a shared machine sways by more: both run side by side and are asked by turns,
/// a second each, so often in a round.
const PAIRS: usize = 6;

/// Measures the row.
///
/// # Errors
/// When a gateway or wrk fails, or answers something else.
pub async fn measure(ring: &Ring, effort: Effort) -> anyhow::Result<Row> {
    let event = sell_out(ring).await?;
    let path = format!("/api/v1/spike/events/{event}/orders");
    let token = ring.buyers(1).remove(0).token;
    let (mut ratios, mut costs) = (Vec::new(), [Vec::new(), Vec::new()]);
    for round in 1..=effort.rounds {
        let both = [start(ring, CONTENDERS[0].0).await?, start(ring, CONTENDERS[1].0).await?];
        let press =
            |at: usize| Press { at: both[at].at, path: &path, token: &token, body: r#"{"quantity":1}"# };
        for (at, contender) in both.iter().enumerate() {
            warm(ring, contender, CONTENDERS[at].0, &press(at)).await?;
        }
        let mut of_round = Vec::with_capacity(PAIRS);
        for pair in 0..PAIRS {
            let mut cost = [0.0; 2];
            for turn in 0..2 {
                // Who comes first takes turns: a machine that slows down must not look like a cost.
                let at = (turn + pair) % 2;
                (cost[at], _) = round_of(ring, &both[at], CONTENDERS[at].0, &press(at), 1).await?;
                costs[at].push(cost[at]);
            }
            of_round.push(cost[0] / cost[1]);
        }
        let ratio = median(&of_round);
        say(&format!("metrics, round {round}: {ratio:.3}x, of {of_round:.2?}"));
        ratios.push(ratio);
        for contender in both {
            contender.process.leave().await;
        }
    }
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

async fn start(ring: &Ring, who: Who) -> anyhow::Result<Contender> {
    let settings = who.settings().context("a gateway of ours")?;
    let Beside { process, at, .. } = ring.gateway_beside(Some(THEIR_CPU), settings).await?;
    Ok(Contender { process, at })
}
