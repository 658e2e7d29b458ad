//! `spike-load verify`: audits a sale that is over against its Redis and its database.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use loadtest::open::SaleTold;
use spike_arena::rest::Books;
use spike_config::Config;
use spike_domain::EventId;
use spike_store::Store;
use tokio::time::Instant;

use crate::misuse::Misuse;
use crate::verdict::{self, Verdict};

/// What to audit.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The event's number.
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    event: i64,
    /// What buyers were told: the files that `spike-load run --told` wrote, of every load on this event.
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    told: Vec<PathBuf>,
}

/// Waits until nothing is under way any more, audits and prints. The servers are those of `SPIKE_REDIS_URL` and
/// `SPIKE_DATABASE_URL`. Exit code 1 when the audit finds fault.
///
/// # Errors
/// [`Misuse`] of an unknown event, of files that say nothing of it, or without servers; or servers that do not answer.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let event = EventId(args.event);
    let told = read(&args.told, event)?;
    let env = std::env::vars().filter(|(name, _)| name.starts_with("SPIKE_"));
    let config = Config::load(None, env)?;
    if config.redis.url.server().is_none() || config.database.url.server().is_none() {
        return Err(Misuse(
            "verify asks the shop's servers: set SPIKE_REDIS_URL and SPIKE_DATABASE_URL".into(),
        )
        .into());
    }
    let store = Store::connect(&spike_backends::database_settings(&config)).await?;
    if store.event(event).await?.is_none() {
        return Err(Misuse(format!("there is no event {event} in this database")).into());
    }
    let books = Books::open(&config, store.clone(), event).await?;
    let drained = books.wait(Instant::now()).await.with_context(|| format!("wait for event {event}"))?;
    let verdict = Verdict::reach(&books, told.as_ref(), drained).await?;
    store.close().await;
    print!("{}", verdict.table(event));
    Ok(if verdict.clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the files say of `event`, as one; `None` without files.
fn read(files: &[PathBuf], event: EventId) -> Result<Option<SaleTold>, Misuse> {
    let mut loads = Vec::new();
    for file in files {
        let name = file.display();
        let text = std::fs::read(file).map_err(|error| Misuse(format!("--told {name}: {error}")))?;
        let told: Vec<SaleTold> = serde_json::from_slice(&text).map_err(|error| {
            Misuse(format!("--told {name} was not written by `spike-load run --told`: {error}"))
        })?;
        loads.extend(told);
    }
    match verdict::join(event, loads) {
        None if !files.is_empty() => Err(Misuse(format!("none of the files of --told is of event {event}"))),
        told => Ok(told),
    }
}
