//! `GET /debug/pprof/profile?seconds=N`: where the process spends its CPU time, sampled 99 times a second of it.
//!
//! The signal that takes a sample interrupts system calls, which the runtimes here take up again. The unwinder must not run where it
//! may wait for a lock that the interrupted code holds: samples there are left out.

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
/// Where the unwinder must not be: in itself, and in the kernel's page of code.
const BLOCKLIST: [&str; 2] = ["libgcc", "vdso"];
/// Besides, where it finds functions under the dynamic linker's lock. The kernel's time counts for what called the C library, so that
/// it is not in the profile then.
const BLOCKLIST_LOCKED: [&str; 4] = ["libgcc", "vdso", "libc", "pthread"];

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
        .blocklist(if finds_without_lock() { &BLOCKLIST[..] } else { &BLOCKLIST_LOCKED })
        .build()
        .map_err(|error| error.to_string())?;
    tokio::time::sleep(took).await;
    // Names are looked up in the binary's debug information: a second of work.
    let report = tokio::task::spawn_blocking(move || guard.report().build());
    report.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// Whether the unwinder may be interrupted anywhere: since glibc 2.35, which has a function to find functions without a lock, and which
/// the libgcc of the same age calls.
fn finds_without_lock() -> bool {
    // SAFETY: the name ends with a zero byte, and the address is only compared.
    unsafe { !libc::dlsym(libc::RTLD_DEFAULT, c"_dl_find_object".as_ptr()).is_null() }
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
pub(super) struct Only;

static TAKEN: AtomicBool = AtomicBool::new(false);

impl Only {
    fn take() -> Option<Self> {
        // Made only where it is taken: one that is dropped gives back what another has.
        (!TAKEN.swap(true, Ordering::AcqRel)).then(|| Self)
    }

    /// For tests, which wait for each other.
    #[cfg(test)]
    pub(super) fn wait() -> Self {
        loop {
            if let Some(only) = Self::take() {
                return only;
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Only {
    fn drop(&mut self) {
        TAKEN.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;

    /// Works in the kernel, where a system call of the C library leads.
    fn read_zeros(until: &AtomicBool) {
        let mut zeros = std::fs::File::open("/dev/zero").expect("there are zeros");
        let mut buffer = vec![1; 1 << 20];
        while !until.load(Ordering::Relaxed) {
            zeros.read_exact(&mut buffer).expect("there are more");
        }
    }

    #[test]
    fn who_is_refused_does_not_give_back_what_another_has() {
        let only = Only::wait();
        assert!(Only::take().is_none());
        assert!(Only::take().is_none());
        drop(only);
    }

    #[test]
    fn time_in_the_kernel_counts_for_who_called_it() {
        assert!(finds_without_lock(), "the C library of the tests' machines is not older than 2.35");
        let _only = Only::wait();
        let ended = Arc::new(AtomicBool::new(false));
        let until = ended.clone();
        let reader = std::thread::Builder::new().name("reader".to_owned()).spawn(move || read_zeros(&until));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().expect("a runtime");
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut samples = 0;
        while samples < 20 {
            assert!(Instant::now() < deadline, "{samples} samples");
            let report = runtime.block_on(sample(Duration::from_millis(300))).expect("a profile");
            let of_reader = report.data.iter().filter(|(frames, _)| {
                let mut names = frames.frames.iter().flatten().map(pprof::Symbol::name);
                frames.thread_name == "reader" && names.any(|name| name.contains("read_zeros"))
            });
            samples += of_reader.map(|(_, count)| *count).sum::<isize>();
        }
        ended.store(true, Ordering::Relaxed);
        reader.expect("it was started").join().expect("it ended well");
    }
}
