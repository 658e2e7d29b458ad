//! `spike completions SHELL`: a script that makes a shell complete this binary's words.

use std::process::ExitCode;

use clap_complete::Shell;

/// For which shell.
#[derive(clap::Args)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

/// Prints the script for `command`.
pub fn run(mut command: clap::Command, args: &Args) -> ExitCode {
    clap_complete::generate(args.shell, &mut command, "spike", &mut std::io::stdout());
    ExitCode::SUCCESS
}
