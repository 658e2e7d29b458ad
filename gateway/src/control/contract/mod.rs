//! The contract as documents: OpenAPI 3.1 at `/openapi.json`, its viewer at `/docs`, the dictionary of errors at `/errors`.
//!
//! The document is made from the table of routes, once a process. A route's own part (its body, its parameters, what it
//! answers and refuses) is described in the file of its subject here; a row without one fails a test.

use std::sync::OnceLock;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use sha1_smol::Sha1;

use super::query::{PAGE_MAX, PAGE_SIZE, PAGE_SIZE_MAX};
use super::{ROUTES, Route};
use crate::envelope::JSON;
use operation::Operation;
use refusals::Refusals;
use schema::{count, uuid, words};

mod accounts;
mod administration;
mod catalogue;
pub(super) mod dictionary;
mod events;
mod limits;
mod operation;
mod orders;
mod pages;
mod refusals;
mod schema;
pub(super) mod viewer;

pub use dictionary::markdown as dictionary_markdown;

/// What is said of a route beyond its row.
type Describe = fn(&str, &str) -> Option<Operation>;

/// The subjects, in the order of the document.
const SUBJECTS: &[(&str, &str, Describe)] = &[
    ("accounts", "Sign-up, sessions and administration of accounts.", accounts::describe),
    ("catalogue", "Products and their inventory.", catalogue::describe),
    (
        "spike",
        "Flash sales: events, the limits in front of them, the buy, what became of it.",
        events::describe,
    ),
    ("orders", "Orders of both kinds, their payment and cancellation.", orders::describe),
    ("contract", "This contract and its dictionary of errors.", pages::describe),
];

/// `GET /openapi.json`.
pub(super) async fn openapi(headers: HeaderMap) -> Response {
    static BUILT: OnceLock<(String, String)> = OnceLock::new();
    let (text, tag) = BUILT.get_or_init(|| {
        let text = document().to_string();
        let tag = format!("\"{}\"", Sha1::from(text.as_bytes()).digest());
        (text, tag)
    });
    let known = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|given| given.trim() == "*" || given.trim().trim_start_matches("W/") == tag);
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let kind = (CONTENT_TYPE, HeaderValue::from_static(JSON));
        ([kind], Body::from(text.as_str())).into_response()
    };
    response.headers_mut().insert(ETAG, HeaderValue::try_from(tag).expect("a quoted hexadecimal"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// The OpenAPI document.
pub fn document() -> Value {
    let mut refusals = Refusals::default();
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let operation = describe(route).render(route, &mut refusals);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = operation;
    }
    let tags: Vec<_> = SUBJECTS
        .iter()
        .map(|(name, description, _)| json!({ "name": name, "description": description }))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Spike",
            "version": env!("CARGO_PKG_VERSION"),
            "description": INTRODUCTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "userToken": token("An access token of any role."),
                "adminToken": token("An access token of an administrator."),
            },
            "parameters": parameters(),
            "headers": refusals::header_components(),
            "responses": refusals.into_components(),
            "schemas": schemas(),
        },
    })
}

const INTRODUCTION: &str = "Flash sales that neither oversell nor forget. Every answer is an envelope: `code` 0 and \
    `data`, or the `code`, `reason` and `message` of the dictionary at [/errors](/errors). \
    With `Accept: application/problem+json` errors are RFC 9457. HEAD is answered wherever GET is. \
    408, 414, 431 and a 400 for bytes that are no HTTP come from the parser and have no body.";

fn describe(route: &Route) -> Operation {
    let found = SUBJECTS.iter().find_map(|(_, _, describe)| describe(route.method, route.path));
    found.unwrap_or_else(|| panic!("{} {} is described nowhere", route.method, route.path))
}

fn token(description: &str) -> Value {
    json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": description })
}

fn schemas() -> Value {
    let named = |(name, schema): (&str, Value)| (name.to_owned(), schema);
    let mut schemas: Map<String, Value> = refusals::schemas().into_iter().map(named).collect();
    schemas.extend(accounts::schemas().into_iter().map(named));
    schemas.extend(administration::schemas().into_iter().map(named));
    schemas.extend(catalogue::schemas().into_iter().map(named));
    schemas.extend(events::schemas().into_iter().map(named));
    schemas.extend(limits::schemas().into_iter().map(named));
    schemas.extend(orders::schemas().into_iter().map(named));
    Value::Object(schemas)
}

fn parameters() -> Value {
    let parameter = |name: &str, place: &str, description: &str, schema: Value| json!({ "name": name, "in": place, "description": description, "schema": schema });
    let key = |required: bool| {
        let schema =
            json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x20-\\x7e]+$" });
        let description = "The same key and payload get the same answer and have one effect (IETF draft).";
        let mut key = parameter("Idempotency-Key", "header", description, schema);
        key["required"] = required.into();
        key
    };
    let with_default = |mut schema: Value, default: u32| {
        schema["default"] = default.into();
        schema
    };
    let etag = |name, description| parameter(name, "header", description, words());
    let if_match = |required: bool| {
        let description = "The `ETag` that was read; the change happens only if it is still the present one.";
        let mut parameter = etag("If-Match", description);
        parameter["required"] = required.into();
        parameter
    };
    json!({
        "Page": parameter("page", "query", "From 1.", with_default(count(1..=PAGE_MAX), 1)),
        "PageSize": parameter("page_size", "query", "Items a page.", with_default(count(1..=PAGE_SIZE_MAX), PAGE_SIZE)),
        "Cursor": parameter("cursor", "query", "`next_cursor` of the page before.", uuid()),
        "Signature": parameter("Spike-Signature", "header", "`t=<unix seconds>,v1=<hex HMAC-SHA256>`.", words()),
        "IdempotencyKey": key(false),
        "RequiredIdempotencyKey": key(true),
        "IfMatch": if_match(false),
        "RequiredIfMatch": if_match(true),
        "IfNoneMatch": etag("If-None-Match", "An `ETag` at hand; 304 if it is still the present one."),
        "RequestId": parameter("X-Request-Id", "header", "1 to 64 of `A-Z a-z 0-9 . _ -`; another one is replaced.", words()),
        "TraceParent": parameter("traceparent", "header", "W3C Trace Context; an invalid one is ignored.", words()),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_has_the_rows_of_the_table_and_no_other() {
        let document = document();
        let operations = document["paths"].as_object().unwrap().iter().flat_map(|(path, operations)| {
            let methods = operations.as_object().unwrap().keys();
            methods.map(move |method| (method.to_ascii_uppercase(), path.clone()))
        });
        let rows = ROUTES.iter().map(|route| (route.method.to_owned(), route.path.to_owned()));
        assert_eq!(operations.collect::<BTreeSet<_>>(), rows.collect());
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_component_is_used() {
        let document = document();
        let mut used = BTreeSet::new();
        references(&document, &mut used);
        for path in &used {
            assert!(document.pointer(path.trim_start_matches('#')).is_some(), "{path} leads nowhere");
        }
        for kind in ["parameters", "headers", "responses", "schemas"] {
            for name in document["components"][kind].as_object().unwrap().keys() {
                assert!(used.contains(&format!("#/components/{kind}/{name}")), "{kind} {name} is unused");
            }
        }
    }

    #[test]
    fn operations_have_names_of_their_own_and_tags_that_exist() {
        let document = document();
        let mut names = BTreeSet::new();
        let tags: Vec<&str> = SUBJECTS.iter().map(|(name, _, _)| *name).collect();
        for operation in document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|path| path.as_object().unwrap().values())
        {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} twice");
            assert!(tags.contains(&operation["tags"][0].as_str().unwrap()), "{name}");
            let answers = operation["responses"].as_object().unwrap().keys();
            assert!(answers.into_iter().any(|status| status.as_str() < "400"), "{name} never succeeds");
        }
    }

    fn references(value: &Value, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                into.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, into));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, into)),
            _ => {}
        }
    }
}
