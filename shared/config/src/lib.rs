//! Every setting of Spike: embedded documented defaults, then a file, then `SPIKE_*` environment variables.
//!
//! All of it is read and checked before a port is bound; [`ConfigErrors`] lists every mistake with its name, its
//! value and what is allowed, and the caller prints it and exits 2. `configs/default.toml` is the manual.

use std::path::Path;

mod address_block;
mod admin;
mod affinity;
mod amqp;
mod auth;
mod backend;
mod cache;
mod checks;
mod choice;
mod data;
mod database;
mod error;
mod follower;
mod hot;
mod http;
mod layers;
mod limits;
mod log;
mod login;
mod nearest;
mod orders;
mod outbox;
mod payments;
mod profile;
mod reader;
mod redis;
mod relay;
mod role;
mod secret;
mod server_url;
mod sidecar;
mod telemetry;
#[cfg(test)]
mod tests;
mod token_key;
mod worker;

pub use address_block::AddressBlock;
pub use admin::AdminConfig;
pub use affinity::allowed_cpus;
pub use amqp::AmqpConfig;
pub use auth::AuthConfig;
pub use backend::Backend;
pub use cache::CacheConfig;
pub use data::DataConfig;
pub use database::DatabaseConfig;
pub use error::{ConfigError, ConfigErrors};
pub use follower::FollowerConfig;
pub use hot::{Driver, HotConfig};
pub use http::HttpConfig;
pub use limits::LimitsConfig;
pub use log::{LogConfig, LogFormat};
pub use login::LoginConfig;
pub use orders::OrdersConfig;
pub use outbox::OutboxConfig;
pub use payments::PaymentsConfig;
pub use profile::Profile;
pub use reader::Setting;
pub use redis::{RedisConfig, RedisEndpoint};
pub use relay::RelayConfig;
pub use role::Role;
pub use secret::Secret;
pub use server_url::ServerUrl;
pub use sidecar::SidecarConfig;
pub use telemetry::TelemetryConfig;
pub use token_key::{Ed25519Seed, RetiredKey, RetiredKeyKind, TokenAlgorithm};
pub use worker::WorkerConfig;

use layers::Layers;
use reader::Reader;

/// What is shown in place of a secret.
pub(crate) const STARS: &str = "***";

/// The whole configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where this runs.
    pub profile: Profile,
    /// The public port and the gateway's operations port.
    pub http: HttpConfig,
    /// The hot cores.
    pub hot: HotConfig,
    /// The runtime beside them.
    pub sidecar: SidecarConfig,
    /// Token buckets.
    pub limits: LimitsConfig,
    /// The folder of the embedded parts.
    pub data: DataConfig,
    /// The ledger: Redis, or embedded.
    pub redis: RedisConfig,
    /// The queue: RabbitMQ, or embedded.
    pub amqp: AmqpConfig,
    /// The database: MySQL or MariaDB, or embedded.
    pub database: DatabaseConfig,
    /// The outbox relay.
    pub relay: RelayConfig,
    /// The read cache of the catalogue.
    pub cache: CacheConfig,
    /// The snapshot follower.
    pub follower: FollowerConfig,
    /// The worker.
    pub worker: WorkerConfig,
    /// The outbox.
    pub outbox: OutboxConfig,
    /// Ordinary orders and idempotency keys.
    pub orders: OrdersConfig,
    /// The payment provider.
    pub payments: PaymentsConfig,
    /// Tokens and passwords.
    pub auth: AuthConfig,
    /// Logins that fail, and registering.
    pub login: LoginConfig,
    /// The first administrator.
    pub admin: AdminConfig,
    /// What is counted and measured.
    pub telemetry: TelemetryConfig,
    /// The log.
    pub log: LogConfig,
    /// What is allowed here but would not be in prod; to be logged once the log is up.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads the configuration from a file, if any (or the one `SPIKE_CONFIG` names), and the given variables.
    ///
    /// # Errors
    /// Every mistake at once: bad values, unknown names, an unreadable file.
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let env: Vec<_> = env.into_iter().collect();
        let named = env.iter().find(|(name, _)| name == "SPIKE_CONFIG").map(|(_, path)| Path::new(path));
        let Some(path) = file.or(named.filter(|path| !path.as_os_str().is_empty())) else {
            return Self::from_layers(None, env);
        };
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::from_layers(Some((&name, &text)), env),
            Err(error) => Err(ConfigErrors(vec![ConfigError::File {
                file: name,
                reason: format!("cannot be read: {error}"),
            }])),
        }
    }

    /// [`Config::load`] with the environment of this process: the one place that looks at it.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_process(file: Option<&Path>) -> Result<Self, ConfigErrors> {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self::load(file, std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))))
    }

    /// Every setting there is, in the order of the manual.
    pub fn settings() -> Vec<Setting> {
        let layers = Layers::new(None, []).expect("there is no file to be wrong");
        let mut reader = Reader::new(layers);
        Self::read(&mut reader);
        reader.finish().expect("the defaults are allowed")
    }

    /// `file` is a name for messages and the TOML text.
    fn from_layers(
        file: Option<(&str, &str)>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let layers = Layers::new(file, env).map_err(|error| ConfigErrors(vec![error]))?;
        let mut reader = Reader::new(layers);
        let mut config = Self::read(&mut reader);
        checks::consistency(&config, &mut reader);
        config.warnings = checks::secrets(&config, &mut reader);
        reader.finish()?;
        Ok(config)
    }

    fn read(reader: &mut Reader) -> Self {
        let profile = reader.top_choice("profile");
        Self {
            profile,
            http: HttpConfig::read(reader),
            hot: HotConfig::read(reader),
            sidecar: SidecarConfig::read(reader),
            limits: LimitsConfig::read(reader),
            data: DataConfig::read(reader),
            redis: RedisConfig::read(reader),
            amqp: AmqpConfig::read(reader),
            database: DatabaseConfig::read(reader),
            relay: RelayConfig::read(reader),
            cache: CacheConfig::read(reader),
            follower: FollowerConfig::read(reader),
            worker: WorkerConfig::read(reader),
            outbox: OutboxConfig::read(reader),
            orders: OrdersConfig::read(reader),
            payments: PaymentsConfig::read(reader),
            auth: AuthConfig::read(reader),
            login: LoginConfig::read(reader),
            admin: AdminConfig::read(reader),
            telemetry: TelemetryConfig::read(reader),
            log: LogConfig::read(reader, profile),
            warnings: Vec::new(),
        }
    }
}
