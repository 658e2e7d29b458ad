//! Presses of buyers nobody has seen before, each once, and what they cost.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{bail, ensure};
use loadtest::{PressPlan, Progress, SaleResult, SaleSpec};
use spike_domain::EventId;
use spike_domain::clock::now_ms;

use crate::contender::Contender;
use crate::cpu::{Pids, Used};
use crate::ring::Ring;

/// From here to the first press: the connections are opened meanwhile.
const LEAD_MS: u64 = 700;
/// The longest a buyer waits.
const DEADLINE: Duration = Duration::from_secs(20);

/// What a round of accepted buys came to.
pub struct Round {
    /// Orders accepted, a second.
    pub per_s: f64,
    /// Orders accepted.
    pub orders: u64,
    /// CPU time of the processes that were watched.
    pub used: Used,
}

impl Round {
    /// CPU-µs an order.
    pub fn cpu_us(&self) -> f64 {
        self.used.total() / self.orders as f64
    }
}

/// Lets `orders` buyers press once over `connections`, against a stock that has something for each.
///
/// # Errors
/// When one of them is not served, or the ledger does not show what they were told.
pub async fn accepted(
    ring: &Ring,
    contender: &Contender,
    event: EventId,
    orders: usize,
    connections: usize,
) -> anyhow::Result<Round> {
    let watched = contender.with_redis(ring)?;
    let ledger = ring.ledger().await?;
    let stock = async || anyhow::Ok(ledger.meta(event).await?.and_then(|meta| meta.stock).unwrap_or(0));
    let stock_before = stock().await?;
    let (result, used) = press(ring, contender, event, orders, connections, &watched).await?;
    let taken = stock_before - stock().await?;
    let told = result.figures.counts.accepted;
    ensure!(taken == told, "{told} buyers of event {event} were told yes, {taken} units left the ledger");
    Ok(Round { per_s: told as f64 / result.elapsed.as_secs_f64(), orders: told, used })
}

/// The presses alone.
///
/// # Errors
/// When one of them is not accepted.
pub async fn press(
    ring: &Ring,
    contender: &Contender,
    event: EventId,
    orders: usize,
    connections: usize,
    watched: &Pids,
) -> anyhow::Result<(SaleResult, Used)> {
    // Before the start is set: a signature each takes its time.
    let buyers = ring.buyers(orders);
    let spec = SaleSpec {
        base: contender.at,
        host: contender.at.to_string(),
        event,
        start_at_ms: now_ms() + LEAD_MS,
        buyers,
        requests: orders as u64,
        connections,
        presses: PressPlan { early: 0.0, replayed: 0.0 },
        quantity: 1,
        deadline: DEADLINE,
        seed: 1,
    };
    let before = Used::read(watched)?;
    let result = loadtest::run(spec, Arc::new(Progress::default())).await?;
    let used = Used::read(watched)?.since(&before);
    if result.figures.counts.accepted != orders as u64 {
        let (name, counts) = (contender.process.name(), result.figures.counts);
        bail!(
            "{name}: {counts:?} of {orders} presses: {:?}; {}",
            result.figures.words,
            contender.process.tail()
        );
    }
    Ok((result, used))
}
