//! The body and the idempotency key of a buy, against a plain reading of the same JSON.

use std::fmt;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use spike_domain::Reason;
use spike_gateway::hot::press::{key_digest, quantity};

/// What a body is made of.
pub const WORDS: &[&str] = &[
    "{\"quantity\":",
    "\"quantity\"",
    "\"quantit\\u0079\"",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "true",
    "1.0",
    "1e0",
    "1E+0",
    "0.1e1",
    "\"1\"",
    " ",
    "\u{feff}",
    "\u{e9}",
    "\\ud800",
    "10e-1",
];

/// One input: a body, and the value of a key.
///
/// # Panics
/// When a promise is broken.
pub fn run(data: &[u8]) -> String {
    let json: HeaderMap =
        [(CONTENT_TYPE, HeaderValue::from_static("application/json"))].into_iter().collect();
    let read = quantity(&json, data);
    let units = match &read {
        Ok(units) => Some(*units),
        Err(bad) => {
            let known = [Reason::Malformed, Reason::Validation].contains(&bad.reason);
            assert!(known && bad.field.is_some() == (bad.reason == Reason::Validation), "{bad:?}");
            None
        }
    };
    assert_eq!(units, plainly(data), "{}", String::from_utf8_lossy(data));
    let untyped = quantity(&HeaderMap::new(), data);
    assert_eq!(untyped.is_ok(), data.is_empty(), "a body without its type is refused");
    let kind = read.as_ref().err().map(|bad| (bad.reason, bad.detail, bad.field.is_some()));
    format!("{kind:?} {:?} {}", units.map(|units| units.ilog2()), key(data))
}

/// The quantity that an object with no other field says, as an integer from 1 to 2^32 - 1; without one it is 1.
fn plainly(data: &[u8]) -> Option<u32> {
    if data.is_empty() {
        return Some(1);
    }
    let fields = serde_json::from_slice::<Fields>(data).ok()?.0;
    match &fields[..] {
        [] => Some(1),
        [(name, Value::Number(number))] if name == "quantity" => {
            let exact = number
                .as_u64()
                .map_or_else(|| number.as_f64(), |whole| u32::try_from(whole).ok().map(f64::from))?;
            (1..=u32::MAX)
                .contains(&(exact as u32))
                .then_some(exact as u32)
                .filter(|&units| f64::from(units) == exact)
        }
        _ => None,
    }
}

/// Every field of an object in its order, those that come twice too.
struct Fields(Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// What becomes of the input as an idempotency key: 1 to 255 printable characters of ASCII, or refused.
fn key(data: &[u8]) -> &'static str {
    let Ok(value) = HeaderValue::from_bytes(data) else { return "no header" };
    let headers: HeaderMap = [(HeaderName::from_static("idempotency-key"), value)].into_iter().collect();
    let good = (1..=255).contains(&data.len()) && data.iter().all(|byte| (0x20..0x7f).contains(byte));
    match key_digest(&headers) {
        Ok(Some(digest)) => {
            assert!(good && digest.len() == 32, "{}", String::from_utf8_lossy(data));
            "key"
        }
        Ok(None) => panic!("a key that is there is not overlooked"),
        Err(_) => {
            assert!(!good, "{}", String::from_utf8_lossy(data));
            "refused"
        }
    }
}
