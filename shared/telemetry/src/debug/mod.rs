//! `/debug/` of the operations port: the log's level, which traces are recorded, a CPU profile, the heap. Whoever reaches it can slow the process down and
//! read the names of its functions, so it is for the port that only operators reach, and a setting closes it.

mod flame_graph;
mod heap;
mod pprof_proto;
mod profile;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::log;
use crate::ops::Knob;

const NO_COLLECTOR: &str = "no collector is set (telemetry.otlp_endpoint)";

/// The routes.
pub(crate) fn router(traces: Option<Knob>) -> Router {
    Router::new()
        .route("/debug/traces", get(sampling).put(set_sampling))
        .with_state(traces)
        .route("/debug/log", get(log_level).put(set_log_level))
        .route("/debug/pprof/profile", get(profile::profile))
        .route("/debug/heap", get(heap::heap))
}

async fn sampling(State(traces): State<Option<Knob>>) -> Response {
    match traces {
        Some(knob) => ([(CACHE_CONTROL, "no-store")], format!("{}\n", (knob.get)())).into_response(),
        None => refused(StatusCode::NOT_FOUND, NO_COLLECTOR),
    }
}

/// The body is `off`, or the part that is recorded of the traces begun here, 0 to 1.
async fn set_sampling(State(traces): State<Option<Knob>>, body: String) -> Response {
    let Some(knob) = traces else { return refused(StatusCode::NOT_FOUND, NO_COLLECTOR) };
    let before = (knob.get)();
    match (knob.set)(body.trim()) {
        Ok(()) => {
            let now = (knob.get)();
            tracing::warn!(before, now, "which traces are recorded was changed");
            format!("{now}\n").into_response()
        }
        Err(error) => refused(StatusCode::BAD_REQUEST, &error),
    }
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(router: &Router, method: &str, body: &'static str) -> (u16, String) {
        let request = Request::builder().method(method).uri("/debug/traces").body(Body::from(body)).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = axum::body::to_bytes(answer.into_body(), 1000).await.unwrap();
        (status, String::from_utf8(bytes.into()).unwrap())
    }

    #[tokio::test]
    async fn the_sampling_is_shown_and_turned_where_there_is_a_collector() {
        let held = Arc::new(Mutex::new("0.01".to_owned()));
        let shown = held.clone();
        let knob = Knob::new(
            move || shown.lock().unwrap().clone(),
            move |text| match text {
                "off" => {
                    *held.lock().unwrap() = text.to_owned();
                    Ok(())
                }
                _ => Err("neither".to_owned()),
            },
        );
        let with = router(Some(knob));
        assert_eq!(ask(&with, "GET", "").await, (200, "0.01\n".to_owned()));
        assert_eq!(ask(&with, "PUT", "much").await, (400, "neither\n".to_owned()));
        assert_eq!(ask(&with, "PUT", "off\n").await, (200, "off\n".to_owned()));
        assert_eq!(ask(&with, "GET", "").await, (200, "off\n".to_owned()));
        let without = router(None);
        for method in ["GET", "PUT"] {
            let (status, said) = ask(&without, method, "off").await;
            assert!(status == 404 && said.contains("otlp_endpoint"), "{said}");
        }
    }
}
