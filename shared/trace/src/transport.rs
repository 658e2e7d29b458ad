//! How spans leave: OTLP as protobuf over HTTP, by a small client that blocks the one thread that sends.

use std::time::Duration;

use crate::otlp::{self, Resource};
use crate::{Span, sink::Transport};

/// Longest wait for a collector to answer, connecting included.
const TIMEOUT: Duration = Duration::from_secs(3);
const PATH: &str = "/v1/traces";

/// A collector.
pub(crate) struct Http {
    agent: ureq::Agent,
    url: String,
    resource: Resource,
}

impl Http {
    pub(crate) fn new(endpoint: &str, resource: Resource) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            // A collector is beside this process: no proxy of the environment stands in between.
            .proxy(None)
            .max_redirects(0)
            .build();
        Self { agent: config.into(), url: with_path(endpoint), resource }
    }
}

impl Transport for Http {
    fn send(&self, spans: Vec<Span>) -> Result<(), String> {
        let body = otlp::encode(&self.resource, spans);
        let request = self.agent.post(&self.url).header("Content-Type", "application/x-protobuf");
        // A status that is no success is an error too.
        request.send(&body[..]).map(drop).map_err(|error| error.to_string())
    }
}

fn with_path(endpoint: &str) -> String {
    let after_scheme = endpoint.find("://").map_or(0, |at| at + 3);
    match endpoint[after_scheme..].trim_end_matches('/').contains('/') {
        true => endpoint.to_owned(),
        false => format!("{}{PATH}", endpoint.trim_end_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_without_a_path_gets_the_usual_one() {
        for (endpoint, url) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("http://[::1]:4318/otlp/v1/traces", "http://[::1]:4318/otlp/v1/traces"),
        ] {
            assert_eq!(with_path(endpoint), url);
        }
    }
}
