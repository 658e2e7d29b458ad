//! The dictionary of errors for people and programs: `GET /errors`, `GET /errors/{reason}` and `docs/ERRORS.md`.
//!
//! `type` of a problem document leads here. All three are made from `Reason`, the one place where an error is defined.

use std::fmt::Write;

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use spike_domain::Reason;

use super::pages::page;
use crate::control::accept::prefers_html;
use crate::control::{Answer, Named, Refusal};
use crate::envelope::retry_after_s;

/// `GET /errors`.
pub(in crate::control) async fn all(headers: HeaderMap) -> Response {
    if prefers_html(&headers) {
        let rows: String = Reason::ALL.iter().map(|reason| row(*reason)).collect();
        let table =
            format!("<table><tr><th>code<th>status<th>reason<th>meaning<th>Retry-After</tr>{rows}</table>");
        return page("Errors", &table).into_response();
    }
    Answer::ok(Reason::ALL.iter().map(|reason| entry(*reason)).collect::<Vec<_>>()).into_response()
}

/// `GET /errors/{reason}`. Errors: 404 for a word that is none.
pub(in crate::control) async fn one(Named(word): Named<String>, headers: HeaderMap) -> Response {
    let Some(reason) = Reason::ALL.iter().copied().find(|reason| reason.as_str() == word) else {
        return Refusal::new(Reason::NotFound).into_response();
    };
    if !prefers_html(&headers) {
        return Answer::ok(entry(reason)).into_response();
    }
    let wait = retry_after_s(reason)
        .map(|seconds| format!("<p><code>Retry-After</code>: {seconds} s or more.</p>"))
        .unwrap_or_default();
    let text = format!(
        "<p>{}</p><p>{}</p>{wait}<p>Status {}, code {}. <a href=\"/errors\">All errors</a></p>",
        reason.message(),
        code_marks(reason.advice()),
        reason.status(),
        reason.code(),
    );
    page(reason.as_str(), &text).into_response()
}

/// `docs/ERRORS.md`.
pub fn markdown() -> String {
    let mut text = String::from(HEAD);
    for reason in Reason::ALL {
        let wait = retry_after_s(*reason).map_or_else(String::new, |seconds| format!("{seconds} s"));
        writeln!(
            text,
            "| {} | {} | `{}` | {} | {} | {wait} |",
            reason.code(),
            reason.status(),
            reason.as_str(),
            reason.message(),
            reason.advice(),
        )
        .expect("a string takes everything");
    }
    text
}

const HEAD: &str = "# Errors

Every refusal a client can see. `code` and `reason` are stable; `message` is for people and may change. The same is served at
`/errors` and `/errors/{reason}`, which is where `type` of a problem document (RFC 9457) leads. Made from
`shared/domain/src/reason.rs` and `advice.rs` by `make docs`; a test keeps them equal.

`Retry-After` is the least there is; 429 says how long it really takes.

| code | status | reason | meaning | what to do | Retry-After |
|---|---|---|---|---|---|
";

fn entry(reason: Reason) -> Value {
    json!({
        "code": reason.code(),
        "status": reason.status(),
        "reason": reason.as_str(),
        "message": reason.message(),
        "advice": reason.advice(),
        "retry_after_s": retry_after_s(reason),
    })
}

fn row(reason: Reason) -> String {
    format!(
        "<tr><td>{}<td>{}<td><a href=\"/errors/{word}\">{word}</a><td>{}<td>{}</tr>",
        reason.code(),
        reason.status(),
        reason.message(),
        retry_after_s(reason).map(|seconds| format!("{seconds} s")).unwrap_or_default(),
        word = reason.as_str(),
    )
}

/// Text between back quotes as code.
fn code_marks(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(at, part)| if at % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() })
        .collect()
}
