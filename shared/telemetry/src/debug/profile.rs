//! `GET /debug/pprof/profile?seconds=N`: where the process spends its CPU time, sampled 99 times a second of it.
//!
//! The signal that takes a sample interrupts system calls, which the runtimes here take up again. The unwinder must not run
//! inside the C library and its like, whose frames cannot be walked safely from a signal: samples there are left out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::Query;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use pprof::{ProfilerGuard, ProfilerGuardBuilder, Report};
use serde::Deserialize;

use super::{flame_graph, pprof_proto, refused};

/// Samples a second of CPU time. No divisor of anything that runs on a round clock.
const FREQUENCY: i32 = 99;
const SECONDS: u64 = 10;
const SECONDS_MAX: u64 = 60;
/// Where the unwinder must not be.
const BLOCKLIST: [&str; 4] = ["libc", "libgcc", "pthread", "vdso"];

/// What may be asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    seconds: Option<u64>,
    #[serde(default)]
    format: Format,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// pprof's protobuf.
    #[default]
    Proto,
    /// A flame graph.
    Svg,
}

/// The answer: a pprof protobuf, or an SVG with `format=svg`. One at a time: 409 for a second one.
pub(super) async fn profile(Query(asked): Query<Asked>) -> Response {
    let seconds = asked.seconds.unwrap_or(SECONDS);
    if !(1..=SECONDS_MAX).contains(&seconds) {
        return refused(StatusCode::BAD_REQUEST, &format!("seconds: from 1 to {SECONDS_MAX}"));
    }
    let Some(_only) = Only::take() else {
        return refused(StatusCode::CONFLICT, "a profile is being taken already");
    };
    let took = Duration::from_secs(seconds);
    match sample(took).await {
        Ok(report) => rendered(&report, asked.format, took),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error),
    }
}

async fn sample(took: Duration) -> Result<Report, String> {
    let guard: ProfilerGuard<'static> = ProfilerGuardBuilder::default()
        .frequency(FREQUENCY)
        .blocklist(&BLOCKLIST)
        .build()
        .map_err(|error| error.to_string())?;
    tokio::time::sleep(took).await;
    // Names are looked up in the binary's debug information: a second of work.
    let report = tokio::task::spawn_blocking(move || guard.report().build());
    report.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

fn rendered(report: &Report, format: Format, took: Duration) -> Response {
    let (kind, name, body) = match format {
        Format::Proto => {
            ("application/octet-stream", "profile.pb", pprof_proto::encode(report, FREQUENCY, took))
        }
        Format::Svg => ("image/svg+xml", "profile.svg", flame_graph::draw(report).into_bytes()),
    };
    let name = format!("inline; filename=\"{name}\"");
    let headers = [
        (CONTENT_TYPE, kind.to_owned()),
        (CONTENT_DISPOSITION, name),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, body).into_response()
}

/// The one profile that may be taken at a time.
struct Only;

static TAKEN: AtomicBool = AtomicBool::new(false);

impl Only {
    fn take() -> Option<Self> {
        (!TAKEN.swap(true, Ordering::AcqRel)).then_some(Self)
    }
}

impl Drop for Only {
    fn drop(&mut self) {
        TAKEN.store(false, Ordering::Release);
    }
}
