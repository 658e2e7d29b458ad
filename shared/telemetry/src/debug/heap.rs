//! `GET /debug/heap`: what mimalloc and the system know of this process's memory. mimalloc has figures and no heap profile.

use std::ffi::CStr;
use std::os::raw::c_char;

use axum::Json;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

// In mimalloc's own header and its library, and not in the crate's declarations.
unsafe extern "C" {
    fn mi_stats_get_json(size: usize, buffer: *mut c_char) -> *mut c_char;
}

/// The answer: `process` by the system, in bytes and ms, and mimalloc's own statistics.
pub(super) async fn heap() -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(json!({ "process": process(), "mimalloc": mimalloc() })))
        .into_response()
}

fn process() -> Value {
    let [mut elapsed, mut user, mut system, mut rss, mut rss_max, mut commit, mut commit_max, mut faults] =
        [0_usize; 8];
    // SAFETY: each pointer is to a number of its own that outlives the call, which only writes to them.
    unsafe {
        libmimalloc_sys::mi_process_info(
            &raw mut elapsed,
            &raw mut user,
            &raw mut system,
            &raw mut rss,
            &raw mut rss_max,
            &raw mut commit,
            &raw mut commit_max,
            &raw mut faults,
        );
    }
    json!({
        "elapsed_ms": elapsed, "user_ms": user, "system_ms": system, "resident_bytes": rss,
        "resident_max_bytes": rss_max, "committed_bytes": commit, "committed_max_bytes": commit_max,
        "page_faults": faults,
    })
}

/// `null` where the library has no text, or one that is no JSON.
fn mimalloc() -> Value {
    // SAFETY: without a buffer the text is mimalloc's own, or null.
    let text = unsafe { mi_stats_get_json(0, std::ptr::null_mut()) };
    if text.is_null() {
        return Value::Null;
    }
    // SAFETY: not null, so a C string, which lives until it is freed below.
    let value = serde_json::from_slice(unsafe { CStr::from_ptr(text) }.to_bytes()).unwrap_or(Value::Null);
    // SAFETY: the text came from mimalloc, and nothing refers to it any more.
    unsafe { libmimalloc_sys::mi_free(text.cast()) };
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_have_figures() {
        let process = process();
        assert!(process["resident_bytes"].as_u64().unwrap() > 1 << 20, "{process}");
        assert!(mimalloc().is_object(), "{}", mimalloc());
    }
}
