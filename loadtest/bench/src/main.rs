//! `spike-load`: the comparisons and load tests of this project, each by one command.
//!
//! [`run`] presses any gateway, [`verify`] audits its sale, [`report`] writes what came of it; [`stage`] is all three on private
//! servers, [`overload`] ten times more than those can take, and [`compare`] the table of targets.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod compare;
mod contender;
mod cpu;
mod drive;
mod load;
mod misuse;
mod mix;
mod overload;
mod report;
mod ring;
mod rows;
mod run;
mod sampler;
mod shop;
mod stage;
mod table;
mod target;
mod verdict;
mod verify;
mod wrk;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Comparisons and load tests of Spike, on any gateway or on private servers.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Where private servers and logs are put; those of an earlier run are removed.
    #[arg(long, default_value = ".spike/bench", global = true)]
    dir: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Measure the table of targets side by side with the peers; exit code 1 when one is missed.
    Compare(compare::Args),
    /// Press any gateway, open loop, and write a record.
    Run(run::Args),
    /// Audit a sale that is over against its Redis and its database; exit code 1 when something is wrong.
    Verify(verify::Args),
    /// Write REPORT.md and report.html from records.
    Report(report::Args),
    /// Run a whole sale on private servers, audit it and report; exit code 1 when something is wrong.
    Stage(stage::Args),
    /// Offer private servers ten times what they can take, and report; exit code 1 when the target is missed.
    Overload(overload::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    misuse::exit_code(runtime.block_on(async {
        match &cli.what {
            What::Compare(args) => compare::run(&cli.dir, args).await,
            What::Run(args) => run::run(args).await,
            What::Verify(args) => verify::run(args).await,
            What::Report(args) => report::run(args),
            What::Stage(args) => stage::run(&cli.dir, args).await,
            What::Overload(args) => overload::run(&cli.dir, args).await,
        }
    }))
}
