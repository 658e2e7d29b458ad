//! `spike worker`.

use std::path::Path;
use std::process::ExitCode;

use spike_backends::Backends;
use spike_config::{Role, allowed_cpus};
use tokio::runtime::Builder;

use crate::{settings, shutdown};

/// The worker waits for servers; more threads than this have nothing to do.
const THREADS_MAX: usize = 4;

/// Works until a signal, then finishes the batch in hand.
pub fn run(file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = settings::load_for(Role::Worker, file)?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(allowed_cpus().len().clamp(1, THREADS_MAX))
        .thread_name("worker")
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let backends = Backends::connect(&config)?;
        let store = backends.store.clone();
        let ended = spike_worker::run(config, backends, shutdown::told()?).await;
        store.close().await;
        ended
    })?;
    Ok(ExitCode::SUCCESS)
}
