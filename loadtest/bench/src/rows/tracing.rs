//! What tracing costs an accepted buy, whose way is the longest: a gateway that records one trace in a hundred, and one that has a
//! collector and records none of its own (each buy is still timed, so that a slow or failed one can be kept), each
//! against one without a collector, in which there is nothing but a look whether there is one.

use anyhow::Context;

use super::{Effort, say};
use crate::collector;
use crate::contender::{Contender, OUR_CPU, THEIR_CPU};
use crate::cpu;
use crate::load;
use crate::ring::Ring;
use crate::table::{Better, Row, median};

const CONNECTIONS: usize = 64;
/// Name, and the part that is recorded.
const CONTENDERS: [(&str, Option<&str>); 3] = [
    ("no collector", None),
    ("a collector, nothing sampled", Some("0")),
    ("one in a hundred sampled", Some("0.01")),
];
/// What is sought is a part in a hundred, and a shared machine sways by more: all run side by side and are asked by turns, so
/// often in a round.
const TURNS: usize = 6;
/// Orders of a turn, at least.
const ORDERS_MIN: usize = 1000;

/// Measures two rows: tracing at 1 %, and tracing that samples nothing.
///
/// # Errors
/// When a gateway fails or does not serve everybody.
pub async fn measure(ring: &Ring, effort: Effort) -> anyhow::Result<[Row; 2]> {
    let orders = (effort.orders / TURNS).max(ORDERS_MIN);
    let units = u32::try_from(orders * TURNS * CONTENDERS.len() * 2).context("too many orders")?;
    let events = ring.sales(effort.rounds, units).await?;
    cpu::stay_on(&[OUR_CPU])?;
    ring.pin_servers()?;
    let (mut ratios, mut costs): ([Vec<f64>; 2], [Vec<f64>; 3]) = Default::default();
    for (round, event) in (1..).zip(events) {
        let mut gateways = Vec::with_capacity(CONTENDERS.len());
        for (_, ratio) in CONTENDERS {
            gateways.push(start(ring, ratio).await?);
        }
        let mut of_round: [Vec<f64>; 2] = Default::default();
        for pair in 0..TURNS {
            let mut cost = [0.0; 3];
            for turn in 0..CONTENDERS.len() {
                // Who comes first takes turns: a machine that slows down must not look like a cost.
                let at = (turn + pair) % CONTENDERS.len();
                cost[at] = load::accepted(ring, &gateways[at], event, orders, CONNECTIONS).await?.cpu_us();
                costs[at].push(cost[at]);
            }
            of_round[0].push(cost[2] / cost[0]);
            of_round[1].push(cost[1] / cost[0]);
        }
        let figures = [median(&of_round[0]), median(&of_round[1])];
        say(&format!(
            "tracing, round {round}: at 1 % {:.3}x, nothing sampled {:.3}x",
            figures[0], figures[1]
        ));
        ratios.iter_mut().zip(figures).for_each(|(of, figure)| of.push(figure));
        for gateway in gateways {
            gateway.process.leave().await;
        }
        // What no worker has settled would be carried on by the next gateway.
        ring.forget(event).await?;
    }
    Ok(rows(ratios, &costs))
}

/// A gateway beside the others, without a relay, as where accepted buys are compared.
async fn start(ring: &Ring, ratio: Option<&str>) -> anyhow::Result<Contender> {
    let endpoint = format!("http://{}", collector::address());
    let mut settings = vec![("SPIKE_RELAY_ENABLED", "false")];
    if let Some(ratio) = ratio {
        settings.extend([
            ("SPIKE_TELEMETRY_OTLP_ENDPOINT", endpoint.as_str()),
            ("SPIKE_TELEMETRY_SAMPLE_RATIO", ratio),
        ]);
    }
    let (process, at) = ring.gateway_beside(Some(THEIR_CPU), &settings).await?;
    Ok(Contender { process, at })
}

fn rows([sampled, none]: [Vec<f64>; 2], costs: &[Vec<f64>; 3]) -> [Row; 2] {
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
    let line = |((name, _), of): (&(&str, Option<&str>), &Vec<f64>)| {
        format!("{name}: {:.2} CPU-µs an order", median(of))
    };
    let beside = CONTENDERS.iter().zip(costs).map(line).collect();
    let at_one = "accepted buy, gateway + Redis CPU, tracing at 1 % against no collector";
    let off = "accepted buy, gateway + Redis CPU, a collector and nothing sampled against none";
    [row(at_one, sampled, (1.03, 1.01), beside), row(off, none, (1.01, 1.0), Vec::new())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_the_median_of_its_rounds_with_its_target() {
        let costs = [vec![10.0], vec![10.1], vec![10.2]];
        let [sampled, off] = rows([vec![1.02, 1.04, 1.01], vec![1.0, 1.01, 1.02]], &costs);
        assert!((sampled.figure - 1.02).abs() < 1e-9 && (off.figure - 1.01).abs() < 1e-9);
        assert_eq!((sampled.target, off.target, sampled.beside.len()), (1.03, 1.01, 3));
    }
}
