//! `spike demo`: a whole sale with real processes over real sockets, and the proof that nothing was lost.
//!
//! [`servers`] finds Redis, RabbitMQ and the database, [`plan`] chooses the settings, [`children`] are a gateway and a worker
//! of this very executable, [`stage`] puts something on sale over the control API, [`crowd`] makes the buyers,
//! `loadtest` lets them press, [`rest`] waits until every accepted order is written and reads both sides, and [`report`]
//! says what came of it.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use loadtest::{Audit, AuditInput, Mode, Painter, PressPlan, Progress, SaleResult, SaleSpec, Summary};
use spike_config::Config;
use spike_domain::EventId;
use spike_gateway::tokens::Tokens;
use spike_store::Store;
use tokio::runtime::Builder;
use tokio::time::Instant;

use crate::outcome::Misuse;
use crate::{settings, shutdown};
use children::Children;
use plan::Plan;
use report::step;

mod children;
mod crowd;
mod plan;
mod report;
mod rest;
mod servers;
mod stage;

/// The longest a buyer waits for an answer.
const PRESS_DEADLINE: Duration = Duration::from_secs(10);

/// The sale.
#[derive(clap::Args)]
pub struct Args {
    /// Run on real servers: those of SPIKE_REDIS_URL, SPIKE_AMQP_URL and SPIKE_DATABASE_URL, or those of `make up`.
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
    if !args.servers {
        return Err(Misuse(
            "this build runs the demo on real servers only: `make up && spike demo --servers`".to_owned(),
        )
        .into());
    }
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
        let mut children = Children::new(plan.logs.clone());
        let outcome = tokio::select! {
            outcome = sale(args, &plan, &mut children) => outcome,
            () = interrupted => Err(anyhow::anyhow!("interrupted")),
        };
        let left_well = children.stop().await;
        let passed = matches!(&outcome, Ok(finished) if finished.passed()) && left_well;
        children.clear_logs(passed && !args.keep);
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
        println!("{}", report::by_hand(&plan.config, &plan.servers, self.event));
        if args.json {
            println!("{}", self.summary.json());
        }
    }
}

async fn sale(args: &Args, plan: &Plan, children: &mut Children) -> anyhow::Result<Finished> {
    let config = &plan.config;
    println!("servers       {}", plan.servers.origin);
    let store = step("database migrated", async {
        let store = settings::store(&config.database).await?;
        store.migrate().await?;
        Ok(store)
    })
    .await?;
    step("gateway and worker ready", children.start(plan)).await?;

    let base = format!("http://{}/api/v1", config.http.listen);
    let admin = step("an admin logged in", stage::admin(&store, &config.auth, &base)).await?;
    let tokens = Tokens::new(&config.auth);
    let buyers = step(
        &format!("{} buyers, {} of them registered over HTTP", args.users, crowd::registering(args.users)),
        crowd::gather(&store, &tokens, &config.auth, &base, args.users, plan.sources),
    )
    .await?;
    let on_sale = stage::OnSale { units: args.stock, quantity: args.quantity };
    let opening = step("a product and its sale, warmed up", stage::open(&base, &admin, on_sale)).await?;

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
    let finished = audited(args, config, &store, opening.event, result, last_answer).await;
    store.close().await;
    finished
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

async fn audited(
    args: &Args,
    config: &Config,
    store: &Store,
    event: EventId,
    result: SaleResult,
    last_answer: Instant,
) -> anyhow::Result<Finished> {
    let ledger = rest::ledger(&config.redis).await?;
    let drained = step("drained", rest::wait(&ledger, store, event, last_answer)).await?;
    let both = step("both sides read", rest::read(&ledger, store, event)).await?;
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
    Ok(Finished { event, result, audit, summary })
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share from 0 to 1".to_owned())
}
