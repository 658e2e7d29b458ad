//! `spike man`: the manual, made from the command line itself.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

/// Where to.
#[derive(clap::Args)]
pub struct Args {
    /// Write a page for every command into this folder; without it the page of the binary is printed.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

/// Prints or writes the pages of `command`.
///
/// # Errors
/// When a page cannot be written.
pub fn run(command: clap::Command, args: &Args) -> anyhow::Result<ExitCode> {
    match &args.dir {
        None => clap_mangen::Man::new(command).render(&mut std::io::stdout()).context("print the page")?,
        Some(dir) => {
            std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
            clap_mangen::generate_to(command, dir)
                .with_context(|| format!("write into {}", dir.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
