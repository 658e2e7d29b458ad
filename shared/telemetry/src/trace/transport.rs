//! How spans leave: OTLP as protobuf over HTTP, by a small client that blocks the one thread that sends.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;

use super::StartError;

/// Longest wait for a collector to answer, connecting included.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Largest answer that is read, in bytes; a collector has nothing to say.
const ANSWER_MAX: u64 = 64 << 10;
const PATH: &str = "/v1/traces";

/// An exporter to `endpoint`.
pub(super) fn exporter(endpoint: &str, resource: Resource) -> Result<SpanExporter, StartError> {
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Blocking::new())
        .with_endpoint(with_path(endpoint))
        .with_timeout(TIMEOUT)
        .build()
        .map_err(|error| StartError::Endpoint(error.to_string()))?;
    exporter.set_resource(&resource);
    Ok(exporter)
}

fn with_path(endpoint: &str) -> String {
    let after_scheme = endpoint.find("://").map_or(0, |at| at + 3);
    match endpoint[after_scheme..].trim_end_matches('/').contains('/') {
        true => endpoint.to_owned(),
        false => format!("{}{PATH}", endpoint.trim_end_matches('/')),
    }
}

#[derive(Debug)]
struct Blocking(ureq::Agent);

impl Blocking {
    fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            // Statuses are the exporter's to judge.
            .http_status_as_error(false)
            // A collector is beside this process: no proxy of the environment stands in between.
            .proxy(None)
            .max_redirects(0)
            .build();
        Self(config.into())
    }
}

#[async_trait]
impl HttpClient for Blocking {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let response = self.0.run(Request::from_parts(head, body.to_vec()))?;
        let (head, mut body) = response.into_parts();
        let body = body.with_config().limit(ANSWER_MAX).read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
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
