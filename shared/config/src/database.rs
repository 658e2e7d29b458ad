//! MySQL or MariaDB, which holds everything that must outlive a sale, unless the embedded SQLite does.

use crate::backend::Backend;
use crate::reader::Reader;
use crate::server_url::{ServerUrl, UrlForm};

/// Section `[database]`.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// Secret. The server, its credentials and the database's name; empty: the embedded database.
    ///
    /// `SPIKE_DATABASE_URL`: `mysql://user[:password]@host[:port]/database`, or empty
    pub url: Backend,
    /// Connections kept open, at most connections_max.
    ///
    /// `SPIKE_DATABASE_CONNECTIONS_MIN`: 0 to 1000
    pub connections_min: u32,
    /// Connections open at once, per process.
    ///
    /// `SPIKE_DATABASE_CONNECTIONS_MAX`: 1 to 1000
    pub connections_max: u32,
    /// Longest wait for a free connection, in milliseconds.
    ///
    /// `SPIKE_DATABASE_ACQUIRE_TIMEOUT_MS`: 10 to 60000
    pub acquire_timeout_ms: u64,
    /// Longest run of one statement and longest wait for a row lock, in milliseconds.
    ///
    /// `SPIKE_DATABASE_STATEMENT_TIMEOUT_MS`: 10 to 600000
    pub statement_timeout_ms: u64,
}

impl DatabaseConfig {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let mut s = reader.section("database");
        Self {
            url: s.backend("url", &MYSQL),
            connections_min: s.number("connections_min", 0..=1000),
            connections_max: s.number("connections_max", 1..=1000),
            acquire_timeout_ms: s.number("acquire_timeout_ms", 10..=60_000),
            statement_timeout_ms: s.number("statement_timeout_ms", 10..=600_000),
        }
    }
}

const MYSQL: UrlForm = UrlForm {
    scheme: "mysql",
    allowed: "`mysql://user[:password]@host[:port]/database`, or empty",
    hint: |scheme| match scheme {
        "mariadb" => "MariaDB speaks the same protocol: write mysql://",
        _ => "",
    },
    accepts: |url| match (url.user.is_empty() || url.path.is_empty(), asks_for_tls(url)) {
        (true, _) => Err(""),
        (_, true) => Err(
            "TLS is not spoken yet: run a TLS proxy such as stunnel beside this process and name it here, without an ssl-mode that \
                 asks for it",
        ),
        _ => Ok(()),
    },
};

/// Whether the options ask for more than the driver, which is built without TLS, can do.
fn asks_for_tls(url: &ServerUrl) -> bool {
    let (_, query) = url.expose().split_once('?').unwrap_or_default();
    let options = query.split('&').filter_map(|option| option.split_once('='));
    let asks = |(name, mode): (&str, &str)| {
        let is_mode = name.eq_ignore_ascii_case("ssl-mode") || name.eq_ignore_ascii_case("sslmode");
        is_mode && !["DISABLED", "PREFERRED"].iter().any(|without| mode.eq_ignore_ascii_case(without))
    };
    options.into_iter().any(asks)
}
