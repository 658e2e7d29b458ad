//! W3C Trace Context (Level 1): which trace a piece of work belongs to, and which span is its parent.
//! <https://www.w3.org/TR/trace-context/>
//!
//! Read strictly: what is no valid `traceparent` is ignored, as the recommendation demands. A context is three numbers, so
//! that carrying one costs a buy no allocation.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::OrderId;

/// A trace, one span of it, and whether it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace; never 0.
    pub trace_id: u128,
    /// The span that whatever comes next is a child of; never 0.
    pub span_id: u64,
    /// Whether whoever began the trace wants its spans.
    pub sampled: bool,
}

/// The context of one order on its way to the database: present only for orders whose trace is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderTrace {
    /// The order.
    #[serde(rename = "o")]
    pub order: OrderId,
    /// Its trace, and the span before this one.
    #[serde(rename = "p")]
    pub context: TraceContext,
}

impl TraceContext {
    /// Bytes of a `traceparent` of version 00.
    pub const TEXT_LEN: usize = 55;

    /// Reads a `traceparent` value; `None` unless it is valid.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (head, rest) = text.split_at_checked(Self::TEXT_LEN)?;
        let version = hex(&head[..2])?;
        let trace_id = u128::from(hex(&head[3..19])?) << 64 | u128::from(hex(&head[19..35])?);
        let (span_id, flags) = (hex(&head[36..52])?, hex(&head[53..])?);
        let dashes = head[2] == b'-' && head[35] == b'-' && head[52] == b'-';
        // Later versions may say more behind the flags; 00 may not, and ff is none.
        let ends = rest.is_empty() || (version != 0 && rest[0] == b'-');
        let valid = dashes && ends && version != 0xff && trace_id != 0 && span_id != 0;
        valid.then_some(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }

    /// The same trace, at another span.
    #[must_use]
    pub fn at(self, span_id: u64) -> Self {
        Self { span_id, ..self }
    }

    /// Writes the `traceparent` into `buffer` and returns it; no allocation.
    pub fn text(self, buffer: &mut [u8; Self::TEXT_LEN]) -> &str {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        *buffer = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let digit = |number: u128, place: usize| DIGITS[(number >> (4 * place)) as usize & 15];
        for place in 0..32 {
            buffer[34 - place] = digit(self.trace_id, place);
        }
        for place in 0..16 {
            buffer[51 - place] = digit(self.span_id.into(), place);
        }
        buffer[54] += u8::from(self.sampled);
        std::str::from_utf8(buffer).expect("ASCII digits")
    }
}

/// As a `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text(&mut [0; Self::TEXT_LEN]))
    }
}

impl Serialize for TraceContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text(&mut [0; Self::TEXT_LEN]))
    }
}

impl<'de> Deserialize<'de> for TraceContext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(text.as_bytes()).ok_or_else(|| serde::de::Error::custom("not a traceparent"))
    }
}

/// A number of lower-case digits only, at most sixteen.
fn hex(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    #[test]
    fn only_valid_parents_are_continued() {
        let with = |version: &str, parent: &str, tail: &str| format!("{version}-{TRACE}-{parent}-{tail}");
        for (text, sampled) in [
            (with("00", PARENT, "01"), Some(true)),
            (with("00", PARENT, "00"), Some(false)),
            (with("00", PARENT, "ff"), Some(true)),
            (with("01", PARENT, "01-more"), Some(true)),
            (with("01", PARENT, "01"), Some(true)),
            (with("01", PARENT, "01more"), None),
            (with("00", PARENT, "01-more"), None),
            (with("00", PARENT, "01-"), None),
            (with("ff", PARENT, "01"), None),
            (with("00", "0000000000000000", "01"), None),
            (format!("00-{}-{PARENT}-01", "0".repeat(32)), None),
            (with("00", PARENT, "1"), None),
            (with("0", PARENT, "001"), None),
            (with("00", &PARENT.to_uppercase(), "01"), None),
            (with("00", PARENT, "+1"), None),
            (with("00", PARENT, "01").replace('-', "_"), None),
            (format!(" {}", with("00", PARENT, "01")), None),
            (format!("00-{TRACE}-{PARENT}"), None),
            (String::new(), None),
        ] {
            let got = TraceContext::parse(text.as_bytes());
            assert_eq!(got.map(|context| context.sampled), sampled, "{text:?}");
            assert!(got.is_none_or(|context| context.to_string()[3..35] == *TRACE), "{text:?}");
        }
        assert_eq!(TraceContext::parse(&[0xff; 55]), None);
    }

    #[test]
    fn what_is_written_reads_back() {
        for (trace_id, span_id, sampled) in
            [(1, 1, false), (u128::MAX, u64::MAX, true), (0x4bf9 << 100, 0xb7, true)]
        {
            let context = TraceContext { trace_id, span_id, sampled };
            let text = context.to_string();
            assert_eq!(text, format!("00-{trace_id:032x}-{span_id:016x}-{:02x}", u8::from(sampled)));
            assert_eq!(TraceContext::parse(text.as_bytes()), Some(context));
            let json = serde_json::to_string(&context).unwrap();
            assert_eq!(serde_json::from_str::<TraceContext>(&json).unwrap(), context);
        }
        assert!(serde_json::from_str::<TraceContext>("\"00-1-1-01\"").is_err());
    }
}
