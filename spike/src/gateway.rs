//! `spike gateway`.

use std::path::Path;
use std::process::ExitCode;

use spike_backends::Backends;
use spike_config::Role;
use tokio::runtime::Builder;

use crate::{first_admin, settings, shutdown};

/// Serves until a signal, then drains.
pub fn run(file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = settings::load_for(Role::Gateway, file)?;
    first_admin::check(&config)?;
    // Each connection is a file, and the usual soft limit is 1024 of them.
    let files = loadtest::open_files::raise()?;
    tracing::info!(files, "limit of open files");
    let sidecar = Builder::new_multi_thread()
        .worker_threads(config.sidecar.threads)
        .thread_name("sidecar")
        .enable_all()
        .build()?;
    sidecar.block_on(async {
        let backends = Backends::connect(&config)?;
        first_admin::check_public(&config, &backends.store).await?;
        let first = tokio::spawn(first_admin::ensure(config.clone(), backends.store.clone()));
        let store = backends.store.clone();
        let ended = tokio::select! {
            ended = spike_gateway::run(config.clone(), backends, shutdown::told()?) => ended,
            refused = first_admin::refuse_public(&config, &store) => Err(refused),
        };
        first.abort();
        ended
    })?;
    Ok(ExitCode::SUCCESS)
}
