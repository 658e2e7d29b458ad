//! Whole sales with their audit, by `spike demo --servers`.

use anyhow::{Context, bail};
use serde::Deserialize;
use tokio::process::Command;

use super::{Effort, say};
use crate::ring::Ring;
use crate::table::{Better, Row, median};

/// What the demo says at its end.
#[derive(Debug, Clone, Deserialize)]
struct Said {
    requests: u64,
    accepted: u64,
    errors: u64,
    oversold: u64,
    doubled: u64,
    lost: u64,
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    requests_per_s: f64,
    drain_s: f64,
}

impl Said {
    fn wrong(&self) -> f64 {
        (self.errors + self.oversold + self.doubled + self.lost) as f64
    }

    fn line(&self) -> String {
        let Self { requests, accepted, requests_per_s, p50_ms, p95_ms, p99_ms, drain_s, .. } = self;
        let Self { errors, oversold, doubled, lost, .. } = self;
        format!(
            "{requests} presses, {accepted} accepted, {requests_per_s:.0} answers/s, P50 {p50_ms:.1} ms, P95 {p95_ms:.1} ms, \
             P99 {p99_ms:.1} ms, drained in {drain_s:.2} s; errors {errors}, oversold {oversold}, doubled {doubled}, lost {lost}"
        )
    }
}

/// The sale of 10,000 presses: P95, and what was wrong.
///
/// # Errors
/// When a sale cannot be run.
pub async fn small(ring: &Ring, effort: Effort) -> anyhow::Result<[Row; 2]> {
    let mut sales = Vec::new();
    for _ in 0..effort.rounds {
        sales.push(demo(ring, 10_000, 5_000, 1_000).await?);
    }
    let p95: Vec<f64> = sales.iter().map(|sale| sale.p95_ms).collect();
    let wrong: Vec<f64> = sales.iter().map(Said::wrong).collect();
    let beside = sales.iter().map(Said::line).collect();
    Ok([
        row("sale of 10,000 presses: P95", median(&p95), p95, " ms", (50.0, 20.0), beside),
        // One wrong answer in one round is wrong.
        row(
            "the same: errors, oversold, doubled, lost",
            wrong.iter().sum(),
            wrong,
            "",
            (0.0, 0.0),
            Vec::new(),
        ),
    ])
}

/// The sale of 1,000,000 presses of 200,000 buyers for 100,000 units: how long the backlog took, and what was wrong.
///
/// # Errors
/// When it cannot be run.
pub async fn large(ring: &Ring) -> anyhow::Result<[Row; 2]> {
    let sale = demo(ring, 1_000_000, 200_000, 100_000).await?;
    let (drain_s, wrong) = (sale.drain_s, sale.wrong());
    let name = "sale of 1,000,000 presses, 200,000 users, 100,000 units: drained";
    Ok([
        row(name, drain_s, vec![drain_s], " s", (10.0, 2.0), vec![sale.line()]),
        row("the same: errors, oversold, doubled, lost", wrong, vec![wrong], "", (0.0, 0.0), Vec::new()),
    ])
}

fn row(
    name: &'static str,
    figure: f64,
    rounds: Vec<f64>,
    unit: &'static str,
    (target, moonshot): (f64, f64),
    beside: Vec<String>,
) -> Row {
    Row { name, figure, unit, target, moonshot, better: Better::Less, rounds, beside }
}

async fn demo(ring: &Ring, requests: u64, users: u32, stock: u32) -> anyhow::Result<Said> {
    let mut command = Command::new(ring.programs.join("spike"));
    command.args(["demo", "--servers", "--json"]);
    for (name, value) in [("--requests", requests), ("--users", users.into()), ("--stock", stock.into())] {
        command.arg(name).arg(value.to_string());
    }
    // Of this shell, not of the comparison.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SPIKE_")) {
        command.env_remove(name);
    }
    for name in ["SPIKE_REDIS_URL", "SPIKE_AMQP_URL", "SPIKE_DATABASE_URL"] {
        command.env(name, &ring.env[name]);
    }
    let output = command.output().await.context("run spike demo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let Some(last) = text.lines().last().filter(|line| line.starts_with('{')) else {
        bail!("spike demo failed: {text}{}", String::from_utf8_lossy(&output.stderr));
    };
    let said: Said = serde_json::from_str(last).context("the demo's last line")?;
    say(&said.line());
    Ok(said)
}
