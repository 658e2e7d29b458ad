//! `spike worker`.

use std::path::Path;
use std::process::ExitCode;

use spike_config::allowed_cpus;
use tokio::runtime::Builder;

use crate::{settings, shutdown};

/// The worker waits for servers; more threads than this have nothing to do.
const THREADS_MAX: usize = 4;

/// Works until a signal, then finishes the batch in hand.
pub fn run(file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = settings::load(file)?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(allowed_cpus().len().clamp(1, THREADS_MAX))
        .thread_name("worker")
        .enable_all()
        .build()?;
    runtime.block_on(async { spike_worker::run(config, shutdown::told()?).await })?;
    Ok(ExitCode::SUCCESS)
}
