//! JSON Schema (2020-12) as the handlers read and write it: the same bounds, from the same constants.

use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};
use spike_domain::clock::parse_rfc3339;

/// A property of an object.
pub(in crate::control) struct Property {
    name: &'static str,
    schema: Value,
    required: bool,
}

/// A field that must be there.
pub(in crate::control) fn required(name: &'static str, schema: Value) -> Property {
    Property { name, schema, required: true }
}

/// A field of a request that may be absent or null, as the getters of `Fields` take it.
pub(in crate::control) fn optional(name: &'static str, schema: Value) -> Property {
    Property { name, schema: nullable(schema), required: false }
}

/// A field that is left out where there is nothing to say.
pub(in crate::control) fn absent_or(name: &'static str, schema: Value) -> Property {
    Property { name, schema, required: false }
}

/// The body of a request: nothing but these fields.
pub(in crate::control) fn request<const N: usize>(properties: [Property; N]) -> Value {
    let mut schema = object(properties);
    schema["additionalProperties"] = false.into();
    schema
}

/// An object of an answer. Clients must expect more fields in later versions.
pub(in crate::control) fn object<const N: usize>(properties: [Property; N]) -> Value {
    let names: Vec<_> = properties.iter().filter(|property| property.required).map(|p| p.name).collect();
    let fields: Map<String, Value> =
        properties.into_iter().map(|property| (property.name.to_owned(), property.schema)).collect();
    let mut schema = json!({ "type": "object", "properties": fields });
    if !names.is_empty() {
        schema["required"] = names.into();
    }
    schema
}

/// The body of a request, of which at least one of these fields must say something.
pub(in crate::control) fn saying_any_of(mut schema: Value, names: &[&str]) -> Value {
    let said =
        |name: &&str| json!({ "required": [name], "properties": { *name: { "not": { "type": "null" } } } });
    schema["anyOf"] = names.iter().map(said).collect();
    schema
}

/// The schema, or null.
pub(in crate::control) fn nullable(mut schema: Value) -> Value {
    let Some(Value::String(plain)) = schema.get("type").cloned() else {
        return json!({ "anyOf": [schema, { "type": "null" }] });
    };
    schema["type"] = json!([plain, "null"]);
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.push(Value::Null);
    }
    schema
}

/// A list of them.
pub(in crate::control) fn list(items: Value) -> Value {
    Value::from_iter([("type", Value::from("array")), ("items", items)])
}

/// A schema of the document's components.
pub(in crate::control) fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Adds an example.
pub(in crate::control) fn example(mut schema: Value, value: impl Into<Value>) -> Value {
    schema["examples"] = json!([value.into()]);
    schema
}

/// A text of so many characters, as `Fields::text` takes it: no NUL, and not only blanks unless it may be empty.
pub(in crate::control) fn text(chars: RangeInclusive<usize>) -> Value {
    let pattern = if *chars.start() == 0 { r"^[^\u0000]*$" } else { r"^[^\u0000]*[^\s\u0000][^\u0000]*$" };
    json!({ "type": "string", "minLength": chars.start(), "maxLength": chars.end(), "pattern": pattern })
}

/// One of these words.
pub(in crate::control) fn word<T: Into<Value>>(words: impl IntoIterator<Item = T>) -> Value {
    json!({ "type": "string", "enum": words.into_iter().map(Into::into).collect::<Vec<Value>>() })
}

/// Any text of an answer.
pub(in crate::control) fn words() -> Value {
    json!({ "type": "string" })
}

/// An integer within bounds.
pub(in crate::control) fn integer(range: RangeInclusive<i64>) -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": range.start(), "maximum": range.end() })
}

/// An integer of 32 bits within bounds.
pub(in crate::control) fn count(range: RangeInclusive<u32>) -> Value {
    json!({ "type": "integer", "minimum": range.start(), "maximum": range.end() })
}

/// Units or anything else that is counted and never negative.
pub(in crate::control) fn units() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// The id of a user, a product or an event.
pub(in crate::control) fn id() -> Value {
    integer(1..=i64::MAX)
}

/// The id of an order or a session, a `UUIDv7`.
pub(in crate::control) fn uuid() -> Value {
    json!({ "type": "string", "format": "uuid", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$" })
}

/// A moment, RFC 3339; answers give it in UTC.
pub(in crate::control) fn moment() -> Value {
    let shown = "2026-11-22T09:30:00.000Z";
    debug_assert!(parse_rfc3339(shown).is_some());
    example(json!({ "type": "string", "format": "date-time" }), shown)
}

/// `true` or `false`.
pub(in crate::control) fn flag() -> Value {
    json!({ "type": "boolean" })
}

/// `{"minor": …, "currency": "…"}` of a request, as `Fields::money` takes it.
pub(in crate::control) fn money(minor_max: i64) -> Value {
    let currency = json!({ "type": "string", "pattern": "^[A-Z]{3}$", "minLength": 3, "maxLength": 3 });
    let schema = request([required("minor", integer(0..=minor_max)), required("currency", currency)]);
    example(schema, json!({ "minor": 1999, "currency": "EUR" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_a_request_that_is_optional_may_be_null() {
        let schema = request([required("a", units()), optional("b", word(["x"])), optional("c", named("D"))]);
        assert_eq!(
            schema,
            json!({
                "type": "object", "additionalProperties": false, "required": ["a"],
                "properties": {
                    "a": {"type": "integer", "minimum": 0},
                    "b": {"type": ["string", "null"], "enum": ["x", null]},
                    "c": {"anyOf": [{"$ref": "#/components/schemas/D"}, {"type": "null"}]},
                },
            })
        );
    }
}
