//! The operations port of a process: is it alive, may it have traffic, how are its dependencies, what has it counted.
//!
//! `/livez` answers as long as the runtime turns and asks nobody: a dependency's death must not have the process killed.
//! `/readyz` and `/healthz` ask every dependency at once, each with its own deadline; only the required ones decide, and the
//! others show as `degraded`.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::debug;

/// Longest wait for one dependency.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// Media type of the Prometheus text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the port shows.
#[derive(Clone)]
pub struct Ops {
    /// Whether the process wants traffic: false until it is up, and again while it drains.
    pub ready: Arc<AtomicBool>,
    /// Its dependencies.
    pub checks: Vec<Check>,
    /// The text of `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Whether `/debug/` answers: the log's level, the traces, profiles, the heap.
    pub debug: bool,
    /// Which traces are recorded, where there is a collector.
    pub traces: Option<Knob>,
}

/// A setting that is turned while the process runs.
#[derive(Clone)]
pub struct Knob {
    pub(crate) get: Arc<dyn Fn() -> String + Send + Sync>,
    pub(crate) set: Arc<SetKnob>,
}

type SetKnob = dyn Fn(&str) -> Result<(), String> + Send + Sync;

impl Knob {
    /// `get` says how it stands, `set` turns it or says why not.
    pub fn new(
        get: impl Fn() -> String + Send + Sync + 'static,
        set: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self { get: Arc::new(get), set: Arc::new(set) }
    }
}

/// One dependency and how to ask it.
#[derive(Clone)]
pub struct Check {
    name: &'static str,
    required: bool,
    ask: Arc<dyn Fn() -> Asking + Send + Sync>,
}

type Asking = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

impl Check {
    /// A dependency; without a `required` one the process is not ready. `ask` says what is wrong, without secrets.
    pub fn new<F, A>(name: &'static str, required: bool, ask: F) -> Self
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self { name, required, ask: Arc::new(move || Box::pin(ask())) }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check")
            .field("name", &self.name)
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Ops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ops")
            .field("ready", &self.ready)
            .field("checks", &self.checks)
            .finish_non_exhaustive()
    }
}

/// Serves the port until `shutdown`.
///
/// # Errors
/// The listener broke.
pub async fn serve(
    listener: TcpListener,
    ops: Ops,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router(ops)).with_graceful_shutdown(shutdown).await
}

/// The routes, for a process that serves them itself.
pub fn router(ops: Ops) -> Router {
    let debug = if ops.debug { debug::router(ops.traces.clone()) } else { Router::new() };
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .with_state(ops)
        .merge(debug)
}

async fn readyz(State(ops): State<Ops>) -> Response {
    report(&ops, false).await
}

/// As `/readyz`, and says what is wrong.
async fn healthz(State(ops): State<Ops>) -> Response {
    report(&ops, true).await
}

async fn metrics(State(ops): State<Ops>) -> Response {
    ([(CONTENT_TYPE, PROMETHEUS_TEXT)], (ops.metrics)()).into_response()
}

/// What a dependency answered.
struct Finding {
    check: Check,
    outcome: Result<(), String>,
    took: Duration,
}

async fn report(ops: &Ops, with_errors: bool) -> Response {
    let findings = ask_all(&ops.checks).await;
    let wanted = ops.ready.load(Ordering::Relaxed);
    let ready = wanted && findings.iter().all(|finding| !finding.check.required || finding.outcome.is_ok());
    let checks: Vec<Value> = findings.iter().map(|finding| finding.view(with_errors)).collect();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let degraded = findings.iter().any(|finding| finding.outcome.is_err());
    let body = json!({ "ready": ready, "accepts_traffic": wanted, "degraded": degraded, "checks": checks });
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

impl Finding {
    fn view(&self, with_errors: bool) -> Value {
        let mut view = json!({
            "name": self.check.name,
            "required": self.check.required,
            "ok": self.outcome.is_ok(),
            "latency_ms": (self.took.as_secs_f64() * 1e5).round() / 100.0,
        });
        if let Err(error) = &self.outcome
            && with_errors
        {
            view["error"] = error.as_str().into();
        }
        view
    }
}

/// Asks all at once: the slowest one decides how long it takes, not their number.
async fn ask_all(checks: &[Check]) -> Vec<Finding> {
    let asked: Vec<_> = checks.iter().map(|check| tokio::spawn(timed(Arc::clone(&check.ask)))).collect();
    let mut findings = Vec::with_capacity(asked.len());
    for (check, answer) in checks.iter().zip(asked) {
        let (outcome, took) =
            answer.await.unwrap_or_else(|_| (Err("the check panicked".to_owned()), Duration::ZERO));
        findings.push(Finding { check: check.clone(), outcome, took });
    }
    findings
}

async fn timed(ask: Arc<dyn Fn() -> Asking + Send + Sync>) -> (Result<(), String>, Duration) {
    let asked = Instant::now();
    let outcome = tokio::time::timeout(CHECK_TIMEOUT, ask()).await;
    let outcome =
        outcome.unwrap_or_else(|_| Err(format!("no answer within {} ms", CHECK_TIMEOUT.as_millis())));
    (outcome, asked.elapsed())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

    use super::*;

    fn ops(ready: bool, checks: Vec<Check>) -> Ops {
        Ops {
            ready: Arc::new(AtomicBool::new(ready)),
            checks,
            metrics: Arc::new(|| "a_total 1\n".to_owned()),
            debug: false,
            traces: None,
        }
    }

    fn fine(name: &'static str, required: bool) -> Check {
        Check::new(name, required, async || Ok(()))
    }

    fn broken(name: &'static str, required: bool) -> Check {
        Check::new(name, required, async || Err("refused".to_owned()))
    }

    /// Status line, head and body of one answer over a real socket.
    async fn ask(ops: Ops, path: &str) -> (u16, String, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(serve(listener, ops, async { drop(stopped.await) }));
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        drop(stop);
        server.await.unwrap().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), head.to_lowercase(), body.to_owned())
    }

    #[tokio::test]
    async fn readiness_is_the_flag_and_every_required_dependency() {
        let both = || vec![fine("redis", true), fine("database", false)];
        let cases = [
            (ops(true, both()), 200),
            (ops(false, both()), 503),
            (ops(true, vec![broken("redis", true), fine("database", false)]), 503),
            (ops(true, vec![fine("redis", true), broken("database", false)]), 200),
            (ops(true, Vec::new()), 200),
        ];
        for (ops, status) in cases {
            for path in ["/readyz", "/healthz"] {
                let (got, _, body) = ask(ops.clone(), path).await;
                assert_eq!(got, status, "{path} {ops:?}");
                let body: Value = serde_json::from_str(&body).unwrap();
                assert_eq!(body["ready"], status == 200);
                assert_eq!(body["checks"].as_array().unwrap().len(), ops.checks.len(), "each is listed");
                let told = body["checks"].as_array().unwrap().iter().any(|check| check["error"] == "refused");
                let wrong = body["checks"].as_array().unwrap().iter().any(|check| check["ok"] == false);
                assert_eq!(told, wrong && path == "/healthz", "{path} {body}");
                assert_eq!(body["degraded"], wrong, "{path} {body}");
            }
            assert_eq!(ask(ops, "/livez").await.0, 200, "alive whatever the dependencies do");
        }
    }

    #[tokio::test]
    async fn a_dependency_that_hangs_or_panics_is_reported_and_holds_nobody_up() {
        let hangs = |name| Check::new(name, true, std::future::pending);
        let panics = Check::new("panics", true, async || panic!("planted"));
        let asked = Instant::now();
        let (status, _, body) =
            ask(ops(true, vec![hangs("one"), fine("two", true), hangs("three"), panics]), "/healthz").await;
        assert!(asked.elapsed() < 2 * CHECK_TIMEOUT, "asked at once");
        let body: Value = serde_json::from_str(&body).unwrap();
        let seen: Vec<_> = body["checks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| (c["name"].as_str().unwrap(), c["ok"] == true))
            .collect();
        assert_eq!(
            (status, seen),
            (503, vec![("one", false), ("two", true), ("three", false), ("panics", false)])
        );
        assert_eq!(body["checks"][0]["error"], "no answer within 1000 ms");
        assert!(body["checks"][0]["latency_ms"].as_f64().unwrap() >= 1000.0);
    }

    #[tokio::test]
    async fn metrics_are_the_text_they_are() {
        let (status, head, body) = ask(ops(true, vec![fine("x", true)]), "/metrics").await;
        assert_eq!((status, body.as_str()), (200, "a_total 1\n"));
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    }
}
