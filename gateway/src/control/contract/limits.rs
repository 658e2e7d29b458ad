//! The rate limits in front of a buy, described.

use serde_json::{Value, json};
use spike_domain::{Rate, RateLimits, Reason};

use super::operation::Operation;
use super::schema::{count, example, named, object, request, required, units, word};

pub(super) fn describe(method: &str, path: &str) -> Option<Operation> {
    if path != "/api/v1/admin/limits" {
        return None;
    }
    let operation = |id, summary| Operation::new("spike", id, summary);
    let in_force = |operation: Operation, description| {
        operation.answers(200, description, named("RateLimits"), &["ETag"])
    };
    let versioned = |operation: Operation| {
        operation
            .takes("RequiredIfMatch")
            .refuses(&[Reason::PreconditionRequired, Reason::PreconditionFailed])
    };
    Some(match method {
        "GET" => in_force(operation("getLimits", "The rate limits in force"), "The limits"),
        "PUT" => in_force(
            versioned(operation("replaceLimits", "Set the rate limits"))
                .notes(
                    "In force on every gateway within a second, and until they are replaced or deleted. Buckets keep their \
                     state. Each gateway counts for itself.",
                )
                .body(body()),
            "The limits as they are now",
        ),
        "DELETE" => in_force(
            versioned(operation("deleteLimits", "Give the rate limits back to the configuration"))
                .notes("Each gateway goes by its own configuration; the answer shows that of the one that answers."),
            "The limits as they are now",
        ),
        _ => return None,
    })
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let rate = || object([required("per_s", units()), required("burst", units())]);
    let limits = object([
        required("global", rate()),
        required("event", rate()),
        required("user", rate()),
        required("address", rate()),
        required("debounce_ms", units()),
        required("source", word(["configuration", "administrator"])),
        required("version", units()),
    ]);
    vec![("RateLimits", limits)]
}

fn body() -> Value {
    let rate = || {
        request([
            required("per_s", count(0..=Rate::PER_S_MAX)),
            required("burst", count(1..=Rate::BURST_MAX)),
        ])
    };
    let schema = request([
        required("global", rate()),
        required("event", rate()),
        required("user", rate()),
        required("address", rate()),
        required("debounce_ms", count(0..=RateLimits::DEBOUNCE_MS_MAX)),
    ]);
    let shown = |per_s: u32, burst: u32| json!({ "per_s": per_s, "burst": burst });
    example(
        schema,
        json!({
            "global": shown(0, 10_000), "event": shown(0, 10_000), "user": shown(10, 20), "address": shown(100, 200),
            "debounce_ms": 200,
        }),
    )
}
