//! What is measured of the control API: each request by its row in the table of routes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use spike_metrics::catalogue::gateway::{CONTROL_REQUEST_DURATION, CONTROL_REQUESTS};
use spike_metrics::words::StatusClass;
use spike_metrics::{Counts, Page, Spreads};

use super::ROUTES;

/// Method and path of what is in no row.
const NO_ROW: [&str; 2] = ["other", "none"];

/// The instruments of one control API.
#[derive(Debug)]
pub struct ControlMetrics {
    rows: HashMap<(&'static str, &'static str), usize>,
    requests: Counts,
    durations: Spreads,
}

impl Default for ControlMetrics {
    fn default() -> Self {
        let mut rows: Vec<[&str; 2]> = ROUTES.iter().map(|route| [route.method, route.path]).collect();
        rows.push(NO_ROW);
        let classes = StatusClass::WORDS.iter();
        let by_class = |row: &[&'static str; 2]| {
            let row = *row;
            classes.clone().map(move |class| vec![row[0], row[1], class])
        };
        Self {
            requests: Counts::of_rows(&CONTROL_REQUESTS, rows.iter().flat_map(by_class).collect()),
            durations: Spreads::of_rows(
                &CONTROL_REQUEST_DURATION,
                rows.iter().map(|row| row.to_vec()).collect(),
            ),
            rows: rows.iter().enumerate().map(|(at, [method, path])| ((*method, *path), at)).collect(),
        }
    }
}

impl ControlMetrics {
    /// Shows all of it.
    pub fn write(&self, page: &mut Page) {
        self.requests.write(page);
        self.durations.write(page);
    }

    /// The row of a request. HEAD is answered by GET's handler.
    fn row_of(&self, method: &str, path: Option<&str>) -> usize {
        let method = if method == "HEAD" { "GET" } else { method };
        let none = self.rows[&(NO_ROW[0], NO_ROW[1])];
        path.and_then(|path| self.rows.get(&(method, path))).copied().unwrap_or(none)
    }

    fn answered(&self, row: usize, status: u16, since: Instant) {
        let class = usize::from(status / 100).clamp(1, StatusClass::COUNT) - 1;
        self.requests.add_at(row * StatusClass::COUNT + class, 1);
        self.durations.took_at(row, since.elapsed());
    }
}

/// Measures every request that reaches the router, whatever becomes of it. One whose client goes away first is dropped
/// here and counted by its hot core only.
pub(super) async fn measured(
    State(metrics): State<Arc<ControlMetrics>>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let since = Instant::now();
    let row = metrics.row_of(request.method().as_str(), path.as_ref().map(MatchedPath::as_str));
    let response = next.run(request).await;
    metrics.answered(row, response.status().as_u16(), since);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_series_and_the_rest_has_one() {
        let metrics = ControlMetrics::default();
        for (method, path, status) in [
            ("GET", Some("/api/v1/orders"), 200),
            ("HEAD", Some("/api/v1/orders"), 200),
            ("POST", Some("/api/v1/orders"), 422),
            ("BREW", Some("/api/v1/orders"), 405),
            ("GET", None, 404),
        ] {
            metrics.answered(metrics.row_of(method, path), status, Instant::now());
        }
        let mut page = Page::default();
        metrics.write(&mut page);
        let text = page.into_text();
        for line in [
            r#"spike_gateway_control_requests_total{method="GET",route="/api/v1/orders",code="2xx"} 2"#,
            r#"spike_gateway_control_requests_total{method="POST",route="/api/v1/orders",code="4xx"} 1"#,
            r#"spike_gateway_control_requests_total{method="other",route="none",code="4xx"} 2"#,
            r#"spike_gateway_control_request_duration_seconds_count{method="GET",route="/api/v1/orders"} 2"#,
            r#"spike_gateway_control_requests_total{method="POST",route="/api/v1/auth/login",code="5xx"} 0"#,
        ] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
    }
}
