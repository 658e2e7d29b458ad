//! What tracing costs an accepted buy, whose way is the longest: a gateway that records one trace in a hundred, and one that has a
//! collector and records none of its own (each buy is still timed, so that a slow or failed one can be kept), each
//! against one without a collector, in which there is nothing but a look whether there is one.

use anyhow::Context;

use super::{Effort, say};
use crate::contender::{self, OUR_CPU, THEIR_CPU, Who};
use crate::cpu;
use crate::load::{self, Round};
use crate::ring::Ring;
use crate::table::{Better, Row, median};

const CONNECTIONS: usize = 64;
const CONTENDERS: [(Who, &str); 3] = [
    (Who::SpikeAlone, "no collector"),
    (Who::SpikeTracedNone, "a collector, nothing sampled"),
    (Who::SpikeTraced, "one in a hundred sampled"),
];

/// Measures two rows: tracing at 1 %, and tracing that samples nothing.
///
/// # Errors
/// When a gateway fails or does not serve everybody.
pub async fn measure(ring: &Ring, effort: Effort) -> anyhow::Result<[Row; 2]> {
    let units = u32::try_from(effort.orders * 2).context("too many orders")?;
    let events = ring.sales(effort.rounds * CONTENDERS.len(), units).await?;
    cpu::stay_on(&[OUR_CPU])?;
    ring.pin_servers()?;
    let mut costs: [Vec<f64>; 3] = Default::default();
    for (round, events) in events.chunks(CONTENDERS.len()).enumerate() {
        for turn in 0..CONTENDERS.len() {
            // Who comes first takes turns: a machine that slows down must not look like a cost.
            let at = (turn + round) % CONTENDERS.len();
            let (who, name) = CONTENDERS[at];
            let contender = contender::start(ring, who, events[at], Some(THEIR_CPU)).await?;
            let done = load::accepted(ring, &contender, events[at], effort.orders, CONNECTIONS).await?;
            say(&format!(
                "tracing, round {}, {name}: {:.2} CPU-µs an order",
                round + 1,
                Round::cpu_us(&done)
            ));
            costs[at].push(Round::cpu_us(&done));
            contender.process.leave().await;
            // What no worker has settled would be carried on by the next gateway.
            ring.forget(events[at]).await?;
        }
    }
    Ok(rows(&costs))
}

fn rows([without, none, some]: &[Vec<f64>; 3]) -> [Row; 2] {
    let against =
        |of: &[f64]| of.iter().zip(without).map(|(with, without)| with / without).collect::<Vec<_>>();
    let row = |name, rounds: Vec<f64>, (target, moonshot), beside| Row {
        name,
        figure: median(&rounds),
        unit: "x",
        target,
        moonshot,
        better: Better::Less,
        rounds,
        beside,
    };
    let line =
        |(at, of): (usize, &Vec<f64>)| format!("{}: {:.2} CPU-µs an order", CONTENDERS[at].1, median(of));
    let beside = [without, none, some].into_iter().enumerate().map(line).collect();
    let sampled = "accepted buy, gateway + Redis CPU, tracing at 1 % against no collector";
    let off = "accepted buy, gateway + Redis CPU, a collector and nothing sampled against none";
    [row(sampled, against(some), (1.03, 1.01), beside), row(off, against(none), (1.01, 1.0), Vec::new())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_the_median_of_paired_ratios() {
        let [sampled, off] = rows(&[vec![10.0, 20.0, 10.0], vec![10.0, 21.0, 10.1], vec![10.4, 20.2, 10.2]]);
        assert_eq!(sampled.rounds.len(), 3);
        assert!((sampled.figure - 1.02).abs() < 1e-9, "{}", sampled.figure);
        assert!((off.figure - 1.01).abs() < 1e-9, "{}", off.figure);
        assert_eq!((sampled.target, off.target, sampled.beside.len()), (1.03, 1.01, 3));
    }
}
