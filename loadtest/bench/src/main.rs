//! `spike-load`: the comparisons and load tests of this project, each by one command.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod compare;
mod contender;
mod cpu;
mod load;
mod ring;
mod rows;
mod table;
mod wrk;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Comparisons and load tests of Spike on private servers that it starts and ends itself.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Where servers and logs are put; those of an earlier run are removed.
    #[arg(long, default_value = ".spike/bench", global = true)]
    dir: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Measure the rows of docs/benchmarks side by side with the peers; exit code 1 when a target is missed.
    Compare(compare::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let done = runtime.block_on(async {
        match &cli.what {
            What::Compare(args) => compare::run(&cli.dir, args).await,
        }
    });
    done.unwrap_or_else(|error| {
        eprintln!("spike-load: {error:#}");
        ExitCode::FAILURE
    })
}
