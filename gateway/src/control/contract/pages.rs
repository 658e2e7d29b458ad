//! Pages for people, and the contract's own routes described.

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use serde_json::json;

use super::operation::Operation;
use super::schema::{list, nullable, object, required, units, words};

/// Nothing from elsewhere, and no script but our own files.
const POLICY: &str =
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";
/// Media type of a page.
pub(super) const HTML: &str = "text/html; charset=utf-8";

/// A page with its headers; `body` is HTML.
pub(super) fn page(title: &str, body: &str) -> ([(HeaderName, HeaderValue); 3], String) {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title} · Spike</title><style>body{{font:1rem/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}}\
         td,th{{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0}}</style><h1>{title}</h1>{body}</html>"
    );
    (headers(HTML), html)
}

/// Headers of a file for browsers.
pub(super) fn headers(media_type: &'static str) -> [(HeaderName, HeaderValue); 3] {
    [
        (CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ]
}

pub(super) fn describe(method: &str, path: &str) -> Option<Operation> {
    let operation = |id, summary| Operation::new("contract", id, summary);
    let entry = || {
        object([
            required("code", units()),
            required("status", units()),
            required("reason", words()),
            required("message", words()),
            required("advice", words()),
            required("retry_after_s", nullable(units())),
        ])
    };
    let html = || json!({ "text/html": { "schema": { "type": "string" } } });
    Some(match (method, path) {
        ("GET", "/errors") => operation("listErrors", "Every error there is")
            .notes("A page for people where `Accept` prefers `text/html`.")
            .answers_also_html(200, "The dictionary", list(entry())),
        ("GET", "/errors/{reason}") => operation("getError", "What an error means and what to do about it")
            .notes("Where `type` of a problem document leads. A page for people where `Accept` prefers `text/html`.")
            .answers_also_html(200, "The entry", entry()),
        ("GET", "/openapi.json") => operation("getOpenApi", "This document")
            .takes("IfNoneMatch")
            .answers_with(
                200,
                "OpenAPI 3.1",
                json!({ "application/json": { "schema": { "type": "object" } } }),
                &["ETag", "Cache-Control"],
            )
            .answers_with(304, "Unchanged", json!({}), &["ETag"]),
        ("GET", "/docs") => operation("getDocs", "This document for people")
            .answers_with(200, "A page", html(), &["Cache-Control"]),
        ("GET", "/docs/{file}") => operation("getDocsFile", "A part of that page")
            .answers_with(
                200,
                "The file, compressed where it is large",
                json!({
                    "text/javascript": { "schema": { "type": "string" } },
                    "text/css": { "schema": { "type": "string" } },
                }),
                &["Cache-Control"],
            ),
        _ => return None,
    })
}
