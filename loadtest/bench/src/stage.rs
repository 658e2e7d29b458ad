//! `spike-load stage`: a whole flash sale on private servers, with everything that goes on around it, looked at while it runs,
//! audited afterwards, and put on record.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use loadtest::Mode;
use loadtest::open::{OpenResult, OpenSpec};
use loadtest::record::{Machine, Phase, Record, Sample};
use spike_arena::crowd;
use spike_arena::rest::Books;
use spike_domain::clock::{now_ms, rfc3339};
use tokio::time::Instant;

use crate::drive;
use crate::misuse::Misuse;
use crate::mix::{MixArgs, Rates};
use crate::report::{self, Place};
use crate::ring::Ring;
use crate::sampler::{Sampler, Seen};
use crate::shop::{Processes, Shop};
use crate::verdict::{self, Verdict};

/// What is sent unless something else is asked for. Logins stay below what one hashing thread can do (some 30 a second).
const RATES: Rates =
    Rates { spike: 8000.0, bots: 500.0, browse: 800.0, list: 400.0, order: 50.0, login: 5.0 };
/// Connections from one address.
const EACH: usize = 4;

/// How large.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Requests of all kinds together.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    requests: u64,
    /// Users with accounts and tokens.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(2..=2_000_000))]
    users: u32,
    /// Units on sale.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    stock: u32,
    #[command(flatten)]
    mix: MixArgs,
    /// The most connections at a time.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,
    /// The longest a client waits for its answer, from the scheduled time of its request on; seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    deadline: u64,
    /// Milliseconds between two looks at the servers.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    sample_ms: u64,
    /// The same seed makes the same requests at the same times.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    place: Place,
}

/// Runs the sale and writes record and report. Exit code 1 when the audit finds fault.
///
/// # Errors
/// When a server or a process fails, or a file cannot be written.
pub async fn run(dir: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    let rates = args.mix.rates(RATES);
    if rates.spike <= 0.0 {
        return Err(
            Misuse("--spike-per-s is 0: a sale needs buyers (`spike-load run` does without)".into()).into()
        );
    }
    let started_at = rfc3339(now_ms());
    let begin = Instant::now();
    let step = |what: &str| eprintln!("{:>7.1} s  {what}", begin.elapsed().as_secs_f64());
    let ring = Ring::open_with(dir, settings()).await?;
    step("private Redis, MariaDB and RabbitMQ");
    let mut processes = Processes::start(&ring, None).await?;
    step("gateway and worker ready");
    let shop = Shop::open(&ring, args.users, args.stock).await?;
    let registered = crowd::registering(args.users);
    step(&format!(
        "{} users with tokens ({registered} registered and logged in), event {} is open",
        args.users, shop.event
    ));

    let (phase, verdict) = sale(&ring, &mut processes, args, &rates, &shop, begin).await?;
    step("drained and audited");
    print!("{}", drive::lines(&phase.streams));
    print!("{}", verdict.table(shop.event));
    processes.check()?;
    processes.leave().await;
    let record = Record {
        title: format!(
            "A flash sale: {} requests, {} users, {} units",
            args.requests, args.users, args.stock
        ),
        started_at,
        machine: Machine::here(),
        commit: report::commit(),
        parameters: parameters(args, &rates),
        phases: vec![phase],
    };
    args.place.keep(&record, report::SALE)?;
    Ok(if verdict.clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The load, the drain and the audit.
async fn sale(
    ring: &Ring,
    processes: &mut Processes,
    args: &Args,
    rates: &Rates,
    shop: &Shop,
    begin: Instant,
) -> anyhow::Result<(Phase, Verdict)> {
    let connections = args.connections as usize;
    let spec = OpenSpec {
        base: ring.base(),
        host: ring.base().to_string(),
        streams: rates.streams(shop),
        duration: drive::at_most(args.requests, rates.total()),
        requests_max: args.requests,
        connections_max: connections,
        deadline: Duration::from_secs(args.deadline),
        patience: Duration::from_secs(args.deadline),
        seed: args.seed,
        sources: drive::sources(true, connections, EACH),
    };
    let sampling =
        Sampler::open(ring, processes, shop.event).await?.start(Duration::from_millis(args.sample_ms));
    let started_s = begin.elapsed().as_secs_f64();
    let result = drive::drive(spec, Mode::detect(false)).await?;
    let last_answer = Instant::now();
    processes.check()?;
    let books = Books::open(&ring.config, ring.store.clone(), shop.event).await?;
    let drained = books.wait(last_answer).await?;
    let seen = sampling.end(ring).await?;
    let told = verdict::join(shop.event, result.sales.clone()).context("nobody pressed")?;
    let verdict = Verdict::reach(&books, Some(&told), drained).await?;
    let phase = Phase {
        name: "sale".to_owned(),
        started_s,
        seconds: result.elapsed.as_secs_f64(),
        notes: notes(&result, &seen, args.stock),
        streams: result.streams.into_iter().map(|stream| stream.figures).collect(),
        samples: seen.samples,
        figures: seen.figures,
        audit: Some(verdict.audit.clone()),
    };
    Ok((phase, verdict))
}

/// What every process is told: the defaults, and what a load on the servers' own machine needs.
pub fn settings() -> BTreeMap<String, String> {
    let cores = (spike_config::allowed_cpus().len() / 2).max(1);
    [
        ("SPIKE_HOT_CORES", cores.to_string()),
        // A pinned core would wait for a generator's thread that the scheduler has put on its CPU.
        ("SPIKE_HOT_PIN", "false".to_owned()),
        // A disk that keeps Redis waiting is to be seen in the latency, as it would be by a patient buyer.
        ("SPIKE_HOT_REDIS_TIMEOUT_MS", "5000".to_owned()),
        // Users are made at once, from one address.
        ("SPIKE_LOGIN_REGISTER_BURST", "1000".to_owned()),
        // Tokens hold through the whole run.
        ("SPIKE_AUTH_ACCESS_TTL_S", "7200".to_owned()),
        ("SPIKE_LOG_LEVEL", "warn".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn parameters(args: &Args, rates: &Rates) -> BTreeMap<String, String> {
    let mut parameters = rates.parameters();
    for (name, value) in [
        ("requests", args.requests.to_string()),
        ("users", args.users.to_string()),
        ("users who registered and logged in over HTTP", crowd::registering(args.users).to_string()),
        ("units on sale", args.stock.to_string()),
        ("connections, most", args.connections.to_string()),
        ("deadline of a client, s", args.deadline.to_string()),
        ("looks at the servers, every ms", args.sample_ms.to_string()),
        ("seed", args.seed.to_string()),
    ] {
        parameters.insert(name.to_owned(), value);
    }
    parameters.extend(settings());
    parameters
}

/// What a reader has to know of the figures.
fn notes(result: &OpenResult, seen: &Seen, stock: u32) -> Vec<String> {
    let mut notes = vec![
        format!(
            "Open loop from one thread over {} connections; generator, gateway, worker and servers share this machine's cores.",
            result.connections
        ),
        "Users have real accounts; the tokens of those who did not log in were signed with the gateway's key. The limits are the \
         gateway's defaults: `press` is the debounce."
            .to_owned(),
    ];
    if let Some(at_s) = sold_out_at(&seen.samples) {
        let per_s = f64::from(stock) / at_s.max(f64::EPSILON);
        notes.push(format!("Sold out by second {at_s:.1}: {per_s:.0} units a second until then."));
    }
    notes.extend(seen.failed.iter().map(|failed| format!("A look at the servers failed, {failed}.")));
    notes
}

/// When the stock was first seen empty, seconds.
fn sold_out_at(samples: &[Sample]) -> Option<f64> {
    samples.iter().find(|sample| sample.stock == Some(0)).map(|sample| sample.at_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_a_load_are_allowed() {
        let config = spike_config::Config::load(None, settings());
        config.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    }

    #[test]
    fn a_sale_is_over_when_its_stock_is_first_seen_empty() {
        let sample = |at_s, stock| Sample { at_s, stock, ..Sample::default() };
        let samples = [sample(1.0, Some(9)), sample(2.0, None), sample(3.0, Some(0)), sample(4.0, Some(0))];
        assert_eq!((sold_out_at(&samples), sold_out_at(&samples[..2])), (Some(3.0), None));
    }
}
