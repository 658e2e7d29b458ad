//! An accepted buy: what it costs in gateway and Redis, and how many a second, against two conventional services.

use anyhow::Context;

use super::{Effort, say};
use crate::contender::{self, OUR_CPU, THEIR_CPU, Who};
use crate::cpu;
use crate::load::{self, Round};
use crate::ring::Ring;
use crate::table::{Better, Row, median};

const CONNECTIONS: usize = 64;
/// The services it is compared with leave an accepted order in Redis, so the gateway does no more where the target is. What its
/// relay costs on top stands beside, and in the row of the whole system.
const CONTENDERS: [(Who, &str); 4] = [
    (Who::SpikeAlone, "gateway"),
    (Who::Axum, "axum"),
    (Who::Nginx, "nginx with Lua"),
    (Who::Spike, "gateway with its relay"),
];

/// Measures three rows: CPU against axum, speed against nginx, and orders a Redis call.
///
/// # Errors
/// When a contender fails or does not serve everybody.
pub async fn measure(ring: &Ring, effort: Effort) -> anyhow::Result<[Row; 3]> {
    let units = u32::try_from(effort.orders * 2).context("too many orders")?;
    let events = ring.sales(effort.rounds * CONTENDERS.len(), units).await?;
    cpu::stay_on(&[OUR_CPU])?;
    ring.pin_servers()?;
    let mut rounds: [Vec<Round>; 4] = Default::default();
    let mut batches = Vec::new();
    for (round, events) in events.chunks(CONTENDERS.len()).enumerate() {
        for turn in 0..CONTENDERS.len() {
            // Each begins as often as it ends a round.
            let at = (turn + round) % CONTENDERS.len();
            let (who, name) = CONTENDERS[at];
            let contender = contender::start(ring, who, events[at], Some(THEIR_CPU)).await?;
            let before = calls(ring, who).await?;
            let done = load::accepted(ring, &contender, events[at], effort.orders, CONNECTIONS).await?;
            if let (Some(before), Some(after)) = (before, calls(ring, who).await?) {
                batches.push((after.1 - before.1) / (after.0 - before.0));
            }
            let parts = done.used.each(done.orders);
            say(&format!("accepted, round {}, {name}: {:.0}/s, CPU-µs {parts}", round + 1, done.per_s));
            rounds[at].push(done);
            contender.process.leave().await;
            // What no worker has settled would be carried on by the next gateway.
            ring.forget(events[at]).await?;
        }
    }
    Ok(rows(&rounds, batches))
}

/// Reserve calls and the buyers they carried so far, as the gateway's metrics say.
async fn calls(ring: &Ring, who: Who) -> anyhow::Result<Option<(f64, f64)>> {
    if who != Who::SpikeAlone {
        return Ok(None);
    }
    let calls = ring.metric("spike_gateway_reserve_calls_total").await?;
    Ok(Some((calls, ring.metric("spike_gateway_reserve_buyers_total").await?)))
}

fn rows(rounds: &[Vec<Round>; 4], batches: Vec<f64>) -> [Row; 3] {
    let [spike, axum, nginx, relaying] = rounds;
    let each = |of: &[Round], figure: fn(&Round) -> f64| of.iter().map(figure).collect::<Vec<_>>();
    let pairs = |ours: &[Round], others: &[Round], figure: fn(&Round) -> f64| -> Vec<f64> {
        each(ours, figure).iter().zip(each(others, figure)).map(|(ours, theirs)| ours / theirs).collect()
    };
    let (cpu, speed) = (pairs(spike, axum, Round::cpu_us), pairs(spike, nginx, |round| round.per_s));
    let with_relay = (pairs(relaying, axum, Round::cpu_us), pairs(relaying, nginx, |round| round.per_s));
    let line = |((_, name), of): (&(Who, &str), &Vec<Round>)| {
        let (cost, per_s) = (median(&each(of, Round::cpu_us)), median(&each(of, |round| round.per_s)));
        let parts = of.last().map_or_else(String::new, |round| round.used.each(round.orders));
        format!("{name}: {cost:.1} CPU-µs an order (last round: {parts}), {per_s:.0} orders/s")
    };
    let row = |name, figures: Vec<f64>, unit, (target, moonshot), better, beside| Row {
        name,
        figure: median(&figures),
        unit,
        target,
        moonshot,
        better,
        rounds: figures,
        beside,
    };
    let against = "accepted buy, gateway + Redis CPU, against axum + ConnectionManager";
    let mut beside: Vec<String> = CONTENDERS.iter().zip(rounds).map(line).collect();
    beside.push(format!(
        "with the relay's work added: {:.2}x the CPU of axum, {:.2}x the speed of nginx",
        median(&with_relay.0),
        median(&with_relay.1)
    ));
    [
        row(against, cpu, "x", (0.60, 0.40), Better::Less, beside),
        row("accepted buys a second, against nginx + Lua", speed, "x", (3.0, 5.0), Better::More, Vec::new()),
        row("orders a Redis call at 64 connections", batches, "", (8.0, 16.0), Better::More, Vec::new()),
    ]
}
