//! A role's first step: all settings read and checked, then the log.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use spike_backends::DataFolder;
use spike_config::{Config, LogFormat, Role};
use spike_store::Store;
use spike_telemetry::Format;

/// The settings of this process, with its log started.
///
/// # Errors
/// Every mistake in the settings at once; the process is to exit 2.
pub fn load(file: Option<&Path>) -> anyhow::Result<Arc<Config>> {
    let config = Config::from_process(file)?;
    let format = match config.log.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    spike_telemetry::init(format, &config.log.level)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Ok(Arc::new(config))
}

/// The same for one process of several: embedded parts could not be shared with the others.
///
/// # Errors
/// As [`load`], and every server that is missing.
pub fn load_for(role: Role, file: Option<&Path>) -> anyhow::Result<Arc<Config>> {
    let config = load(file)?;
    config.check_role(role)?;
    Ok(config)
}

/// A database that has answered, and the data folder it is in, if it is ours.
pub struct Database {
    /// The database.
    pub store: Store,
    _folder: Option<DataFolder>,
}

/// The database, asked once so that a wrong address is told here and not by the first statement.
///
/// # Errors
/// When it does not answer, or another process has the embedded one.
pub async fn database(config: &Config) -> anyhow::Result<Database> {
    let embedded = config.database.url.is_embedded();
    let folder = embedded.then(|| DataFolder::lock(&config.data.dir)).transpose()?;
    let store = Store::connect(&spike_backends::database_settings(config)).await;
    let at = || match config.database.url.server() {
        Some(url) => format!("the database at {url} does not answer"),
        None => format!("the database {} cannot be opened", config.data.database().display()),
    };
    Ok(Database { store: store.with_context(at)?, _folder: folder })
}
