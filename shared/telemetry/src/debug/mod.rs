//! `/debug/` of the operations port: the log's level, a CPU profile, the heap. Whoever reaches it can slow the process down and
//! read the names of its functions, so it is for the port that only operators reach, and a setting closes it.

mod flame_graph;
mod heap;
mod pprof_proto;
mod profile;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::log;

/// The routes.
pub(crate) fn router() -> Router {
    Router::new()
        .route("/debug/log", get(log_level).put(set_log_level))
        .route("/debug/pprof/profile", get(profile::profile))
        .route("/debug/heap", get(heap::heap))
}

async fn log_level() -> Response {
    match log::level() {
        Some(level) => ([(CACHE_CONTROL, "no-store")], format!("{level}\n")).into_response(),
        None => refused(StatusCode::SERVICE_UNAVAILABLE, "the log was not started"),
    }
}

/// The body is a level or directives, as `SPIKE_LOG_LEVEL`.
async fn set_log_level(body: String) -> Response {
    let before = log::level().unwrap_or_default();
    match log::set_level(body.trim()) {
        Ok(()) => {
            tracing::warn!(before, now = body.trim(), "what is logged was changed");
            format!("{}\n", body.trim()).into_response()
        }
        Err(error) => refused(StatusCode::BAD_REQUEST, &error),
    }
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, format!("{why}\n")).into_response()
}
