//! `spike migrate`: the database's schema, forward or back.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use tokio::runtime::Builder;

use crate::settings;

/// Which way.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    direction: Option<Direction>,
}

#[derive(Subcommand)]
enum Direction {
    /// Apply every migration that is not applied yet (the default).
    Up,
    /// Undo migrations, with their data.
    Down {
        /// Undo those above this version; 0 undoes all.
        #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(i64).range(0..))]
        to: i64,
    },
}

/// Migrates. Processes that start together take turns.
pub fn run(file: Option<&Path>, args: &Args) -> anyhow::Result<ExitCode> {
    let config = settings::load(file)?;
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let database = settings::database(&config).await?;
        let store = &database.store;
        match args.direction {
            None | Some(Direction::Up) => store.migrate().await?,
            Some(Direction::Down { to }) => store.migrate_down(to).await?,
        }
        store.close().await;
        tracing::info!(database = %config.database.url, "schema migrated");
        Ok(ExitCode::SUCCESS)
    })
}
