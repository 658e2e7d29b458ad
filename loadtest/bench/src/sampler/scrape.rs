//! Metrics in the text format of Prometheus, and the lines of Redis' INFO.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use loadtest::http::{Connection, Request};

/// One metric, the sum over its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// Whether it is a counter.
    pub grows: bool,
    /// Its value.
    pub value: f64,
}

/// Every metric of an ops port.
///
/// # Errors
/// When it does not answer with 200.
pub async fn scrape(ops: SocketAddr) -> anyhow::Result<Vec<Metric>> {
    let mut connection = Connection::new(ops, None, Duration::from_secs(10));
    let answer = connection.send(&Request::new("GET", "/metrics", &ops.to_string(), &[], None)).await?;
    ensure!(answer.status == 200, "GET /metrics on {ops} is answered {}", answer.status);
    Ok(metrics(&String::from_utf8_lossy(answer.body)))
}

/// Reads a scrape. Lines that are no samples are passed over.
fn metrics(text: &str) -> Vec<Metric> {
    let mut found: Vec<Metric> = Vec::new();
    let mut counter = "";
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            counter = kind.strip_suffix(" counter").unwrap_or("");
        }
        let Some((named, value)) = line.rsplit_once(' ').filter(|_| !line.starts_with('#')) else { continue };
        let name = named.split('{').next().unwrap_or(named);
        let Ok(value) = value.parse::<f64>() else { continue };
        match found.last_mut().filter(|last| last.name == name) {
            Some(last) => last.value += value,
            None => found.push(Metric { name: name.to_owned(), grows: counter == name, value }),
        }
    }
    found
}

/// Names and values of INFO, those that are numbers.
pub fn info(text: &str) -> impl Iterator<Item = (&str, f64)> {
    text.lines().filter_map(|line| {
        let (name, value) = line.trim().split_once(':')?;
        Some((name, value.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_gauges_are_told_apart_and_labels_summed() {
        let text = "# HELP a_total Things.\n# TYPE a_total counter\na_total 42\n# TYPE b gauge\nb{event=\"1\",figure=\"R\"} 2\n\
                    b{event=\"2\",figure=\"R\"} 3.5\nnonsense\nc NaN-ish\n";
        let metric = |name: &str, grows, value| Metric { name: name.into(), grows, value };
        assert_eq!(metrics(text), [metric("a_total", true, 42.0), metric("b", false, 5.5)]);
    }

    #[test]
    fn the_numbers_of_info_are_read() {
        let text = "# Clients\r\nconnected_clients:7\r\nredis_version:7.0.15\r\nused_memory:1048576\r\n";
        assert_eq!(
            info(text).collect::<Vec<_>>(),
            [("connected_clients", 7.0), ("used_memory", 1_048_576.0)]
        );
    }
}
