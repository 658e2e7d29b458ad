//! Where a process's spans go, as the settings say.

use std::sync::Arc;
use std::time::Duration;

use spike_config::{Config, Profile};
use spike_trace::{Settings, Traces};

/// The traces of `service`; `None` when they are off. Each caller has a queue and a thread of its own.
///
/// # Errors
/// The system has no thread left.
pub fn traces(config: &Config, service: &'static str) -> std::io::Result<Option<Arc<Traces>>> {
    let telemetry = &config.telemetry;
    let Some(endpoint) = &telemetry.otlp_endpoint else { return Ok(None) };
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let settings = Settings {
        endpoint: endpoint.expose().to_owned(),
        service,
        instance: format!("{}:{}", host.trim(), std::process::id()),
        environment: match config.profile {
            Profile::Dev => "dev",
            Profile::Staging => "staging",
            Profile::Prod => "prod",
        },
        ratio: telemetry.sample_ratio,
        slow: (telemetry.slow_ms > 0).then(|| Duration::from_millis(telemetry.slow_ms)),
        buys_per_s_max: telemetry.sampled_per_s_max,
        queue_max: telemetry.queue_max,
    };
    let traces = Traces::start(&settings)?;
    tracing::info!(%endpoint, ratio = settings.ratio, "traces are sent");
    Ok(Some(traces))
}
