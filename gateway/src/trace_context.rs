//! W3C Trace Context (Level 1): a client's `traceparent` is read strictly and named in our log lines; what is no valid
//! one is ignored, as the recommendation demands. Spans that are sent somewhere come with tracing itself.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The request's header.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The answer's header (Trace Context Level 2, draft): the trace, and our part of it.
pub const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// A trace that a client has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    sampled: bool,
}

impl TraceContext {
    /// The trace of a request; `None` without exactly one valid header.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        Self::parse(value.to_str().ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let version = hex(parts.next()?, 2)?;
        let (trace_id, parent) = (hex(parts.next()?, 32)?, hex(parts.next()?, 16)?);
        let flags = hex(parts.next()?, 2)?;
        // Later versions may say more behind the flags; 00 may not, and ff is none.
        let ends = version != 0 || parts.next().is_none();
        let valid = version != 0xff && ends && trace_id != 0 && parent != 0;
        valid.then_some(Self { trace_id, sampled: flags & 1 == 1 })
    }

    /// `traceresponse` for an answer whose span has this id.
    pub fn response(&self, span_id: u64) -> HeaderValue {
        let text = format!("00-{self}-{:016x}-{:02x}", span_id.max(1), u8::from(self.sampled));
        HeaderValue::try_from(text).expect("hexadecimal digits")
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.trace_id)
    }
}

/// Exactly so many lower-case digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let plain = text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    u128::from_str_radix(text, 16).ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_parents_are_continued() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let with = |version: &str, parent: &str, tail: &str| format!("{version}-{trace}-{parent}-{tail}");
        let parent = "00f067aa0ba902b7";
        for (text, sampled) in [
            (with("00", parent, "01"), Some(true)),
            (with("00", parent, "00"), Some(false)),
            (with("00", parent, "ff"), Some(true)),
            (with("01", parent, "01-more"), Some(true)),
            (with("00", parent, "01-more"), None),
            (with("ff", parent, "01"), None),
            (with("00", "0000000000000000", "01"), None),
            (format!("00-{}-{parent}-01", "0".repeat(32)), None),
            (with("00", parent, "1"), None),
            (with("00", &parent.to_uppercase(), "01"), None),
            (with("00", parent, "+1"), None),
            (format!("00-{trace}-{parent}"), None),
            (String::new(), None),
        ] {
            let got = TraceContext::parse(&text);
            assert_eq!(got.map(|context| context.sampled), sampled, "{text:?}");
            assert!(got.is_none_or(|context| context.to_string() == trace), "{text:?}");
        }
        let context = TraceContext::parse(&with("00", parent, "01")).unwrap();
        assert_eq!(context.response(0xb7), format!("00-{trace}-00000000000000b7-01"));
        let given = HeaderValue::try_from(with("00", parent, "01")).unwrap();
        let mut headers = HeaderMap::from_iter([(TRACEPARENT, given.clone())]);
        assert_eq!(TraceContext::of(&headers), Some(context));
        headers.append(TRACEPARENT, given);
        let twice = headers;
        assert_eq!(TraceContext::of(&twice), None);
    }
}
