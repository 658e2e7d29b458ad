//! The settings of a demo: the user's own, then what a sale on one small machine needs, the same for every process of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use spike_config::{Config, allowed_cpus};

use super::Args;
use super::servers::{self, Servers};

/// Presses that one address may make at once unless more are planned: the default of the gateway.
const ADDRESS_BURST: u64 = 200;

/// Everything decided before anything is started.
pub struct Plan {
    /// Where the servers are; `None`: everything is embedded in one process.
    pub servers: Option<Servers>,
    /// Every `SPIKE_*` variable of the children.
    pub env: BTreeMap<String, String>,
    /// What the children will read.
    pub config: Arc<Config>,
    /// Loopback addresses the buyers come from.
    pub sources: usize,
    /// The folder of the children's logs and of the embedded parts' data.
    pub folder: PathBuf,
}

impl Plan {
    /// Reads the environment and the file, and chooses.
    ///
    /// # Errors
    /// No servers, or mistakes in the settings.
    pub fn new(file: Option<&Path>, args: &Args) -> anyhow::Result<Self> {
        let mut env: BTreeMap<String, String> = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .filter(|(name, _)| name.starts_with("SPIKE_"))
            .collect();
        let folder = PathBuf::from(format!(".spike/demo-{}", std::process::id()));
        let servers = args.servers.then(|| servers::find(&env)).transpose()?;
        let urls = servers.as_ref().map_or_else(Default::default, |servers| servers.urls.clone());
        env.extend(servers::VARIABLES.map(str::to_owned).into_iter().zip(urls));
        if servers.is_none() {
            // Never the data of a shop that runs here.
            env.insert("SPIKE_DATA_DIR".to_owned(), folder.join("data").display().to_string());
        }
        if let Some(file) = file {
            env.insert("SPIKE_CONFIG".to_owned(), file.display().to_string());
        }
        // The user's own ports may be those of a gateway that runs.
        for name in ["SPIKE_HTTP_LISTEN", "SPIKE_HTTP_OPS_LISTEN", "SPIKE_WORKER_OPS_LISTEN"] {
            env.insert(name.to_owned(), format!("127.0.0.1:{}", spike_devstack::free_port()?));
        }
        let sources = args.connections.min(args.users) as usize;
        for (name, value) in suited(args.requests, sources, allowed_cpus().len()) {
            env.entry(name.to_owned()).or_insert(value);
        }
        let config = Arc::new(Config::load(None, env.clone())?);
        Ok(Self { servers, env, config, sources, folder })
    }
}

/// Settings that a demo chooses where the user has not. The buyers share the machine with everything they press.
fn suited(requests: u64, sources: usize, cpus: usize) -> [(&'static str, String); 6] {
    let presses_of_an_address = requests.div_ceil(sources.max(1) as u64);
    [
        ("SPIKE_HOT_CORES", (cpus / 2).max(1).to_string()),
        // A pinned core would wait for a generator's thread that the scheduler has put on its CPU.
        ("SPIKE_HOT_PIN", "false".to_owned()),
        // A disk that keeps Redis waiting is to be seen in the latency, as it would be by a patient buyer.
        ("SPIKE_HOT_REDIS_TIMEOUT_MS", "5000".to_owned()),
        ("SPIKE_AUTH_ARGON2_THREADS", cpus.clamp(1, 16).to_string()),
        // A buyer's presses are drawn at random and may follow at once; refusing them would hide the stock's decision.
        ("SPIKE_LIMITS_DEBOUNCE_MS", "0".to_owned()),
        // The law of large numbers spreads presses over addresses; twice the mean is far beyond its spread.
        (
            "SPIKE_LIMITS_ADDRESS_BURST",
            ADDRESS_BURST.max(2 * presses_of_an_address).min(100_000_000).to_string(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_demo_chooses_is_allowed_and_gives_way_to_nobody_but_the_user() {
        for (requests, sources, cpus) in [(1, 1, 1), (10_000, 128, 2), (100_000_000, 1, 256)] {
            let chosen = suited(requests, sources, cpus).map(|(name, value)| (name.to_owned(), value));
            Config::load(None, chosen)
                .unwrap_or_else(|mistakes| panic!("{requests} {sources} {cpus}: {mistakes}"));
        }
        assert_eq!(
            suited(10_000, 128, 2)[5].1,
            ADDRESS_BURST.to_string(),
            "the default serves the usual sale"
        );
    }
}
