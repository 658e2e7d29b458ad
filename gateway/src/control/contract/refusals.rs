//! The refusals of the document: one response for each set of reasons that routes share, with an example a reason.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use spike_domain::Reason;

use super::schema::{absent_or, list, object, required, units, words};
use crate::envelope::{self, JSON, PROBLEM_JSON};

/// Headers that answers carry, by name.
const HEADERS: &[(&str, &str)] = &[
    ("X-Request-Id", "The request's id: the client's own if it was harmless, else one made here."),
    ("Retry-After", "Seconds to wait before the request is repeated (RFC 9110)."),
    (
        "RateLimit-Policy",
        "The limit that was met: its name, quota `q` and window `w` in seconds (IETF draft).",
    ),
    ("RateLimit", "What is left of it: `r` requests now, more in `t` seconds (IETF draft)."),
    ("ETag", "The version of what was answered, for `If-None-Match` and `If-Match`."),
    ("Location", "Where the thing made or meant is found."),
    ("Idempotent-Replayed", "`true` when the answer is the one an earlier request with this key got."),
    ("WWW-Authenticate", "How to authenticate (RFC 9110)."),
    ("Cache-Control", "How long the answer may be kept."),
];

/// Refusals that hyper's parser answers alone: a status and nothing else, on a connection that then closes.
const BARE: &[(u16, &str)] = &[
    (408, "The request did not arrive in time. No body."),
    (414, "The request target is too long. No body."),
    (431, "The request headers are too large. No body."),
];

/// The responses collected while the document is built.
#[derive(Default)]
pub(super) struct Refusals {
    responses: BTreeMap<String, Value>,
}

impl Refusals {
    /// The references of an operation that refuses for `reasons`, by status.
    pub fn responses(&mut self, reasons: &[Reason]) -> Map<String, Value> {
        let mut by_status: BTreeMap<u16, Vec<Reason>> = BTreeMap::new();
        for reason in Reason::ALL.iter().filter(|reason| reasons.contains(reason)) {
            by_status.entry(reason.status()).or_default().push(*reason);
        }
        let mut references = Map::new();
        for (status, reasons) in by_status {
            let words: Vec<_> = reasons.iter().map(|reason| reason.as_str()).collect();
            let name = format!("{status}.{}", words.join("."));
            self.responses.entry(name.clone()).or_insert_with(|| response(status, &reasons));
            references.insert(status.to_string(), reference(&name));
        }
        for (status, description) in BARE {
            let name = format!("{status}.bare");
            self.responses.entry(name.clone()).or_insert_with(|| json!({ "description": description }));
            references.entry(status.to_string()).or_insert_with(|| reference(&name));
        }
        references
    }

    /// The `responses` of the components.
    pub fn into_components(self) -> Value {
        json!(self.responses)
    }
}

/// References to header components. A name with a `?` is one that the answer may lack.
pub(super) fn headers(names: &[&str]) -> Map<String, Value> {
    let reference = |given: &&str| {
        let name = given.trim_end_matches('?');
        let (_, description) =
            HEADERS.iter().find(|(known, _)| *known == name).expect("a header of the list");
        let header = if name == *given {
            json!({ "$ref": format!("#/components/headers/{name}") })
        } else {
            json!({ "description": description, "schema": { "type": "string" } })
        };
        (name.to_owned(), header)
    };
    names.iter().map(reference).collect()
}

/// The `headers` of the components.
pub(super) fn header_components() -> Value {
    let header = |(name, description): &(&str, &str)| {
        let kind = if *name == "Retry-After" { "integer" } else { "string" };
        let header = json!({ "description": description, "required": true, "schema": { "type": kind } });
        ((*name).to_owned(), header)
    };
    Value::Object(HEADERS.iter().filter(|(name, _)| *name != "Idempotent-Replayed").map(header).collect())
}

/// The schemas of both forms of an error.
pub(super) fn schemas() -> [(&'static str, Value); 3] {
    let field = object([required("field", words()), required("message", words())]);
    let common = || {
        [
            required("code", units()),
            required("reason", words()),
            absent_or("errors", list(super::schema::named("FieldError"))),
            absent_or("data", json!({ "description": "What the client may need, such as an order's id." })),
            absent_or("request_id", words()),
        ]
    };
    let [code, reason, errors, data, request_id] = common();
    let error = object([code, reason, required("message", words()), errors, data, request_id]);
    let [code, reason, errors, data, request_id] = common();
    let problem = object([
        required("type", json!({ "type": "string", "format": "uri-reference" })),
        required("title", words()),
        required("status", units()),
        absent_or("detail", words()),
        code,
        reason,
        errors,
        data,
        request_id,
    ]);
    [("FieldError", field), ("Error", error), ("Problem", problem)]
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/responses/{name}") })
}

fn response(status: u16, reasons: &[Reason]) -> Value {
    let mut names = vec!["X-Request-Id"];
    match status {
        401 => names.push("WWW-Authenticate"),
        429 => names.extend(["Retry-After", "RateLimit-Policy", "RateLimit"]),
        503 => names.push("Retry-After"),
        // Only some of the reasons that share this status say how long to wait.
        _ if reasons.contains(&Reason::InFlight) => names.push("Retry-After?"),
        _ => {}
    }
    let described: Vec<_> = reasons
        .iter()
        .map(|reason| format!("`{}` ({}): {}", reason.as_str(), reason.code(), reason.message()))
        .collect();
    json!({
        "description": described.join(" "),
        "headers": headers(&names),
        "content": {
            JSON: { "schema": narrowed("Error", reasons), "examples": examples(reasons, envelope::error) },
            PROBLEM_JSON: { "schema": narrowed("Problem", reasons), "examples": examples(reasons, envelope::problem) },
        },
    })
}

/// The schema of an error that has one of these reasons.
fn narrowed(schema: &str, reasons: &[Reason]) -> Value {
    let words: Vec<_> = reasons.iter().map(|reason| reason.as_str()).collect();
    let codes: Vec<_> = reasons.iter().map(|reason| reason.code()).collect();
    json!({ "allOf": [
        super::schema::named(schema),
        { "properties": { "reason": { "enum": words }, "code": { "enum": codes } } },
    ] })
}

type Build = fn(Reason, Option<&str>, &[envelope::FieldError], Option<Value>, Option<&str>) -> Vec<u8>;

fn examples(reasons: &[Reason], build: Build) -> Value {
    let example = |reason: &Reason| {
        let body = build(*reason, None, &[], None, None);
        let body: Value = serde_json::from_slice(&body).expect("what was just encoded");
        (reason.as_str().to_owned(), json!({ "value": body }))
    };
    Value::Object(reasons.iter().map(example).collect())
}
