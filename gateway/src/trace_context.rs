//! The headers of W3C Trace Context: a client's `traceparent` is continued, and the answer says in `traceresponse` where.

use http::{HeaderMap, HeaderName, HeaderValue};
use spike_domain::TraceContext;

/// The request's header.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The answer's header (Trace Context Level 2, draft): the trace, and our part of it.
pub const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// The trace of a request; `None` without exactly one valid header.
pub fn of(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    TraceContext::parse(value.as_bytes())
}

/// `traceresponse` for an answer whose span this is.
pub fn response(context: TraceContext) -> HeaderValue {
    let mut text = [0; TraceContext::TEXT_LEN];
    HeaderValue::from_str(context.text(&mut text)).expect("hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_continued_where_it_is_given_once() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let given = HeaderValue::from_static(text);
        let mut headers = HeaderMap::from_iter([(TRACEPARENT, given.clone())]);
        let context = of(&headers).unwrap();
        assert_eq!((context.span_id, context.sampled), (0x00f0_67aa_0ba9_02b7, true));
        assert_eq!(response(context.at(0xb7)), format!("{}00000000000000b7-01", &text[..36]));
        headers.append(TRACEPARENT, given);
        assert_eq!(of(&headers), None);
    }
}
