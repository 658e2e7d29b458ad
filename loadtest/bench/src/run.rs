//! `spike-load run`: an open-loop load against any gateway.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use loadtest::Mode;
use loadtest::http::Json;
use loadtest::open::{OpenResult, OpenSpec};
use loadtest::record::{Machine, Phase, Record};
use spike_arena::stage::CALL;
use spike_domain::EventId;
use spike_domain::clock::{now_ms, rfc3339};

use crate::drive;
use crate::misuse::Misuse;
use crate::mix::{MixArgs, Rates};
use crate::report;
use crate::shop::{self, UsersFile};
use crate::target::Target;

/// What is sent unless something else is asked for: the rates of the scripts for k6, and some who look and some who hammer.
const RATES: Rates =
    Rates { spike: 1000.0, bots: 50.0, browse: 200.0, list: 500.0, order: 100.0, login: 20.0 };
/// Connections from one address of this machine.
const EACH: usize = 4;

/// What to send, and where.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The gateway, such as http://127.0.0.1:8080; the one of the users' file unless given.
    #[arg(long)]
    url: Option<String>,
    /// The event whose buy is pressed; the one of the users' file unless given.
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    event: Option<i64>,
    /// Users with their tokens, as `spike admin load-users` writes them.
    #[arg(long, value_name = "FILE")]
    users: PathBuf,
    #[command(flatten)]
    mix: MixArgs,
    /// How long requests arrive.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// The most connections at a time.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,
    /// The longest a client waits for its answer, from the scheduled time of its request on; seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    deadline: u64,
    /// The same seed makes the same requests at the same times.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The record to write, for `spike-load report`.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// What the buyers were told, for `spike-load verify`.
    #[arg(long, value_name = "FILE")]
    told: Option<PathBuf>,
}

/// Runs the load. Errors of the gateway are outcomes, not a failure of the run.
///
/// # Errors
/// [`Misuse`] of the arguments, or a gateway that cannot be reached.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let file = UsersFile::read(&args.users)?;
    let left_ms = file.expires_at_ms.saturating_sub(now_ms());
    if left_ms < args.seconds * 1000 {
        let (name, left_s) = (args.users.display(), left_ms / 1000);
        let text = format!(
            "the tokens of {name} hold for {left_s} s more, the load takes {} s: make another file",
            args.seconds
        );
        return Err(Misuse(text).into());
    }
    let target = Target::find(args.url.as_deref().unwrap_or(&file.base)).await?;
    let shop = file.into_shop(args.event.map(EventId));
    let mut api = Json::new(&target.api(), CALL).await?;
    shop::known(&mut api, shop.event).await?;
    let rates = args.mix.rates(RATES);
    let spec = OpenSpec {
        base: target.at,
        host: target.host.clone(),
        streams: rates.streams(&shop),
        duration: Duration::from_secs(args.seconds),
        requests_max: u64::MAX,
        connections_max: args.connections as usize,
        deadline: Duration::from_secs(args.deadline),
        patience: Duration::from_secs(args.deadline),
        seed: args.seed,
        sources: drive::sources(target.at.ip().is_loopback(), args.connections as usize, EACH),
    };
    let started_at = rfc3339(now_ms());
    let result = drive::drive(spec, Mode::detect(false)).await?;
    let record = record(args, &target, &rates, (shop.event, shop.buyers.len()), &result, started_at);
    print!("{}", drive::lines(&record.phases[0].streams));
    if let Some(file) = &args.record {
        record.write(file)?;
        println!("{}", file.display());
    }
    if let Some(file) = &args.told {
        let text = serde_json::to_vec(&result.sales)?;
        std::fs::write(file, text).with_context(|| format!("write {}", file.display()))?;
        println!("{}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn record(
    args: &Args,
    target: &Target,
    rates: &Rates,
    (event, users): (EventId, usize),
    result: &OpenResult,
    started_at: String,
) -> Record {
    let mut parameters: BTreeMap<String, String> = rates.parameters();
    for (name, value) in [
        ("gateway", target.host.clone()),
        ("event", event.to_string()),
        ("users", users.to_string()),
        ("connections, most", args.connections.to_string()),
        ("deadline, s", args.deadline.to_string()),
        ("seconds", args.seconds.to_string()),
        ("seed", args.seed.to_string()),
    ] {
        parameters.insert(name.to_owned(), value);
    }
    let connections = result.connections;
    let phase = Phase {
        name: "load".to_owned(),
        seconds: result.elapsed.as_secs_f64(),
        streams: result.streams.iter().map(|stream| stream.figures.clone()).collect(),
        notes: vec![
            format!("Open loop over {connections} connections; latencies count from the scheduled times."),
            "The machine and the commit are those of the generator; the servers were not looked at."
                .to_owned(),
        ],
        ..Phase::default()
    };
    Record {
        title: format!("Load on {}", target.host),
        started_at,
        machine: Machine::here(),
        commit: report::commit(),
        parameters,
        phases: vec![phase],
    }
}
