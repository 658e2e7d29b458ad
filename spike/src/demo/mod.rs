//! `spike demo`: a whole sale with real processes over real sockets, and the proof that nothing was lost.
//!
//! [`plan`] chooses the settings, [`children`] are a `spike serve` of this very executable, or on the servers that [`servers`]
//! finds a gateway and a worker; [`stage`] puts something on sale over the control API, [`crowd`] makes the buyers, `loadtest`
//! lets them press, [`rest`] (or [`rest_embedded`]) waits until every accepted order is written and reads both sides, and
//! [`report`] says what came of it.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use loadtest::{Audit, AuditInput, Mode, Painter, PressPlan, Progress, SaleResult, SaleSpec, Summary};
use spike_arena::{crowd, rest, stage};
use spike_config::Config;
use spike_domain::EventId;
use spike_gateway::tokens::Tokens;
use tokio::runtime::Builder;
use tokio::time::Instant;

use crate::outcome::Misuse;
use crate::{settings, shutdown};
use children::Children;
use plan::Plan;
use report::step;

mod children;
mod plan;
mod report;
mod rest_embedded;
mod servers;

/// The longest a buyer waits for an answer.
const PRESS_DEADLINE: Duration = Duration::from_secs(10);
/// From the event's creation to its opening: warm-up, open connections, early presses.
const LEAD_MS: u64 = 4_000;

/// The sale.
#[derive(clap::Args)]
pub struct Args {
    /// Run a gateway and a worker on real servers instead of one embedded process: those of SPIKE_REDIS_URL, SPIKE_AMQP_URL and SPIKE_DATABASE_URL, or those of `make up`.
    #[arg(long)]
    servers: bool,
    /// Presses of buy, early ones included.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    requests: u64,
    /// Buyers. Each presses once while the requests last; the others come from buyers drawn at random.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    users: u32,
    /// Units on sale.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    stock: u32,
    /// Units a press asks for, and the most one buyer may hold.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    quantity: u32,
    /// Connections that press, each from a loopback address of its own.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Share of the presses that come before the opening, 0 to 1.
    #[arg(long, default_value_t = 0.01, value_parser = share)]
    early: f64,
    /// The same seed makes the same presses in the same order.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// End standard output with one line of JSON.
    #[arg(long)]
    json: bool,
    /// Keep the logs of gateway and worker; those of a failed sale are always kept.
    #[arg(long)]
    keep: bool,
}

/// Runs the sale. Exit code 1 when the audit finds fault or an answer is missing.
pub fn run(file: Option<&Path>, args: &Args) -> anyhow::Result<ExitCode> {
    let plan = Plan::new(file, args)?;
    let files = loadtest::open_files::raise().context("raise the limit of open files")?;
    let needed = u64::from(args.connections) + 200;
    if files < needed {
        let connections = args.connections;
        return Err(Misuse(format!(
            "--connections is {connections}, but only {files} files may be open (ulimit -n)"
        ))
        .into());
    }
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let interrupted = shutdown::told()?;
        let mut children = Children::new(plan.folder.clone());
        let outcome = tokio::select! {
            outcome = sale(args, &plan, &mut children) => outcome,
            () = interrupted => Err(anyhow::anyhow!("interrupted")),
        };
        let left_well = children.stop().await;
        let passed = matches!(&outcome, Ok(finished) if finished.passed()) && left_well;
        children.clear(passed && !args.keep);
        let finished = outcome?;
        finished.print(args, &plan);
        Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// A sale that has been audited.
struct Finished {
    event: EventId,
    result: SaleResult,
    audit: Audit,
    summary: Summary,
}

impl Finished {
    fn passed(&self) -> bool {
        self.summary.passed(&self.audit)
    }

    fn print(&self, args: &Args, plan: &Plan) {
        println!("\n{}", self.summary.table(&self.result, &self.audit));
        match &plan.servers {
            Some(servers) => println!("{}", report::by_hand(&plan.config, servers, self.event)),
            None => println!("{}", report::try_next()),
        }
        if args.json {
            println!("{}", self.summary.json());
        }
    }
}

async fn sale(args: &Args, plan: &Plan, children: &mut Children) -> anyhow::Result<Finished> {
    let config = &plan.config;
    match &plan.servers {
        Some(servers) => println!("servers       {}", servers.origin),
        None => println!("servers       none: one process, its data in {}", config.data.dir.display()),
    }
    // The embedded database has one process at a time: what needs it comes before the children and after them.
    let (admin, crowd) = step("database migrated, accounts in it", accounts(args, config)).await?;
    let ready = if plan.servers.is_some() { "gateway and worker ready" } else { "spike serve ready" };
    step(ready, children.start(plan)).await?;

    let base = format!("http://{}/api/v1", config.http.listen);
    let admin = step("an admin logged in", stage::log_in(&base, &admin)).await?;
    let tokens = Tokens::new(&config.auth);
    let buyers = step(
        &format!("{} buyers, {} of them registered over HTTP", args.users, crowd::registering(args.users)),
        crowd::gather(crowd, &tokens, &base, plan.sources),
    )
    .await?;
    let on_sale = stage::OnSale { units: args.stock, quantity: args.quantity };
    let opening =
        step("a product and its sale, warmed up", stage::open(&base, &admin, on_sale, LEAD_MS)).await?;

    println!("{}", report::limits(config, plan));
    let spec = SaleSpec {
        base: config.http.listen,
        host: config.http.listen.to_string(),
        event: opening.event,
        start_at_ms: opening.start_at_ms,
        buyers,
        requests: args.requests,
        connections: args.connections as usize,
        presses: PressPlan { early: args.early, ..PressPlan::default() },
        quantity: args.quantity,
        deadline: PRESS_DEADLINE,
        seed: args.seed,
    };
    let result = press(args, spec).await?;
    let last_answer = Instant::now();
    children.check()?;
    let event = opening.event;
    let (drained, both) = if plan.servers.is_some() {
        of_servers(config, event, last_answer).await?
    } else {
        let asked = step("drained", rest_embedded::wait(&base, &admin, event, last_answer)).await?;
        anyhow::ensure!(children.stop().await, "spike serve did not leave well");
        (asked.drained, step("its files read", rest_embedded::read(config, event, &asked)).await?)
    };
    Ok(audited(args, event, result, drained, both))
}

/// Waits until Redis and the database are at rest, then reads both; also how long it took since `since`.
async fn of_servers(
    config: &Config,
    event: EventId,
    since: Instant,
) -> anyhow::Result<(Duration, rest::BothSides)> {
    let store = settings::database(config).await?.store;
    let books = rest::Books::open(config, store.clone(), event).await?;
    let drained = step("drained", books.wait(since)).await?;
    let both = step("both sides read", books.read()).await?;
    store.close().await;
    Ok((drained, both))
}

/// An admin, and everybody who does not register, in a database of the newest schema.
async fn accounts(args: &Args, config: &Config) -> anyhow::Result<(stage::Admin, crowd::Crowd)> {
    let database = settings::database(config).await?;
    let store = &database.store;
    store.migrate().await?;
    let admin = stage::create_admin(store, &config.auth).await?;
    let crowd = crowd::insert(store, &config.auth, args.users).await?;
    store.close().await;
    Ok((admin, crowd))
}

async fn press(args: &Args, spec: SaleSpec) -> anyhow::Result<SaleResult> {
    let progress = Arc::new(Progress::default());
    let silent = args.json && !std::io::stderr().is_terminal();
    let mode = if silent { Mode::Silent } else { Mode::detect(false) };
    let painter = Painter::start(progress.clone(), u64::from(args.stock), args.quantity, mode);
    let result = loadtest::run(spec, progress).await;
    painter.finish().await;
    Ok(result?)
}

fn audited(
    args: &Args,
    event: EventId,
    result: SaleResult,
    drained: Duration,
    both: rest::BothSides,
) -> Finished {
    let mut audit = loadtest::audit(&AuditInput {
        stock: u64::from(args.stock),
        quantity: args.quantity,
        requests: args.requests,
        counts: result.figures.counts,
        history: &result.history,
        rows: &both.rows,
        conservation: both.conservation,
    });
    audit.differences.extend(both.differences);
    let summary = Summary::new(&result, drained, &audit);
    Finished { event, result, audit, summary }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share from 0 to 1".to_owned())
}
