//! `spike-load overload`: the row of the table alone, and its record.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use loadtest::record::{Machine, Record};
use spike_domain::clock::{now_ms, rfc3339};

use crate::compare::fresh;
use crate::report::{self, Place};
use crate::rows::overload::{self, Plan};
use crate::table;

/// How thorough.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Peak and overload, so often in turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Seconds of each overload.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=60))]
    seconds: u32,
    /// Orders of each peak.
    #[arg(long, default_value_t = 40_000, value_parser = clap::value_parser!(u32).range(500..=1_000_000))]
    orders: u32,
    /// The most connections of the overload.
    #[arg(long, default_value_t = CONNECTIONS, value_parser = clap::value_parser!(u32).range(64..=100_000))]
    connections: u32,
    #[command(flatten)]
    place: Place,
}

/// Connections of the overload unless others are asked for.
pub const CONNECTIONS: u32 = 10_000;

/// Measures, prints, and writes record and report. Exit code 1 when the target is missed.
///
/// # Errors
/// When the shop cannot be measured, or a file not be written.
pub async fn run(dir: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    let plan = Plan {
        rounds: args.rounds.into(),
        seconds: args.seconds,
        orders: args.orders as usize,
        connections: args.connections as usize,
    };
    let started_at = rfc3339(now_ms());
    let (row, phases) = overload::measure(&fresh(dir).await?, plan).await?;
    let met = row.met();
    println!("{}", table::markdown(&[row]));
    let parameters = [
        ("rounds", args.rounds.to_string()),
        ("seconds of overload, most", args.seconds.to_string()),
        ("orders of a peak", args.orders.to_string()),
        ("connections of the overload, most", args.connections.to_string()),
        ("CPUs", "the shop on one, the generator on the other".to_owned()),
    ];
    let record = Record {
        title: "Ten times overload".to_owned(),
        started_at,
        machine: Machine::here(),
        commit: report::commit(),
        parameters: BTreeMap::from(parameters.map(|(name, value)| (name.to_owned(), value))),
        phases,
    };
    args.place.keep(&record, report::OVERLOAD)?;
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
