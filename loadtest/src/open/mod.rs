//! Open-loop load: requests arrive when a schedule says, whether or not the server keeps up.
//!
//! The schedule ([`arrivals`]) is pure and comes from a seed; what a stream asks for is prebuilt ([`requests`]). Due
//! arrivals stand in a [`line`](mod@line) until a connection of the pool is free, and every latency counts from the
//! scheduled time, so that a server that stalls cannot hide the requests it kept from being sent (coordinated omission).
//! [`meaning`] reads the answers, [`recorder`] counts them and [`run`] moves the bytes: one task a connection, none a request.

mod arrivals;
mod figures;
mod line;
mod meaning;
mod progress;
mod recorder;
mod requests;
mod run;
mod sales;
mod scenario;

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use spike_domain::EventId;

use crate::progress::Counts;
use crate::sale::History;

pub use arrivals::{Arrival, Schedule};
pub use figures::{Kind, Percentiles, Second, StreamFigures, Tally};
pub use progress::{OpenProgress, OpenSnapshot};
pub use run::run;
pub use scenario::{ProductToOrder, Scenario};

/// One load: several streams of arrivals over one pool of connections.
#[derive(Debug, Clone)]
pub struct OpenSpec {
    /// The gateway.
    pub base: SocketAddr,
    /// The `Host` header.
    pub host: String,
    /// What arrives.
    pub streams: Vec<Stream>,
    /// How long requests arrive; their answers may come later.
    pub duration: Duration,
    /// The most arrivals of all streams together: they end with this one, or with the duration.
    pub requests_max: u64,
    /// The most connections that are open at a time. They are opened when none is free, the first ones one a source.
    pub connections_max: usize,
    /// The longest a client waits, from the scheduled time of its request on.
    pub deadline: Duration,
    /// The longest it waits for a free connection, of that time; at most the deadline.
    pub patience: Duration,
    /// The same seed makes the same arrivals at the same times.
    pub seed: u64,
    /// Local addresses, dealt to the connections in turn; none leaves it to the system.
    pub sources: Vec<Ipv4Addr>,
}

/// Arrivals of one kind: a Poisson process.
#[derive(Debug, Clone)]
pub struct Stream {
    /// How the reports call it.
    pub name: String,
    /// The mean rate.
    pub rate_per_s: f64,
    /// What is asked for.
    pub scenario: Scenario,
}

/// Why a load cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A field of the spec.
    #[error("{field}: {problem}")]
    Spec {
        /// The field's name, for example `streams[1].rate_per_s`.
        field: String,
        /// The value, and what is allowed.
        problem: String,
    },
    /// Nobody listens.
    #[error("cannot connect to {addr}: {source}")]
    Unreachable {
        /// The gateway.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// What came of a load. Every arrival has exactly one outcome here.
#[derive(Debug, Clone)]
pub struct OpenResult {
    /// In the order of the spec.
    pub streams: Vec<StreamResult>,
    /// What was told of each event that was pressed for, for the auditor.
    pub sales: Vec<SaleTold>,
    /// How many connections the pool came to hold.
    pub connections: usize,
    /// From the start to the last outcome.
    pub elapsed: Duration,
}

/// One stream's outcomes.
#[derive(Debug, Clone)]
pub struct StreamResult {
    /// The figures.
    pub figures: StreamFigures,
    /// The latencies behind them, microseconds from the scheduled time.
    pub latency_us: Histogram<u64>,
}

/// An answer "sold out". Of those that were asked for in the same millisecond the first answer is kept: whoever was told
/// sooner knew less, so what holds for it holds for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SoldOutTold {
    /// When the request went out, Unix milliseconds.
    pub sent_ms: u64,
    /// When its answer was there, Unix milliseconds.
    pub answered_ms: u64,
}

/// The presses for one event, of every stream that pressed for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleTold {
    /// What was sold.
    pub event: EventId,
    /// The presses that were sent.
    pub requests: u64,
    /// Their answers.
    pub counts: Counts,
    /// What each buyer was told.
    pub history: History,
    /// When "sold out" was told.
    pub sold_out: Vec<SoldOutTold>,
}

impl OpenSpec {
    /// More connections than a machine has ports for one destination and source.
    const CONNECTIONS_MAX: usize = 1_000_000;
    const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
    const RATE_PER_S_MAX: f64 = 1_000_000.0;

    /// Refuses what cannot be run, naming the field.
    pub fn check(&self) -> Result<(), OpenError> {
        if self.host.is_empty() || self.host.contains(|c: char| c.is_control() || c == ' ') {
            return refuse("host", format!("{:?}; a name or address, perhaps with a port", self.host));
        }
        if self.duration.is_zero() || self.duration > Self::DURATION_MAX {
            return refuse("duration", format!("{:?}; more than zero, at most a week", self.duration));
        }
        if self.deadline.is_zero() || self.deadline > Self::DURATION_MAX {
            return refuse("deadline", format!("{:?}; more than zero, at most a week", self.deadline));
        }
        if self.patience.is_zero() || self.patience > self.deadline {
            return refuse("patience", format!("{:?}; more than zero, at most the deadline", self.patience));
        }
        if self.requests_max == 0 {
            return refuse("requests_max", "0; at least one".to_owned());
        }
        if !(1..=Self::CONNECTIONS_MAX).contains(&self.connections_max) {
            let problem = format!("{}; from 1 to {}", self.connections_max, Self::CONNECTIONS_MAX);
            return refuse("connections_max", problem);
        }
        if self.sources.len() > self.connections_max {
            let problem = format!("{} for at most {} connections", self.sources.len(), self.connections_max);
            return refuse("sources", problem);
        }
        if self.streams.is_empty() {
            return refuse("streams", "none; at least one".to_owned());
        }
        let mut names = HashSet::new();
        for (at, stream) in self.streams.iter().enumerate() {
            stream.check().map_err(|(field, problem)| OpenError::Spec {
                field: format!("streams[{at}].{field}"),
                problem,
            })?;
            if !names.insert(&stream.name) {
                return refuse(&format!("streams[{at}].name"), format!("{:?} is taken", stream.name));
            }
        }
        Ok(())
    }
}

impl Stream {
    fn check(&self) -> Result<(), (String, String)> {
        if self.name.trim().is_empty() {
            return Err(("name".to_owned(), "empty".to_owned()));
        }
        if !(self.rate_per_s > 0.0 && self.rate_per_s <= OpenSpec::RATE_PER_S_MAX) {
            let problem = format!("{}; more than 0, at most {}", self.rate_per_s, OpenSpec::RATE_PER_S_MAX);
            return Err(("rate_per_s".to_owned(), problem));
        }
        self.scenario.check().map_err(|(field, problem)| (format!("scenario.{field}"), problem))
    }
}

fn refuse(field: &str, problem: String) -> Result<(), OpenError> {
    Err(OpenError::Spec { field: field.to_owned(), problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_that_cannot_run_names_its_field() {
        let stream = Stream {
            name: "logins".into(),
            rate_per_s: 10.0,
            scenario: Scenario::Login { accounts: vec![("a@b".into(), "c".into())] },
        };
        let good = OpenSpec {
            base: SocketAddr::from(([127, 0, 0, 1], 1)),
            host: "h:1".into(),
            streams: vec![stream.clone(), Stream { name: "others".into(), ..stream }],
            duration: Duration::from_secs(1),
            requests_max: u64::MAX,
            connections_max: 2,
            deadline: Duration::from_secs(1),
            patience: Duration::from_secs(1),
            seed: 0,
            sources: vec![Ipv4Addr::LOCALHOST; 2],
        };
        good.check().unwrap();
        let check = |want: &str, spoil: fn(&mut OpenSpec)| {
            let mut spec = good.clone();
            spoil(&mut spec);
            match spec.check() {
                Err(OpenError::Spec { field, .. }) => assert_eq!(field, want),
                other => panic!("{want}: {other:?}"),
            }
        };
        check("host", |spec| spec.host = "a\r\nb".into());
        check("duration", |spec| spec.duration = Duration::ZERO);
        check("deadline", |spec| spec.deadline = Duration::MAX);
        check("patience", |spec| spec.patience = Duration::from_secs(2));
        check("requests_max", |spec| spec.requests_max = 0);
        check("connections_max", |spec| spec.connections_max = 0);
        check("sources", |spec| spec.sources.push(Ipv4Addr::LOCALHOST));
        check("streams", |spec| spec.streams.clear());
        check("streams[0].name", |spec| spec.streams[0].name = " ".into());
        check("streams[1].name", |spec| spec.streams[1].name = "logins".into());
        check("streams[1].rate_per_s", |spec| spec.streams[1].rate_per_s = f64::NAN);
        check("streams[0].rate_per_s", |spec| spec.streams[0].rate_per_s = 0.0);
        check("streams[0].scenario.accounts", |spec| {
            spec.streams[0].scenario = Scenario::Login { accounts: Vec::new() };
        });
    }
}
