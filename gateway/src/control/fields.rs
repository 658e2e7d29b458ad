//! Reading the fields of a request body one by one, so that a client learns of every mistake at once.
//!
//! A getter of a missing or wrong field notes the error and returns a placeholder; [`Fields::finish`] refuses before a
//! placeholder can be used.

use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use http_body_util::LengthLimitError;
use serde_json::{Map, Value};
use spike_domain::clock::parse_rfc3339;
use spike_domain::{Currency, Money, Reason};

use super::Control;
use super::refusal::{Refusal, Result};
use super::strict_json;
use crate::envelope::{FieldError, JSON};

/// The fields of a JSON object not read yet, and what was wrong with those that were.
#[derive(Debug)]
pub struct Fields {
    left: Map<String, Value>,
    /// With its dot, for example `price.`; empty for the body itself.
    prefix: String,
    errors: Vec<FieldError>,
}

impl FromRequest<Arc<Control>> for Fields {
    type Rejection = Refusal;

    async fn from_request(request: Request, control: &Arc<Control>) -> Result<Self> {
        if !says_json(request.headers()) {
            return Err(Refusal::new(Reason::UnsupportedMediaType));
        }
        let body = to_bytes(request.into_body(), control.config.http.body_bytes_max).await;
        let body = body.map_err(|error| unread(&error))?;
        Ok(Self::new(strict_json::object(&body)?))
    }
}

/// The object a request's body holds; an empty one where there is neither a body nor a type of one.
pub(super) async fn object_or_nothing(request: Request, bytes_max: usize) -> Result<Map<String, Value>> {
    let (head, body) = request.into_parts();
    let typed = head.headers.contains_key(CONTENT_TYPE);
    if typed && !says_json(&head.headers) {
        return Err(Refusal::new(Reason::UnsupportedMediaType));
    }
    let body = to_bytes(body, bytes_max).await.map_err(|error| unread(&error))?;
    match (typed, body.is_empty()) {
        (false, true) => Ok(Map::new()),
        (false, false) => Err(Refusal::new(Reason::UnsupportedMediaType)),
        (true, _) => strict_json::object(&body),
    }
}

impl Fields {
    /// The fields of an object.
    pub fn new(map: Map<String, Value>) -> Self {
        Self { left: map, prefix: String::new(), errors: Vec::new() }
    }

    /// A text of so many characters, not all of them blank. NUL is refused, everything else is kept as it came.
    pub fn text(&mut self, name: &str, chars: RangeInclusive<usize>) -> String {
        let text = self.optional_text(name, chars);
        self.required(name, text)
    }

    /// A text that may be absent or null.
    pub fn optional_text(&mut self, name: &str, chars: RangeInclusive<usize>) -> Option<String> {
        let value = self.take(name)?;
        let Value::String(text) = value else { return self.wrong(name, "must be a text") };
        let (least, most) = (*chars.start(), *chars.end());
        if !chars.contains(&text.chars().count()) {
            return self.wrong(name, format!("must have {least} to {most} characters"));
        }
        if least > 0 && text.trim().is_empty() {
            return self.wrong(name, "must not be blank");
        }
        if text.contains('\0') {
            return self.wrong(name, "must not contain a NUL character");
        }
        Some(text)
    }

    /// An integer within `range`.
    pub fn integer(&mut self, name: &str, range: RangeInclusive<i64>) -> i64 {
        let number = self.optional_integer(name, range);
        self.required(name, number)
    }

    /// An integer that may be absent or null.
    pub fn optional_integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let value = self.take(name)?;
        match whole(&value).filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => self.wrong(name, format!("must be an integer from {} to {}", range.start(), range.end())),
        }
    }

    /// An integer within `range` that fits 32 bits.
    pub fn count(&mut self, name: &str, range: RangeInclusive<u32>) -> u32 {
        let number = self.integer(name, i64::from(*range.start())..=i64::from(*range.end()));
        u32::try_from(number).unwrap_or_default()
    }

    /// As [`Fields::count`], absent or null.
    pub fn optional_count(&mut self, name: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let number = self.optional_integer(name, i64::from(*range.start())..=i64::from(*range.end()))?;
        u32::try_from(number).ok()
    }

    /// True or false, absent or null.
    pub fn optional_flag(&mut self, name: &str) -> Option<bool> {
        let value = self.take(name)?;
        value.as_bool().or_else(|| self.wrong(name, "must be true or false"))
    }

    /// A moment, in Unix milliseconds.
    pub fn moment(&mut self, name: &str) -> u64 {
        let moment = self.optional_moment(name);
        self.required(name, moment)
    }

    /// The same, absent or null.
    pub fn optional_moment(&mut self, name: &str) -> Option<u64> {
        let value = self.take(name)?;
        let moment = value.as_str().and_then(parse_rfc3339);
        moment.or_else(|| self.wrong(name, "must be an RFC 3339 time, such as 2026-11-22T09:30:00Z"))
    }

    /// As [`Fields::money`], absent or null.
    pub fn optional_money(&mut self, name: &str, minor_max: i64) -> Option<Money> {
        let given = self.left.get(name).is_some_and(|value| !value.is_null());
        if !given {
            self.left.remove(name);
            return None;
        }
        Some(self.money(name, minor_max))
    }

    /// `{"minor": …, "currency": "…"}`, 0 to `minor_max`.
    pub fn money(&mut self, name: &str, minor_max: i64) -> Money {
        let nothing = Money { minor: 0, currency: Currency::parse("XXX").expect("ISO 4217 for no currency") };
        let money = self.object(name, "must be an object of minor and currency", |inner| {
            let minor = inner.integer("minor", 0..=minor_max);
            let letters = inner.text("currency", 3..=3);
            let currency = Currency::parse(&letters);
            if currency.is_none() && !letters.is_empty() {
                inner.wrong::<()>("currency", "must be three upper-case letters (ISO 4217)");
            }
            Money { minor, currency: currency.unwrap_or(nothing.currency) }
        });
        money.unwrap_or(nothing)
    }

    /// An object, read by `read` under its name, for example `price.`; `None` once an error is noted.
    pub fn object<T>(&mut self, name: &str, otherwise: &str, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let Some(value) = self.take(name) else {
            self.missing(name);
            return None;
        };
        let Value::Object(map) = value else { return self.wrong(name, otherwise) };
        let mut inner = Self { left: map, prefix: format!("{}{name}.", self.prefix), errors: Vec::new() };
        let object = read(&mut inner);
        self.errors.append(&mut inner.all_errors());
        Some(object)
    }

    /// A list of so many objects, each read by `read` under the name of its place, for example `items.0.`.
    pub fn objects<T>(
        &mut self,
        name: &str,
        count: RangeInclusive<usize>,
        mut read: impl FnMut(&mut Self) -> T,
    ) -> Vec<T> {
        let Some(value) = self.take(name) else {
            self.missing(name);
            return Vec::new();
        };
        let Value::Array(values) = value else {
            self.wrong::<()>(name, "must be a list of objects");
            return Vec::new();
        };
        if !count.contains(&values.len()) {
            let (least, most) = (count.start(), count.end());
            self.wrong::<()>(name, format!("must have {least} to {most} entries"));
            return Vec::new();
        }
        let mut list = Vec::with_capacity(values.len());
        for (at, value) in values.into_iter().enumerate() {
            let Value::Object(map) = value else {
                self.wrong::<()>(&format!("{name}.{at}"), "must be an object");
                continue;
            };
            let prefix = format!("{}{name}.{at}.", self.prefix);
            let mut inner = Self { left: map, prefix, errors: Vec::new() };
            list.push(read(&mut inner));
            self.errors.append(&mut inner.all_errors());
        }
        list
    }

    /// One of these words, absent or null.
    pub fn optional_word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let value = self.take(name)?;
        let found = words.iter().find(|(word, _)| value.as_str() == Some(word));
        found.map(|(_, meaning)| *meaning).or_else(|| {
            let allowed: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(name, format!("must be one of {}", allowed.join(", ")))
        })
    }

    /// Notes an error that a getter cannot see.
    pub fn wrong<T>(&mut self, name: &str, message: impl Into<String>) -> Option<T> {
        self.errors.push(FieldError::new(format!("{}{name}", self.prefix), message));
        None
    }

    /// The same, unless a getter has said something of the field already.
    pub fn wrong_unless_named<T>(&mut self, name: &str, message: &str) -> Option<T> {
        let path = format!("{}{name}", self.prefix);
        if self.errors.iter().any(|error| error.field == path) {
            return None;
        }
        self.wrong(name, message)
    }

    /// Refuses if anything was wrong or a field is left that nobody asked for.
    pub fn finish(self) -> Result<()> {
        let errors = self.all_errors();
        if errors.is_empty() { Ok(()) } else { Err(Refusal::fields(errors)) }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name).filter(|value| !value.is_null())
    }

    /// The value, or its type's placeholder with an error, unless the getter noted one already.
    fn required<T: Default>(&mut self, name: &str, value: Option<T>) -> T {
        let path = format!("{}{name}", self.prefix);
        if value.is_none() && !self.errors.iter().any(|error| error.field == path) {
            self.missing(name);
        }
        value.unwrap_or_default()
    }

    fn missing(&mut self, name: &str) {
        self.wrong::<()>(name, "is required");
    }

    fn all_errors(mut self) -> Vec<FieldError> {
        for name in std::mem::take(&mut self.left).keys() {
            // The name is the client's own; enough of it to be recognised.
            let name: String = name.chars().take(64).collect();
            self.wrong::<()>(&name, "is not a field of this request");
        }
        self.errors
    }
}

/// The integer that a JSON number is. `7.0` is one too (JSON Schema says so), as long as a double holds it exactly.
fn whole(value: &Value) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    #[allow(clippy::cast_possible_truncation, reason = "whole, and within 2^53")]
    let rounded = |number: f64| (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64);
    value.as_i64().or_else(|| value.as_f64().filter(|_| value.is_f64()).and_then(rounded))
}

/// `application/json`, with no charset but UTF-8.
fn says_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let Ok(text) = value.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case(JSON));
    media_type
        && parts.all(|parameter| {
            let charset = parameter.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
            charset.is_none_or(|(_, charset)| charset.trim_matches('"').eq_ignore_ascii_case("utf-8"))
        })
}

fn unread(error: &axum::Error) -> Refusal {
    let too_large =
        std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<LengthLimitError>);
    Refusal::new(if too_large { Reason::BodyTooLarge } else { Reason::Malformed })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn fields(body: Value) -> Fields {
        let Value::Object(map) = body else { panic!("an object") };
        Fields::new(map)
    }

    #[test]
    fn good_fields_are_read() {
        let mut body = fields(json!({"name": " ä\r\n'; DROP TABLE", "n": 5, "at": "2025-11-22T09:30:00Z",
            "whole": -7.0, "exponent": 3e3, "price": {"minor": 250, "currency": "EUR"}, "none": null}));
        assert_eq!(body.text("name", 1..=20), " ä\r\n'; DROP TABLE");
        assert_eq!((body.count("n", 1..=5), body.moment("at")), (5, 1_763_803_800_000));
        assert_eq!((body.integer("whole", -7..=0), body.count("exponent", 1..=3000)), (-7, 3000));
        assert_eq!(body.money("price", 250).minor, 250);
        assert_eq!((body.optional_text("none", 1..=2), body.optional_count("absent", 1..=2)), (None, None));
        body.finish().unwrap();
    }

    #[test]
    fn every_mistake_is_named_once() {
        let mut body = fields(json!({"short": "", "long": "xxx", "blank": "  ", "nul": "a\0", "number": 7,
            "low": 0, "high": 6, "huge": u64::MAX, "fraction": 1.5, "far": 1e19, "text": "1", "at": "noon",
            "price": {"minor": -1, "currency": "eur", "extra": 1}, "flat": 5, "role": "admin"}));
        for name in ["short", "long", "blank", "nul", "number", "gone"] {
            body.text(name, 1..=2);
        }
        for name in ["low", "high", "huge", "fraction", "far", "text", "absent"] {
            body.integer(name, 1..=5);
        }
        body.moment("at");
        body.moment("never");
        body.money("price", 10);
        body.money("flat", 10);
        body.money("free", 10);
        let named: Vec<_> = body.finish().unwrap_err().errors.into_iter().map(|error| error.field).collect();
        let want = [
            "short",
            "long",
            "blank",
            "nul",
            "number",
            "gone",
            "low",
            "high",
            "huge",
            "fraction",
            "far",
            "text",
            "absent",
            "at",
            "never",
            "price.minor",
            "price.currency",
            "price.extra",
            "flat",
            "free",
            "role",
        ];
        assert_eq!(named, want);
    }

    #[test]
    fn only_json_in_utf_8_is_taken() {
        for (value, taken) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/json;charset=\"utf-8\"", true),
            ("application/json; charset=utf-16", false),
            ("application/jsonp", false),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(says_json(&headers), taken, "{value:?}");
        }
        assert!(!says_json(&HeaderMap::new()));
    }
}
