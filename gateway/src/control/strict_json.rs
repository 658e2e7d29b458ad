//! A request body as JSON that means one thing only: duplicate keys, trailing text, bad UTF-8 and numbers beyond any
//! type are refused as malformed before a field is looked at.

use std::cell::RefCell;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use spike_domain::Reason;

use super::refusal::{Refusal, Result};
use crate::envelope::FieldError;

/// The object a body holds. Errors: `malformed`, naming the field of a duplicate key.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>> {
    let malformed = |detail| Refusal::new(Reason::Malformed).detail(detail);
    let text = std::str::from_utf8(body).map_err(|_| malformed("The body is not UTF-8."))?;
    let duplicate = RefCell::new(None);
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Once { duplicate: &duplicate, path: String::new() }.deserialize(&mut reader);
    let value = value.and_then(|value| reader.end().map(|()| value));
    match value {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(malformed("The body must be a JSON object.")),
        Err(_) => Err(match duplicate.into_inner() {
            Some(path) => {
                let errors = vec![FieldError::new(path, "is given twice")];
                Refusal { errors, ..malformed("A key of the body is given twice.") }
            }
            None => malformed("The body is not JSON, or a number in it is beyond all bounds."),
        }),
    }
}

/// Reads any value; a key that comes twice leaves its path in `duplicate`.
struct Once<'a> {
    duplicate: &'a RefCell<Option<String>>,
    path: String,
}

impl Once<'_> {
    fn below(&self, step: &str) -> Self {
        let path = if self.path.is_empty() { step.to_owned() } else { format!("{}.{step}", self.path) };
        Self { duplicate: self.duplicate, path }
    }
}

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.below(&list.len().to_string()))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let seed = self.below(&key);
            if map.contains_key(&key) {
                *self.duplicate.borrow_mut() = Some(seed.path);
                return Err(A::Error::custom("duplicate key"));
            }
            let value = entries.next_value_seed(seed)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_means_one_thing_is_read() {
        let body =
            r#" {"a": [1, -2, 3.5, null, true], "b": {"a": "\u00e4\u0000"}, "big": 18446744073709551615} "#;
        let want = json!({"a": [1, -2, 3.5, null, true], "b": {"a": "ä\0"}, "big": u64::MAX});
        assert_eq!(Value::Object(object(body.as_bytes()).unwrap()), want);
    }

    #[test]
    fn what_does_not_is_malformed() {
        let deep = "{\"a\":".repeat(200);
        let cases: &[(&[u8], &str)] = &[
            (b"", ""),
            (b"null", ""),
            (b"[]", ""),
            (b"7", ""),
            (b"{", ""),
            (b"{}{}", ""),
            (b"{} x", ""),
            (b"{'a':1}", ""),
            (b"{\"a\":1,}", ""),
            (b"{\"a\":1e999}", ""),
            (b"{\"a\":NaN}", ""),
            (b"{\"a\":01}", ""),
            (b"{\"a\":\"\\ud800\"}", ""),
            (b"{\"a\":\"\x00\"}", ""),
            (b"{\"a\":\"\xff\"}", ""),
            (b"\xef\xbb\xbf{}", ""),
            (deep.as_bytes(), ""),
            (b"{\"a\":1,\"a\":1}", "a"),
            (b"{\"a\":1,\"\\u0061\":1}", "a"),
            (b"{\"x\":{\"a\":1,\"b\":2,\"a\":3}}", "x.a"),
            (b"{\"x\":[{},{\"a\":1,\"a\":3}]}", "x.1.a"),
        ];
        for (body, field) in cases {
            let refusal = object(body).unwrap_err();
            let shown = String::from_utf8_lossy(body);
            assert_eq!(refusal.reason, Reason::Malformed, "{shown}");
            let named = refusal.errors.first().map_or("", |error| error.field.as_str());
            assert_eq!(named, *field, "{shown}");
        }
    }
}
