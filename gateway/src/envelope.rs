//! The one place that turns a result or a refusal into the bytes of an answer, for hot and cold routes alike.
//!
//! A hot answer is built once, without a request id (it travels in `X-Request-Id` only); a cold one carries it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use spike_domain::Reason;

/// Media type of [`ok`] and [`error`].
pub const JSON: &str = "application/json";
/// Media type of [`problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A field of the request that is at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Where it is, for example `price.minor`.
    pub field: String,
    /// What is wrong with it and what is allowed, for people.
    pub message: String,
}

impl FieldError {
    /// A field and what is wrong with it.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// `{"code":0,"message":"OK","data":…,"request_id":"…"}`.
///
/// # Panics
/// When `data` cannot be JSON at all (a map whose keys are no strings): a bug in its type.
pub fn ok(data: impl Serialize, request_id: Option<&str>) -> Vec<u8> {
    encode(&OkBody { code: 0, message: "OK", data, request_id })
}

/// As [`ok`], of `data` that is JSON already.
pub fn ok_of_json(data: &str, request_id: &str) -> Vec<u8> {
    let id = encode(&request_id);
    let mut body = Vec::with_capacity(data.len() + id.len() + 64);
    body.extend_from_slice(br#"{"code":0,"message":"OK","data":"#);
    body.extend_from_slice(data.as_bytes());
    body.extend_from_slice(br#","request_id":"#);
    body.extend_from_slice(&id);
    body.push(b'}');
    body
}

/// `{"code":2000,"reason":"sold-out","message":"…","errors":[…],"data":…,"request_id":"…"}`; what is absent or empty
/// is left out. `detail` replaces the dictionary's message.
pub fn error(
    reason: Reason,
    detail: Option<&str>,
    errors: &[FieldError],
    data: Option<Value>,
    request_id: Option<&str>,
) -> Vec<u8> {
    encode(&ErrorBody {
        code: reason.code(),
        reason: reason.as_str(),
        message: detail.unwrap_or(reason.message()),
        errors,
        data,
        request_id,
    })
}

/// The same error as RFC 9457 says it; `code`, `reason`, `errors`, `data` and `request_id` are extension members.
pub fn problem(
    reason: Reason,
    detail: Option<&str>,
    errors: &[FieldError],
    data: Option<Value>,
    request_id: Option<&str>,
) -> Vec<u8> {
    encode(&ProblemBody {
        r#type: format!("/errors/{}", reason.as_str()),
        title: reason.message(),
        status: reason.status(),
        detail,
        code: reason.code(),
        reason: reason.as_str(),
        errors,
        data,
        request_id,
    })
}

/// Seconds for `Retry-After`; every 429 and 503 has one, and who waits for another request with the same key.
pub const fn retry_after_s(reason: Reason) -> Option<u32> {
    match (reason, reason.status()) {
        // A pause is an operator's doing and lasts; everything else passes in about a second.
        (Reason::Paused, _) => Some(5),
        (Reason::Unavailable | Reason::OutboxFull, _) => Some(2),
        (Reason::InFlight, _) | (_, 429 | 503) => Some(1),
        _ => None,
    }
}

#[derive(Serialize)]
struct OkBody<'a, T> {
    code: u32,
    message: &'static str,
    data: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: u32,
    reason: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct ProblemBody<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    code: u32,
    reason: &'static str,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

fn encode(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("answers have string keys and so always encode")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_answer_has_the_shape_clients_know() {
        assert_eq!(
            text(ok(json!({"id": 1}), Some("r"))),
            r#"{"code":0,"message":"OK","data":{"id":1},"request_id":"r"}"#
        );
        let data = json!({"a": ["ä\n\"", null]});
        assert_eq!(text(ok_of_json(&data.to_string(), "r\"")), text(ok(&data, Some("r\""))));
        assert_eq!(text(ok(Value::Null, None)), r#"{"code":0,"message":"OK","data":null}"#);
    }

    #[test]
    fn an_error_leaves_out_what_it_has_not() {
        assert_eq!(
            text(error(Reason::SoldOut, None, &[], None, None)),
            r#"{"code":2000,"reason":"sold-out","message":"Sold out."}"#
        );
        let errors = [FieldError::new("quantity", "must be at least 1")];
        assert_eq!(
            text(error(Reason::Validation, Some("no"), &errors, Some(json!({"a": 1})), Some("r"))),
            concat!(
                r#"{"code":1060,"reason":"validation","message":"no","#,
                r#""errors":[{"field":"quantity","message":"must be at least 1"}],"data":{"a":1},"request_id":"r"}"#
            )
        );
    }

    #[test]
    fn a_problem_names_its_type_and_status() {
        let body: Value = serde_json::from_slice(&problem(Reason::Ended, None, &[], None, None)).unwrap();
        assert_eq!(
            body,
            json!({"type": "/errors/ended", "title": "The sale is over.", "status": 410, "code": 2011, "reason": "ended"})
        );
    }

    #[test]
    fn what_ends_by_itself_says_when_to_come_back_and_nothing_else_does() {
        for reason in Reason::ALL {
            let waits = retry_after_s(*reason).is_some_and(|seconds| seconds > 0);
            // The only 409 that is over in a moment: the first request with the key is being worked on.
            let passing = matches!(reason.status(), 429 | 503) || *reason == Reason::InFlight;
            assert_eq!(waits, passing, "{reason:?}");
        }
    }
}
