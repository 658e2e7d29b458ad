//! `make fuzz`: the targets one after the other, each for a time. Exit code 1 at a finding.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use spike_fuzz::TARGETS;
use spike_fuzz::explore::{Until, explore};

/// Looks for inputs that break a promise; guided by outcomes, not by coverage.
#[derive(Parser)]
struct Arguments {
    /// For how long each target, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Where the random numbers start; without one, somewhere else each time.
    #[arg(long)]
    seed: Option<u64>,
    /// Only these: resp, press, token, message.
    targets: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let unknown = |name: &&String| !TARGETS.iter().any(|target| target.name == **name);
    if let Some(name) = arguments.targets.iter().find(unknown) {
        eprintln!("no target '{name}'; there are: {}", TARGETS.map(|target| target.name).join(", "));
        return ExitCode::from(2);
    }
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    let wanted =
        |name: &str| arguments.targets.is_empty() || arguments.targets.iter().any(|target| target == name);
    let mut code = ExitCode::SUCCESS;
    for target in TARGETS.iter().filter(|target| wanted(target.name)) {
        let report = explore(target, seed, Until::Passed(Duration::from_secs(arguments.seconds)));
        println!("{:8} {} inputs, {} outcomes, seed {seed}", target.name, report.inputs, report.outcomes);
        if let Some((_, path)) = report.finding {
            println!("{:8} a promise is broken by {}", target.name, path.display());
            code = ExitCode::FAILURE;
        }
    }
    code
}
