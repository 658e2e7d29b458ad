//! The whole system from the press to the committed row, against the conventional pipeline: a message an order, a
//! transaction a row.

use std::time::Duration;

use anyhow::{bail, ensure};
use spike_arena::process::Process;
use spike_domain::EventId;
use tokio::time::{Instant, sleep};

use super::{Effort, say};
use crate::contender::{self, Contender, Who};
use crate::cpu::{Pids, Used};
use crate::load;
use crate::ring::Ring;
use crate::table::{Better, Row, median};

const CONNECTIONS: usize = 64;
/// The conventional pipeline is some ten times slower: so many orders take it as long.
const FEWER: usize = 8;
/// Rows must be there by then.
const PATIENCE: Duration = Duration::from_secs(180);

/// Measures two rows: CPU of the whole system an order, and the same against the conventional pipeline.
///
/// # Errors
/// When a process fails, or an accepted order gets no row.
pub async fn measure(ring: &Ring, effort: Effort) -> anyhow::Result<[Row; 2]> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut last = [String::new(), String::new()];
    for round in 1..=effort.rounds {
        for (at, name) in ["Spike", "conventional"].into_iter().enumerate() {
            let (cost, parts) = if at == 0 {
                spike(ring, effort.orders).await?
            } else {
                conventional(ring, effort.orders / FEWER).await?
            };
            say(&format!("press to row, round {round}, {name}: {cost:.1} CPU-µs = {parts}"));
            last[at] = format!("{name}, last round: {cost:.1} CPU-µs an order = {parts}");
            if at == 0 { ours.push(cost) } else { theirs.push(cost) }
        }
    }
    let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    let row = |name, figures: Vec<f64>, unit, (target, moonshot), beside| Row {
        name,
        figure: median(&figures),
        unit,
        target,
        moonshot,
        better: Better::Less,
        rounds: figures,
        beside,
    };
    let name = "whole system, CPU-µs a sold order, press to committed row";
    Ok([
        row(name, ours, " µs", (60.0, 35.0), last.into()),
        row("the same against the conventional pipeline", ratios, "x", (0.2, 0.1), Vec::new()),
    ])
}

async fn spike(ring: &Ring, orders: usize) -> anyhow::Result<(f64, String)> {
    let worker = ring.worker(None).await?;
    let gateway = contender::start(ring, Who::Spike, EventId(0), None).await?;
    let event = ring.open_sale(u32::try_from(orders)?, 1, 500).await?.event;
    one(ring, gateway, worker, event, orders).await
}

async fn conventional(ring: &Ring, orders: usize) -> anyhow::Result<(f64, String)> {
    let event = ring.sales(1, u32::try_from(orders)?).await?[0];
    let service = contender::start(ring, Who::AxumQueue, event, None).await?;
    let number = event.to_string();
    let (amqp, database) = (&ring.env["SPIKE_AMQP_URL"], &ring.env["SPIKE_DATABASE_URL"]);
    let args = ["--amqp", amqp, "--database", database, "--event", &number].map(str::to_owned);
    let worker = ring.start("peer-pipeline-worker", &args, None)?;
    one(ring, service, worker, event, orders).await
}

/// CPU-µs an order of everything that works for it.
async fn one(
    ring: &Ring,
    front: Contender,
    worker: Process,
    event: EventId,
    orders: usize,
) -> anyhow::Result<(f64, String)> {
    let mut watched = ring.servers()?;
    watched.extend([
        (front.process.name().to_owned(), front.process.pid()),
        ("worker".to_owned(), worker.pid()),
    ]);
    let before = Used::read(&watched)?;
    load::press(ring, &front, event, orders, CONNECTIONS, &Pids::new()).await?;
    wait_for_rows(ring, event, u32::try_from(orders)?).await?;
    let used = Used::read(&watched)?.since(&before);
    let written = ring.store.conservation(event).await?.live().orders;
    ensure!(written == orders as u64, "{written} rows of {orders} orders");
    front.process.leave().await;
    worker.leave().await;
    ring.forget(event).await?;
    Ok((used.total() / orders as f64, used.each(orders as u64)))
}

/// Waits until the event's row holds a unit for each of `orders`. One row by its key, a few times a second: what is measured
/// pays for the question too.
async fn wait_for_rows(ring: &Ring, event: EventId, orders: u32) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reserved = ring.store.event(event).await?.map_or(0, |row| row.reserved);
        if reserved == orders {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!("only {reserved} of {orders} orders of event {event} have a row");
        }
        sleep(Duration::from_millis(100)).await;
    }
}
