//! Every answer that a test of the control API gets is held against the OpenAPI document: its status, its media type, its
//! headers and its body, which may have no field that the document does not name.

use std::sync::LazyLock;

use axum::http::HeaderMap;
use serde_json::{Value, json};
use spike_gateway::control::{ROUTES, openapi_document};

/// The document, with every object closed.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = openapi_document();
    close(&mut document);
    document
});

/// Panics where the document does not foresee this answer. A path or method that is no route's is none of its business.
pub fn check(method: &str, path: &str, status: u16, headers: &HeaderMap, body: &Value) {
    let path = path.split('?').next().unwrap_or_default();
    let Some(template) = template(method, path) else { return };
    let shown = format!("{method} {template} {status}");
    let operation = &DOCUMENT["paths"][template][method.to_ascii_lowercase()];
    let response = resolve(&operation["responses"][status.to_string()]);
    assert!(response.is_object(), "{shown} is not in the document: {body}");
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let required = resolve(header)["required"] == true;
        assert!(!required || headers.contains_key(name), "{shown} lacks the header {name}");
    }
    let Some(content) = response["content"].as_object() else {
        assert!(body.is_null(), "{shown} should have no body: {body}");
        return;
    };
    let kind = headers["content-type"].to_str().expect("an ASCII media type");
    let kind = kind.split(';').next().unwrap_or_default();
    let mut schema = content.get(kind).unwrap_or_else(|| panic!("{shown} as {kind}"))["schema"].clone();
    schema["components"] = DOCUMENT["components"].clone();
    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
    let faults: Vec<String> =
        validator.iter_errors(body).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{shown}: {faults:#?}\n{body}");
}

/// The row that answers a path: with the fewest ids in braces, as the router chooses.
fn template(method: &str, path: &str) -> Option<&'static str> {
    let fits = |template: &str| {
        let (mut given, mut wanted) = (path.split('/'), template.split('/'));
        given.by_ref().zip(wanted.by_ref()).all(|(given, wanted)| wanted.starts_with('{') || given == wanted)
            && path.split('/').count() == template.split('/').count()
    };
    let rows = ROUTES.iter().filter(|route| fits(route.path));
    let best = rows.min_by_key(|route| route.path.matches('{').count())?.path;
    ROUTES.iter().any(|route| route.path == best && route.method == method).then_some(best)
}

fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(path) => DOCUMENT.pointer(path.trim_start_matches('#')).expect("a reference of the document"),
        None => value,
    }
}

/// Forbids what is not named in every object schema. The document itself does not: clients must take more.
fn close(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("type") == Some(&json!("object")) && map.contains_key("properties") {
                map.entry("additionalProperties").or_insert(false.into());
            }
            map.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[test]
fn rows_are_found_as_the_router_finds_them() {
    for (method, path, want) in [
        ("GET", "/api/v1/products", Some("/api/v1/products")),
        ("GET", "/api/v1/products/7", Some("/api/v1/products/{product}")),
        ("GET", "/api/v1/spike/events/7/orders/mine", Some("/api/v1/spike/events/{event}/orders/mine")),
        ("PURGE", "/api/v1/products", None),
        ("GET", "/api/v1/nowhere", None),
    ] {
        assert_eq!(template(method, path), want, "{method} {path}");
    }
}

#[test]
#[should_panic(expected = "unforeseen")]
fn a_field_that_the_document_does_not_name_is_noticed() {
    let headers = HeaderMap::from_iter([
        ("content-type".parse().unwrap(), "application/json".parse().unwrap()),
        ("x-request-id".parse().unwrap(), "r".parse().unwrap()),
    ]);
    let body = json!({ "code": 1080, "reason": "internal", "message": "No.", "unforeseen": 1 });
    check("GET", "/errors", 500, &headers, &body);
}
