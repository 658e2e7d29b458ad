//! What every request of the control API passes: request id and rendering, CORS, panic catching, fallbacks.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use spike_domain::Reason;
use spike_trace::Traces;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;

use super::refusal::Refusal;
use super::render::render;
use crate::cross_origin::{ALLOWED, EXPOSED};

const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(600);

/// Puts the layers around `routes`. An empty `cors_origins` allows no other origin.
pub(super) fn around(
    routes: Router,
    cors_origins: &[String],
    on_panic: Arc<dyn Fn() + Send + Sync>,
    traces: Option<Arc<Traces>>,
) -> Router {
    let caught = move |panic: Box<dyn Any + Send>| {
        on_panic();
        panicked(panic.as_ref())
    };
    let routes = routes
        .fallback(async || Refusal::new(Reason::NotFound))
        .method_not_allowed_fallback(async || Refusal::new(Reason::MethodNotAllowed))
        .layer(CatchPanicLayer::custom(caught));
    let routes = if cors_origins.is_empty() { routes } else { routes.layer(cors(cors_origins)) };
    routes.layer(from_fn_with_state(traces, render))
}

/// Gives up on requests of `routes` after `limit`; what they were doing is dropped.
pub(super) fn within(routes: Router, limit: Duration) -> Router {
    routes.layer(from_fn_with_state(limit, deadline))
}

async fn deadline(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        Refusal::new(Reason::Unavailable).detail("The request took too long.").into_response()
    })
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    let words = panic.downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Refusal::internal(format!("panic: {}", words.unwrap_or("without words"))).into_response()
}

fn cors(origins: &[String]) -> CorsLayer {
    let origins: Vec<HeaderValue> = origins
        .iter()
        .map(|origin| HeaderValue::from_str(origin).expect("the configuration takes only origins"))
        .collect();
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(ALLOWED)
        .expose_headers(EXPOSED)
        .max_age(PREFLIGHT_MAX_AGE)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;
    use crate::control::Answer;

    fn app(origins: &[String]) -> Router {
        let routes = Router::new()
            .route("/fine", get(async || Answer::ok(7)).put(async || Answer::ok(8)))
            .route("/api/fine", get(async || Answer::ok(7)))
            .route("/planted", get(async || -> Answer { panic!("planted") }))
            .route("/slow", get(async || -> Answer { std::future::pending().await }));
        around(within(routes, Duration::from_millis(20)), origins, Arc::new(|| ()), None)
    }

    async fn ask(app: Router, method: &str, path: &str, headers: &[(&str, &str)]) -> (Response<()>, Value) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        (Response::from_parts(parts, ()), body)
    }

    #[tokio::test]
    async fn every_end_of_a_request_is_an_envelope_with_its_id() {
        for (method, path, status, reason) in [
            ("GET", "/fine", 200, None),
            ("GET", "/planted", 500, Some("internal")),
            ("GET", "/slow", 503, Some("unavailable")),
            ("GET", "/nowhere", 404, Some("not-found")),
            ("DELETE", "/fine", 405, Some("method-not-allowed")),
        ] {
            let (head, body) = ask(app(&[]), method, path, &[("x-request-id", "r-1")]).await;
            assert_eq!(head.status(), status, "{method} {path}");
            assert_eq!(body["reason"].as_str(), reason, "{method} {path}");
            assert_eq!(
                (&body["request_id"], &head.headers()["x-request-id"]),
                (&"r-1".into(), &"r-1".parse().unwrap())
            );
            assert_eq!(head.headers()["content-type"], "application/json");
            assert_eq!(head.headers().contains_key("retry-after"), status == 503, "{method} {path}");
            assert!(!body.to_string().contains("planted"), "inner detail stays inside");
        }
    }

    #[tokio::test]
    async fn a_panic_is_counted() {
        let count = Arc::new(AtomicU64::new(0));
        let counted = count.clone();
        let routes = Router::new().route("/planted", get(async || -> Answer { panic!("planted {}", 1) }));
        let on_panic = move || _ = counted.fetch_add(1, Ordering::Relaxed);
        let app = around(routes, &[], Arc::new(on_panic), None);
        let (head, body) = ask(app, "GET", "/planted", &[]).await;
        assert_eq!((head.status().as_u16(), &body["code"]), (500, &1080.into()));
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_wrong_method_learns_the_right_ones() {
        let (head, _) = ask(app(&[]), "PATCH", "/fine", &[]).await;
        assert_eq!(head.headers()["allow"], "GET,HEAD,PUT");
    }

    #[tokio::test]
    async fn head_has_the_length_and_no_body() {
        let (head, body) = ask(app(&[]), "HEAD", "/fine", &[("x-request-id", "r")]).await;
        assert_eq!((head.status().as_u16(), body), (200, Value::Null));
        assert_eq!(
            head.headers()["content-length"],
            crate::envelope::ok(7, Some("r")).len().to_string().as_str()
        );
    }

    #[tokio::test]
    async fn errors_are_problems_for_those_who_ask() {
        let (head, body) = ask(app(&[]), "GET", "/nowhere", &[("accept", "application/problem+json")]).await;
        assert_eq!(head.headers()["content-type"], "application/problem+json");
        assert_eq!((&body["type"], &body["status"]), (&"/errors/not-found".into(), &404.into()));
        let (head, body) = ask(app(&[]), "GET", "/fine", &[("accept", "application/problem+json")]).await;
        assert_eq!((head.status().as_u16(), &body["data"]), (200, &7.into()));
        let (head, body) = ask(app(&[]), "GET", "/api/fine", &[("accept", "text/html")]).await;
        assert_eq!((head.status().as_u16(), &body["reason"]), (406, &"not-acceptable".into()));
    }

    #[tokio::test]
    async fn browsers_of_listed_origins_may_call() {
        let shop = ["https://shop.example".to_owned()];
        let preflight = [("origin", "https://shop.example"), ("access-control-request-method", "POST")];
        let (head, _) = ask(app(&shop), "OPTIONS", "/fine", &preflight).await;
        assert_eq!(head.headers()["access-control-allow-origin"], "https://shop.example");
        assert!(head.headers()["access-control-allow-headers"].to_str().unwrap().contains("idempotency-key"));
        for (origins, origin) in [(&shop[..], "https://evil.example"), (&[], "https://shop.example")] {
            let (head, _) = ask(app(origins), "GET", "/fine", &[("origin", origin)]).await;
            assert!(!head.headers().contains_key("access-control-allow-origin"), "{origin}");
        }
    }
}
