//! The one binary: every process of Spike is a role of it, named by its first word.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

mod admin;
mod completions;
mod dead_letters;
mod demo;
mod first_admin;
mod gateway;
mod health;
mod man;
mod migrate;
mod outcome;
mod reconcile;
mod seed;
mod serve;
mod settings;
mod shutdown;
mod worker;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Flash sales that neither oversell nor forget.
///
/// Settings come from embedded defaults, then a file, then SPIKE_* variables; configs/default.toml lists them all. A bad
/// one is told before any port is bound, and the exit code is 2.
#[derive(Parser)]
#[command(version = env!("BUILD_VERSION"))]
struct Cli {
    /// A TOML file with the settings that differ from the defaults (or SPIKE_CONFIG).
    #[arg(long, value_name = "PATH", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Everything in one process: gateway and worker, with whatever has no server embedded in ./data.
    Serve(serve::Args),
    /// Answer buyers and the control API, and carry accepted orders to the broker. Needs all three servers.
    Gateway,
    /// Write accepted orders into the database and keep every ledger right. Needs all three servers.
    Worker,
    /// Bring the database to the newest schema, or back.
    Migrate(migrate::Args),
    /// Run a whole sale with real processes over real sockets, and audit it.
    Demo(demo::Args),
    /// What only an operator may do.
    Admin(admin::Args),
    /// Hold an event's ledger against the database; exit code 1 if they differ.
    Reconcile(reconcile::Args),
    /// Look at messages that nobody could use, replay them or give them up.
    DeadLetters(dead_letters::Args),
    /// Ask an operations port whether all is well; exit code 1 if not.
    Health(health::Args),
    /// Print a script that makes a shell complete these words.
    Completions(completions::Args),
    /// Print the manual's page, or write one for every command.
    Man(man::Args),
}

fn main() -> ExitCode {
    let _failpoints = spike_telemetry::arm_from_environment();
    let Cli { config, role } = Cli::parse();
    outcome::exit_code(run(role, config.as_deref()))
}

fn run(role: Role, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    match role {
        Role::Serve(args) => serve::run(config, &args),
        Role::Gateway => gateway::run(config),
        Role::Worker => worker::run(config),
        Role::Migrate(args) => migrate::run(config, &args),
        Role::Demo(args) => demo::run(config, &args),
        Role::Admin(args) => admin::run(config, args),
        Role::Reconcile(args) => reconcile::run(config, &args),
        Role::DeadLetters(args) => dead_letters::run(config, args),
        Role::Health(args) => health::run(config, &args),
        Role::Completions(args) => Ok(completions::run(Cli::command(), &args)),
        Role::Man(args) => man::run(Cli::command(), &args),
    }
}
