//! A role's first step: all settings read and checked, then the log.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use spike_config::{Config, DatabaseConfig, LogFormat};
use spike_store::{DatabaseSettings, Store};
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

/// The database, asked once so that a wrong address is told here and not by the first statement.
///
/// # Errors
/// When it does not answer.
pub async fn store(database: &DatabaseConfig) -> anyhow::Result<Store> {
    let settings = DatabaseSettings {
        url: database.url.server().context("SPIKE_DATABASE_URL is empty")?.expose().to_owned(),
        connections_min: database.connections_min,
        connections_max: database.connections_max,
        acquire_timeout: Duration::from_millis(database.acquire_timeout_ms),
        statement_timeout: Duration::from_millis(database.statement_timeout_ms),
    };
    Store::connect(&settings)
        .await
        .with_context(|| format!("the database at {} does not answer", database.url))
}
