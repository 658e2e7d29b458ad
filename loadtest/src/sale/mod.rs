//! A flash sale as its buyers make it: connections opened before the second, impatient presses, then everyone at once.
//!
//! Closed loop: a connection sends its next press when it has the answer of the last. The presses are planned before
//! the run ([`plan`]) from a seed, answers are read by a few scans ([`answer`]), and what the buyers were told is kept
//! for the auditor ([`history`]).

pub mod answer;
pub mod history;
pub mod plan;
mod run;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use spike_domain::{EventId, UserId};

use crate::progress::Snapshot;

pub use history::{History, Unknown};
pub use plan::PressPlan;
pub use run::run;

/// Someone who wants one.
#[derive(Debug, Clone)]
pub struct Buyer {
    /// Whom the token names.
    pub user: UserId,
    /// The access token, without `Bearer `.
    pub token: String,
    /// Where the buyer's presses come from; 0.0.0.0 leaves it to the system.
    pub source: Ipv4Addr,
}

/// One sale.
#[derive(Debug, Clone)]
pub struct SaleSpec {
    /// The gateway.
    pub base: SocketAddr,
    /// The `Host` header.
    pub host: String,
    /// What is sold.
    pub event: EventId,
    /// The opening, Unix milliseconds; must lie ahead.
    pub start_at_ms: u64,
    /// Who presses.
    pub buyers: Vec<Buyer>,
    /// How many presses there are in all, early ones included.
    pub requests: u64,
    /// How many connections press; at least one for each source address.
    pub connections: usize,
    /// How the presses are spread over the buyers.
    pub presses: PressPlan,
    /// Units a press asks for.
    pub quantity: u32,
    /// The longest a buyer waits for an answer, connecting included.
    pub deadline: Duration,
    /// The same seed makes the same presses in the same order.
    pub seed: u64,
}

/// Why a sale cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum SaleError {
    /// A field of the spec.
    #[error("{field}: {problem}")]
    Spec {
        /// The field's name.
        field: &'static str,
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

/// What came of it.
#[derive(Debug, Clone)]
pub struct SaleResult {
    /// Answers by kind and by word, and their latency. Every request has its answer here.
    pub figures: Snapshot,
    /// What each buyer was told.
    pub history: History,
    /// From the opening to the last answer.
    pub elapsed: Duration,
    /// Answers of the presses at and after the opening, a second.
    pub requests_per_s: f64,
}

impl SaleSpec {
    /// Refuses what cannot be run, told that it is `now_ms`.
    pub fn check(&self, now_ms: u64) -> Result<(), SaleError> {
        let refuse = |field, problem: String| Err(SaleError::Spec { field, problem });
        if self.buyers.is_empty() || u32::try_from(self.buyers.len()).is_err() {
            return refuse("buyers", format!("{} of them; allowed are 1 to 4294967295", self.buyers.len()));
        }
        if self.requests == 0 || usize::try_from(self.requests).is_err() {
            return refuse("requests", format!("{}; at least 1", self.requests));
        }
        let sources = plan::sources(&self.buyers).len();
        if self.connections < sources {
            let problem =
                format!("{}; at least one for each of {sources} source addresses", self.connections);
            return refuse("connections", problem);
        }
        if self.start_at_ms <= now_ms {
            let late_ms = now_ms - self.start_at_ms;
            return refuse("start_at_ms", format!("{late_ms} ms ago; it must lie ahead"));
        }
        for (field, share) in
            [("presses.early", self.presses.early), ("presses.replayed", self.presses.replayed)]
        {
            if !(0.0..=1.0).contains(&share) {
                return refuse(field, format!("{share}; a share from 0 to 1"));
            }
        }
        Ok(())
    }
}

/// `count` loopback addresses, so that buyers come from many places: 127.1.0.1, 127.1.0.2, …
///
/// # Panics
/// Beyond 8,000,000.
pub fn loopback_sources(count: usize) -> impl Iterator<Item = Ipv4Addr> {
    assert!(count <= 8_000_000, "there are only so many loopback addresses");
    (0..count).map(|at| {
        let part = |divisor: usize, modulus: usize| u8::try_from(at / divisor % modulus).expect("below 256");
        // Neither .0 nor .255 ends an address: some software still takes them for a network's own.
        Ipv4Addr::new(127, 1 + part(254 * 256, 126), part(254, 256), 1 + part(1, 254))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn loopback_sources_are_distinct_and_ordinary() {
        let sources: Vec<Ipv4Addr> = loopback_sources(70_000).collect();
        assert_eq!(sources[0], Ipv4Addr::new(127, 1, 0, 1));
        assert_eq!(sources.iter().collect::<HashSet<_>>().len(), sources.len());
        assert!(sources.iter().all(|ip| ip.is_loopback() && !matches!(ip.octets()[3], 0 | 255)));
    }

    #[test]
    fn a_sale_that_cannot_run_names_its_field() {
        let buyer =
            |at| Buyer { user: UserId(1), token: String::new(), source: Ipv4Addr::new(127, 1, 0, at) };
        let good = SaleSpec {
            base: SocketAddr::from(([127, 0, 0, 1], 1)),
            host: "h".into(),
            event: EventId(1),
            start_at_ms: 1001,
            buyers: vec![buyer(1), buyer(2)],
            requests: 1,
            connections: 2,
            presses: PressPlan::default(),
            quantity: 1,
            deadline: Duration::from_secs(1),
            seed: 0,
        };
        assert!(good.check(1000).is_ok());
        let check = |want: &str, spoil: fn(&mut SaleSpec)| {
            let mut spec = good.clone();
            spoil(&mut spec);
            match spec.check(1000) {
                Err(SaleError::Spec { field, .. }) => assert_eq!(field, want),
                other => panic!("{want}: {other:?}"),
            }
        };
        check("buyers", |spec| spec.buyers.clear());
        check("requests", |spec| spec.requests = 0);
        check("connections", |spec| spec.connections = 1);
        check("start_at_ms", |spec| spec.start_at_ms = 1000);
        check("presses.early", |spec| spec.presses.early = 1.1);
        check("presses.replayed", |spec| spec.presses.replayed = f64::NAN);
    }
}
