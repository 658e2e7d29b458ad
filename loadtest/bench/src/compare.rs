//! `spike-load compare`: every row of the table of targets, or those that are asked for, and the verdict.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use loadtest::record::Machine;

use crate::cpu;
use crate::overload::CONNECTIONS;
use crate::ring::Ring;
use crate::rows::{self, Effort, overload};
use crate::table::{self, Row};

/// The least seconds of overload: the first one is not counted.
const OVERLOAD_SECONDS: u32 = 3;

/// A group of rows that are measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Group {
    /// The sold-out answer.
    SoldOut,
    /// What metrics cost: the same with the hot path's metrics and without.
    Metrics,
    /// What tracing costs: accepted buys with a collector and without.
    Tracing,
    /// Accepted buys: CPU, speed, batches.
    Accepted,
    /// Press to committed row.
    Pipeline,
    /// Sales of 10,000 presses.
    Sale,
    /// The sale of 1,000,000 presses.
    Million,
    /// Idle connections, buyers in Redis.
    Memory,
    /// Ten times more presses than can be served.
    Overload,
    /// Logins, lists, orders and presses at their stated rates.
    Scenarios,
}

/// How to compare.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rounds of each contender, in turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Seconds of a round of sold-out answers.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Orders of a round of accepted buys.
    #[arg(long, default_value_t = 40_000, value_parser = clap::value_parser!(u32).range(1_000..=1_000_000))]
    orders: u32,
    /// Only these groups of rows; all unless given.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Group>,
    /// Write the table, with the machine named, into this file too.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Measures and prints. Exit code 1 when a target is missed.
///
/// # Errors
/// When a contender cannot be measured.
pub async fn run(dir: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    let effort = Effort { rounds: args.rounds.into(), seconds: args.seconds, orders: args.orders as usize };
    let wanted = |group| args.only.is_empty() || args.only.contains(&group);
    let mut rows: Vec<Row> = Vec::new();
    if wanted(Group::SoldOut) {
        rows.push(rows::sold_out::measure(&fresh(dir).await?, effort).await.context("sold out")?);
    }
    if wanted(Group::Metrics) {
        rows.push(rows::metrics::measure(&fresh(dir).await?, effort).await.context("metrics")?);
    }
    if wanted(Group::Tracing) {
        rows.extend(rows::tracing::measure(&fresh(dir).await?, effort).await.context("tracing")?);
    }
    if wanted(Group::Accepted) {
        rows.extend(rows::accepted::measure(&fresh(dir).await?, effort).await.context("accepted")?);
    }
    if wanted(Group::Pipeline) {
        rows.extend(rows::pipeline::measure(&fresh(dir).await?, effort).await.context("pipeline")?);
    }
    if wanted(Group::Sale) {
        rows.extend(rows::sale::small(&fresh(dir).await?, effort).await.context("sale")?);
    }
    if wanted(Group::Million) {
        rows.extend(rows::sale::large(&fresh(dir).await?).await.context("million")?);
    }
    if wanted(Group::Memory) {
        rows.push(rows::memory::measure(&fresh(dir).await?).await.context("memory")?);
    }
    if wanted(Group::Overload) {
        let plan = overload::Plan {
            rounds: effort.rounds,
            seconds: effort.seconds.max(OVERLOAD_SECONDS),
            orders: effort.orders,
            connections: CONNECTIONS as usize,
        };
        rows.push(overload::measure(&fresh(dir).await?, plan).await.context("overload")?.0);
    }
    if wanted(Group::Scenarios) {
        cpu::stay_on(&[0, 1])?;
        rows.extend(rows::scenarios::measure(dir, effort).await.context("scenarios")?);
    }
    let table = table::markdown(&rows);
    println!("{table}");
    if let Some(file) = &args.out {
        let text = format!("{}\n{table}", machine());
        std::fs::write(file, text).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(if rows.iter().all(Row::met) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Servers of their own for each group: no group meets what another has left.
///
/// # Errors
/// When they do not start.
pub async fn fresh(dir: &Path) -> anyhow::Result<Ring> {
    cpu::stay_on(&[0, 1])?;
    Ring::open(dir).await
}

/// The machine and the way, as a result must name them.
fn machine() -> String {
    let Machine { cpu, cores, memory_mib, kernel, os } = Machine::here();
    let date = spike_domain::clock::rfc3339(spike_domain::clock::now_ms());
    let (day, gib) = (&date[..10], memory_mib.div_ceil(1024));
    format!(
        "# make bench, {day}\n\n{cores} CPUs ({cpu}), {gib} GiB, {os}, Linux {kernel}. Sold out and accepted: \
         contender and Redis on CPU 0, generator, RabbitMQ and MariaDB on CPU 1 (where the gateway's relay publishes meanwhile). Overload: the \
         shop on CPU 0, the generator on CPU 1. Press to row, whole sales and scenarios: everything on every CPU. Contenders take turns; a ratio is the median of the rounds' ratios.\n"
    )
}
