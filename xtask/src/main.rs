//! Chores of the house that need more than a shell: `cargo xtask tidy`, `cargo xtask coverage`.

mod coverage;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the house.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check lengths, layers, stray files, open ends, links and commands of the documents against xtask/tidy.toml.
    Tidy,
    /// Check how much of the critical paths the tests execute against xtask/coverage.toml.
    Coverage {
        /// What `cargo llvm-cov report --json --summary-only` wrote.
        report: PathBuf,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it lies in the root");
    let is_good = match Arguments::parse().chore {
        Chore::Tidy => tidy::check(root)?.iter().map(|fault| println!("{fault}")).count() == 0,
        Chore::Coverage { report } => {
            let rows = coverage::rows(root, &report)?;
            rows.iter().for_each(|row| println!("{row}"));
            rows.iter().all(coverage::Row::is_met)
        }
    };
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
