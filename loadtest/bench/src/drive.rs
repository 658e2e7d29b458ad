//! One open load with its progress on the terminal, and what came of it in a few lines.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use loadtest::loopback_sources;
use loadtest::open::{OpenProgress, OpenResult, OpenSpec, StreamFigures};
use loadtest::{Mode, open};

use crate::misuse::Misuse;

/// Files that are open beside the connections.
const FILES_BESIDE: u64 = 200;

/// Runs it.
///
/// # Errors
/// A spec that cannot be run, or nobody who answers.
pub async fn drive(spec: OpenSpec, mode: Mode) -> anyhow::Result<OpenResult> {
    let files = loadtest::open_files::raise()?;
    if files < spec.connections_max as u64 + FILES_BESIDE {
        let connections = spec.connections_max;
        let text = format!("--connections is {connections}, but only {files} files may be open (ulimit -n)");
        return Err(Misuse(text).into());
    }
    let progress = Arc::new(OpenProgress::new(&spec));
    let painter = Arc::clone(&progress).paint(mode);
    let result = open::run(spec, progress).await;
    painter.finish().await;
    Ok(result?)
}

/// Addresses for `connections` to a server on this machine, `each` of them at most from one; none for one elsewhere.
pub fn sources(local: bool, connections: usize, each: usize) -> Vec<Ipv4Addr> {
    if local { loopback_sources(connections.div_ceil(each.max(1))).collect() } else { Vec::new() }
}

/// How long `requests` take to arrive, and half as long again: the end of a load that ends with its last request.
pub fn at_most(requests: u64, per_s: f64) -> Duration {
    Duration::from_secs_f64((1.5 * requests as f64 / per_s).max(1.0) + 5.0)
}

/// A line a stream.
pub fn lines(streams: &[StreamFigures]) -> String {
    let line = |figures: &StreamFigures| {
        let StreamFigures { name, offered, sent, not_sent, answers, latency, .. } = figures;
        let (accepted, errors) = (answers.accepted, answers.errors);
        format!(
            "  {name:<8} offered {offered}, sent {sent}, not sent {not_sent}, accepted {accepted}, sold out {}, duplicates {}, \
             refused {}, errors {errors}; P50 {:.1} ms, P95 {:.1} ms, P99 {:.1} ms\n",
            answers.sold_out,
            answers.duplicates,
            answers.refused + answers.rejected,
            latency.p50_ms,
            latency.p95_ms,
            latency.p99_ms
        )
    };
    streams.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_of_this_machine_come_from_many_addresses() {
        assert_eq!(sources(true, 2000, 4).len(), 500);
        assert_eq!(sources(true, 3, 4), [Ipv4Addr::new(127, 1, 0, 1)]);
        assert!(sources(false, 2000, 4).is_empty());
    }

    #[test]
    fn a_load_of_requests_ends_with_them_and_not_with_its_time() {
        assert_eq!(at_most(1000, 100.0), Duration::from_secs(20));
        assert_eq!(at_most(1, 1e6), Duration::from_secs(6));
    }
}
