//! What tracing costs an accepted buy, whose way is the longest: one trace in a hundred recorded, and none but what is kept for
//! being slow or failing, each against the same gateway with its traces turned off.
//!
//! It is one process that is turned between the turns: two processes of the same program on the same core differ by more than
//! what is sought, by where their memory lies. Off, a buy looks whether it is; without a collector it looks whether there is one.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use loadtest::http::{Connection, Request};
use spike_domain::EventId;

use super::{Effort, say};
use crate::collector;
use crate::contender::{Contender, OUR_CPU, THEIR_CPU};
use crate::cpu::{self, Used};
use crate::load::{self, Round};
use crate::ring::{Beside, Ring};
use crate::table::{Better, Row, median};

const CONNECTIONS: usize = 64;
/// How it is turned.
const WAYS: [&str; 3] = ["off", "0", "0.01"];
/// What is sought is a part in a hundred, and a shared machine sways by more: each way has its turn so often in a round.
const TURNS: usize = 12;
/// Orders of a turn, at least.
const ORDERS_MIN: usize = 1000;
/// Spans that wait are sent within 200 ms, and then the collector answers.
const SENT_WITHIN: Duration = Duration::from_millis(300);
/// Longest wait for the operations port.
const PATIENCE: Duration = Duration::from_secs(5);

/// Measures two rows: tracing at 1 %, and tracing that samples nothing.
///
/// # Errors
/// When a gateway fails or does not serve everybody.
pub async fn measure(ring: &Ring, effort: Effort) -> anyhow::Result<[Row; 2]> {
    let orders = (effort.orders / TURNS).max(ORDERS_MIN);
    let units = u32::try_from(orders * TURNS * WAYS.len() * 2).context("too many orders")?;
    let events = ring.sales(effort.rounds, units).await?;
    cpu::stay_on(&[OUR_CPU])?;
    ring.pin_servers()?;
    let (mut ratios, mut turns): ([Vec<f64>; 2], [Vec<Round>; 3]) = Default::default();
    for (round, event) in (1..).zip(events) {
        // A relay would publish what an earlier turn has sold.
        let endpoint = format!("http://{}", collector::address());
        let settings = [("SPIKE_RELAY_ENABLED", "false"), ("SPIKE_TELEMETRY_OTLP_ENDPOINT", &*endpoint)];
        let Beside { process, at, ops } = ring.gateway_beside(Some(THEIR_CPU), &settings).await?;
        let gateway = Contender { process, at };
        let mut costs: [Vec<f64>; 3] = Default::default();
        for turn in 0..TURNS {
            for place in 0..WAYS.len() {
                // Who comes first takes turns: a machine that slows down must not look like a cost.
                let way = (place + turn) % WAYS.len();
                sample(ops, WAYS[way]).await?;
                let done = turn_of(ring, &gateway, event, orders).await?;
                costs[way].push(done.cpu_us());
                turns[way].push(done);
            }
        }
        let [off, unsampled, sampled] = costs.map(undisturbed);
        let figures = [sampled / off, unsampled / off];
        say(&format!(
            "tracing, round {round}: at 1 % {:.3}x, nothing sampled {:.3}x",
            figures[0], figures[1]
        ));
        ratios.iter_mut().zip(figures).for_each(|(of, figure)| of.push(figure));
        gateway.process.leave().await;
        // What no worker has settled would be carried on by the next gateway.
        ring.forget(event).await?;
    }
    Ok(rows(ratios, &turns))
}

/// What a turn costs when nobody disturbs it: the mean of the cheapest third. Neighbours of a shared machine only ever add, and
/// by more than what is sought.
fn undisturbed(mut costs: Vec<f64>) -> f64 {
    costs.sort_by(f64::total_cmp);
    let third = &costs[..costs.len().div_ceil(3)];
    third.iter().sum::<f64>() / third.len() as f64
}

/// Accepted buys, and the sending of their traces, which must not be taken for a cost of the next turn.
async fn turn_of(ring: &Ring, gateway: &Contender, event: EventId, orders: usize) -> anyhow::Result<Round> {
    let watched = gateway.with_redis(ring)?;
    let before = Used::read(&watched)?;
    let round = load::accepted(ring, gateway, event, orders, CONNECTIONS).await?;
    tokio::time::sleep(SENT_WITHIN).await;
    Ok(Round { used: Used::read(&watched)?.since(&before), ..round })
}

/// Turns which traces the gateway records.
async fn sample(ops: SocketAddr, part: &str) -> anyhow::Result<()> {
    let mut connection = Connection::new(ops, None, PATIENCE);
    let put = Request::new("PUT", "/debug/traces", &ops.to_string(), &[], Some(part.as_bytes()));
    let status = connection.send(&put).await?.status;
    ensure!(status == 200, "the gateway did not turn its traces to {part}: {status}");
    Ok(())
}

fn rows([sampled, none]: [Vec<f64>; 2], turns: &[Vec<Round>; 3]) -> [Row; 2] {
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
    let line = |(way, of): (&&str, &Vec<Round>)| {
        let cost = |of_redis: bool| median(&of.iter().map(|round| part(round, of_redis)).collect::<Vec<_>>());
        format!("{way}: CPU-µs an order, gateway {:.2} + redis {:.2}", cost(false), cost(true))
    };
    let beside = WAYS.iter().zip(turns).map(line).collect();
    let at_one = "accepted buy, gateway + Redis CPU, tracing at 1 % against off";
    let off = "accepted buy, gateway + Redis CPU, tracing that samples nothing against off";
    [row(at_one, sampled, (1.03, 1.01), beside), row(off, none, (1.01, 1.0), Vec::new())]
}

/// CPU-µs an order of Redis, or of the gateway.
fn part(round: &Round, of_redis: bool) -> f64 {
    let used = round.used.0.iter().filter(|(name, _)| (*name == "redis") == of_redis);
    used.map(|(_, us)| us).sum::<f64>() / round.orders as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_the_median_of_its_rounds_with_its_target() {
        let used = Used([("gateway".to_owned(), 30.0), ("redis".to_owned(), 20.0)].into());
        let turns = [(); 3].map(|()| vec![Round { per_s: 1.0, orders: 2, used: used.clone() }]);
        let [sampled, off] = rows([vec![1.02, 1.04, 1.01], vec![1.0, 1.01, 1.02]], &turns);
        assert_eq!(sampled.beside[0], "off: CPU-µs an order, gateway 15.00 + redis 10.00");
        assert!((sampled.figure - 1.02).abs() < 1e-9 && (off.figure - 1.01).abs() < 1e-9);
        assert_eq!((sampled.target, off.target, sampled.beside.len()), (1.03, 1.01, 3));
        assert!((undisturbed(vec![9.0, 2.0, 30.0, 1.0, 8.0, 7.0]) - 1.5).abs() < 1e-9);
    }
}
