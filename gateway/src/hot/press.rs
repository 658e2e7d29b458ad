//! What a press says: quantity and idempotency key, read strictly.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use spike_domain::Reason;

use crate::envelope::FieldError;
use crate::idempotency_key;

/// Longest body of a buy, in bytes; what is longer cannot be one.
pub const BODY_MAX: usize = 4096;

/// Why a press cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPress {
    /// The refusal.
    pub reason: Reason,
    /// What is wrong, where the dictionary's words are not enough.
    pub detail: Option<&'static str>,
    /// The field at fault.
    pub field: Option<FieldError>,
}

/// Units wanted, from the body; 1 if there is none.
pub fn quantity(headers: &HeaderMap, body: &[u8]) -> Result<u32, BadPress> {
    if body.is_empty() {
        return Ok(1);
    }
    if !json_type(headers) {
        return Err(BadPress { reason: Reason::UnsupportedMediaType, detail: None, field: None });
    }
    if let Some(plain) = plain_quantity(body) {
        return Ok(plain);
    }
    // serde would take an array for a struct of optional fields.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(not_an_object());
    }
    let press: Press = serde_json::from_slice(body).map_err(|error| read_error(&error))?;
    match press.quantity {
        None => Ok(1),
        Some(value) => whole(&value).filter(|&n| n >= 1).ok_or_else(|| {
            field_error("quantity", "must be an integer from 1 to the sale's per-user limit".to_owned())
        }),
    }
}

/// The digest under which an idempotency key is kept.
pub fn key_digest(headers: &HeaderMap) -> Result<Option<Box<str>>, BadPress> {
    let malformed =
        |_| BadPress { reason: Reason::Malformed, detail: Some(idempotency_key::SYNTAX), field: None };
    idempotency_key::digest(headers).map_err(malformed)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Press {
    #[serde(default, deserialize_with = "present")]
    quantity: Option<serde_json::Value>,
}

/// Keeps an explicit null, which is not the same as no field.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(deserializer).map(Some)
}

/// The body nearly every client sends, `{"quantity":N}` with at most nine digits.
fn plain_quantity(body: &[u8]) -> Option<u32> {
    let digits = body.strip_prefix(b"{\"quantity\":")?.strip_suffix(b"}")?;
    let plain = (1..=9).contains(&digits.len()) && digits[0] != b'0' && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| digits.iter().fold(0, |n, digit| n * 10 + u32::from(digit - b'0')))
}

/// The integer that a JSON number is; `2.0` is one too.
fn whole(value: &serde_json::Value) -> Option<u32> {
    let exact = |number: f64| number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and within 32 bits")]
    let rounded = |number: f64| exact(number).then_some(number as u32);
    match value.as_u64() {
        Some(number) => u32::try_from(number).ok(),
        None => value.as_f64().and_then(rounded),
    }
}

fn json_type(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn read_error(error: &serde_json::Error) -> BadPress {
    use serde_json::error::Category;
    let text = error.to_string();
    // serde names the field between back quotes: "unknown field `x`", "duplicate field `quantity`".
    let named = text.split('`').nth(1).map(|name| name.chars().take(64).collect::<String>());
    match (error.classify(), named) {
        (Category::Data, Some(name)) => {
            let fault = if text.starts_with("duplicate") { "is given twice" } else { "is not known here" };
            field_error(&name, fault.to_owned())
        }
        (Category::Data, None) => BadPress {
            reason: Reason::Malformed,
            detail: Some("The body must be a JSON object."),
            field: None,
        },
        _ => BadPress { reason: Reason::Malformed, detail: Some("The body is not JSON."), field: None },
    }
}

fn not_an_object() -> BadPress {
    BadPress { reason: Reason::Malformed, detail: Some("The body must be a JSON object."), field: None }
}

fn field_error(field: &str, message: String) -> BadPress {
    BadPress { reason: Reason::Validation, detail: None, field: Some(FieldError::new(field, message)) }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn json() -> HeaderMap {
        [(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"))].into_iter().collect()
    }

    #[test]
    fn good_bodies_are_read_either_way() {
        let cases = [
            ("", 1),
            ("{}", 1),
            (r#"{"quantity":1}"#, 1),
            (r#"{ "quantity" : 12 }"#, 12),
            (r#"{"quantity":4294967295}"#, u32::MAX),
        ];
        for (body, want) in cases {
            assert_eq!(quantity(&json(), body.as_bytes()), Ok(want), "{body}");
        }
        assert_eq!(quantity(&HeaderMap::new(), b""), Ok(1));
    }

    #[test]
    fn bad_bodies_name_their_fault() {
        let deep = "[".repeat(200);
        let cases = [
            ("nonsense", Reason::Malformed, None),
            ("[]", Reason::Malformed, None),
            ("5", Reason::Malformed, None),
            (r#"{"quantity":1"#, Reason::Malformed, None),
            (r#"{"quantity":1}{}"#, Reason::Malformed, None),
            (r#"{"quantity":1e999}"#, Reason::Malformed, None),
            ("{\"quantity\":\u{0}1}", Reason::Malformed, None),
            (&deep, Reason::Malformed, None),
            (r#"{"quantity":0}"#, Reason::Validation, Some("quantity")),
            (r#"{"quantity":-1}"#, Reason::Validation, Some("quantity")),
            (r#"{"quantity":1.5}"#, Reason::Validation, Some("quantity")),
            (r#"{"quantity":"1"}"#, Reason::Validation, Some("quantity")),
            (r#"{"quantity":null}"#, Reason::Validation, Some("quantity")),
            (r#"{"quantity":4294967296}"#, Reason::Validation, Some("quantity")),
            (r#"{"quantity":9223372036854775808}"#, Reason::Validation, Some("quantity")),
            (r#"{"quantity":99999999999999999999999}"#, Reason::Validation, Some("quantity")),
            (r#"{"quantity":1,"quantity":2}"#, Reason::Validation, Some("quantity")),
            (r#"{"quantity":1,"role":"admin"}"#, Reason::Validation, Some("role")),
        ];
        for (body, reason, field) in cases {
            let bad = quantity(&json(), body.as_bytes()).expect_err(body);
            assert_eq!((bad.reason, bad.field.as_ref().map(|f| f.field.as_str())), (reason, field), "{body}");
        }
        assert_eq!(quantity(&json(), b"{\"quantity\":\"\xff\"}").unwrap_err().reason, Reason::Malformed);
        assert_eq!(quantity(&HeaderMap::new(), b"{}").unwrap_err().reason, Reason::UnsupportedMediaType);
    }

    #[test]
    fn keys_are_digested_and_odd_ones_refused() {
        let headers = |values: &[&'static [u8]]| -> HeaderMap {
            let name = http::HeaderName::from_static("idempotency-key");
            values.iter().map(|value| (name.clone(), HeaderValue::from_bytes(value).unwrap())).collect()
        };
        assert_eq!(key_digest(&headers(&[])), Ok(None));
        let digest = key_digest(&headers(&[b"press-1"])).unwrap().unwrap();
        assert!(digest.len() == 32 && digest.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_ne!(key_digest(&headers(&[b"press-2"])).unwrap().unwrap(), digest);
        for bad in [&[&b""[..]][..], &[b"\xc3\xa9"], &[b"a", b"b"]] {
            assert!(key_digest(&headers(bad)).is_err(), "{bad:?}");
        }
    }
}
