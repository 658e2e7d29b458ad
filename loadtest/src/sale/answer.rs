//! What an answer of the buy route means to its buyer, read with a few scans instead of a JSON parser.

use memchr::memmem;
use spike_domain::{OrderId, Reason};

use crate::http::{Response, SendError};

/// The meaning of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 202 with its order.
    Acknowledged {
        /// The order.
        order: OrderId,
    },
    /// Nothing, or not enough, was left.
    SoldOut(Reason),
    /// The user has bought; the order where the answer names it.
    AlreadyBought(Option<OrderId>),
    /// Refused for another reason; the word says which.
    Refused(&'static str),
    /// The server failed and said that nothing was done.
    Failed(&'static str),
    /// Nobody knows whether there is an order; its id where the answer names it.
    Unknown(&'static str, Option<OrderId>),
}

/// Reads an answer of the server.
pub fn read(response: &Response<'_>) -> Answer {
    let body = response.body;
    let order = || text_field(body, b"\"order_id\"").and_then(OrderId::parse);
    if response.status == 202 {
        // An acknowledgement that names no order cannot be audited: it is an error whose effect is unknown.
        return order()
            .map_or(Answer::Unknown("accepted-without-order", None), |order| Answer::Acknowledged { order });
    }
    match (response.status, reason(response)) {
        (_, Some(reason @ (Reason::SoldOut | Reason::InsufficientStock))) => Answer::SoldOut(*reason),
        (_, Some(Reason::AlreadyBought)) => Answer::AlreadyBought(order()),
        (_, Some(Reason::OutcomeUnknown)) => Answer::Unknown(Reason::OutcomeUnknown.as_str(), order()),
        (503, Some(reason)) => Answer::Failed(reason.as_str()),
        // Any other 5xx may have struck after the reservation.
        (500.., reason) => Answer::Unknown(reason.map_or("other-5xx", |reason| reason.as_str()), order()),
        (429, reason) => {
            let word = || reason.map_or("other-4xx", |reason| reason.as_str());
            Answer::Refused(limit_met(response).unwrap_or_else(word))
        }
        (400..500, reason) => Answer::Refused(reason.map_or("other-4xx", |reason| reason.as_str())),
        _ => Answer::Refused("unexpected-status"),
    }
}

/// What it means that there is no answer.
pub fn missing(error: &SendError) -> Answer {
    if error.may_have_arrived() { Answer::Unknown(error.word(), None) } else { Answer::Failed(error.word()) }
}

/// Every limit that a 429 can name, as it is counted.
pub const LIMITS: [(&str, &str); 6] = [
    ("all", "limit-all"),
    ("event", "limit-event"),
    ("user", "limit-user"),
    ("address", "limit-address"),
    ("press", "limit-press"),
    ("tries", "limit-tries"),
];

/// The limit that a 429 names in its header `RateLimit`.
pub(crate) fn limit_met(response: &Response<'_>) -> Option<&'static str> {
    let named = response.rate_limit?.strip_prefix(b"\"")?;
    let name = &named[..memchr::memchr(b'"', named)?];
    LIMITS.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, word)| *word)
}

/// The reason that an answer gives, if it is one of the dictionary and goes with its status.
pub(crate) fn reason(response: &Response<'_>) -> Option<&'static Reason> {
    let word = text_field(response.body, b"\"reason\"")?;
    Reason::ALL.iter().find(|reason| reason.as_str() == word && reason.status() == response.status)
}

/// The text after the first `name` (with its quotes), a colon and a quote. Enough for ids and stable words, which
/// need no escapes; a quoted `name` within another text cannot be taken for it, because its quotes are escaped.
fn text_field<'a>(body: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let rest = body[memmem::find(body, name)? + name.len()..].trim_ascii_start();
    let rest = rest.strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    std::str::from_utf8(&rest[..memchr::memchr(b'"', rest)?]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = "019a9cf0-1111-7abc-8def-0123456789ab";

    fn check(status: u16, body: &str, want: Answer) {
        let response = Response {
            status,
            location: None,
            retry_after: None,
            rate_limit: None,
            request_id: None,
            replayed: false,
            body: body.as_bytes(),
        };
        assert_eq!(read(&response), want, "{status} {body}");
    }

    #[test]
    fn every_answer_of_the_contract() {
        let order = OrderId::parse(ORDER).unwrap();
        let accepted =
            format!(r#"{{"code":0,"message":"OK","data":{{"order_id":"{ORDER}","status":"queued"}}}}"#);
        check(202, &accepted, Answer::Acknowledged { order });
        check(202, &accepted.replace("\":", "\" : "), Answer::Acknowledged { order });
        let error = |reason: Reason, data: &str| {
            format!(r#"{{"code":{},"reason":"{}","message":"…"{data}}}"#, reason.code(), reason.as_str())
        };
        let named = format!(r#","data":{{"order_id":"{ORDER}"}}"#);
        check(409, &error(Reason::SoldOut, ""), Answer::SoldOut(Reason::SoldOut));
        check(409, &error(Reason::InsufficientStock, ""), Answer::SoldOut(Reason::InsufficientStock));
        check(409, &error(Reason::AlreadyBought, &named), Answer::AlreadyBought(Some(order)));
        check(409, &error(Reason::AlreadyBought, ""), Answer::AlreadyBought(None));
        check(403, &error(Reason::NotStarted, ""), Answer::Refused("not-started"));
        check(429, &error(Reason::TooManyRequests, ""), Answer::Refused("too-many-requests"));
        check(401, &error(Reason::Unauthorized, ""), Answer::Refused("unauthorized"));
        check(503, &error(Reason::OutcomeUnknown, &named), Answer::Unknown("outcome-unknown", Some(order)));
        check(503, &error(Reason::OutboxFull, ""), Answer::Failed("outbox-full"));
        check(500, &error(Reason::Internal, ""), Answer::Unknown("internal", None));
    }

    #[test]
    fn a_refusal_by_a_limit_names_it() {
        let refused = |rate_limit: &'static [u8]| {
            let body = br#"{"reason":"too-many-requests"}"#;
            read(&Response {
                status: 429,
                location: None,
                retry_after: Some(b"1"),
                rate_limit: Some(rate_limit),
                request_id: None,
                replayed: false,
                body,
            })
        };
        for (name, word) in LIMITS {
            let header: &'static str = format!("\"{name}\";r=0;t=2").leak();
            assert_eq!(refused(header.as_bytes()), Answer::Refused(word));
        }
        for unknown in ["", "user", "\"user", "\"of another kind\";r=0"] {
            assert_eq!(refused(unknown.as_bytes()), Answer::Refused("too-many-requests"), "{unknown}");
        }
    }

    #[test]
    fn answers_outside_the_contract_are_never_a_success() {
        check(202, "", Answer::Unknown("accepted-without-order", None));
        check(202, r#"{"data":{"order_id":"soon"}}"#, Answer::Unknown("accepted-without-order", None));
        check(202, r#"{"data":{"order_id":"#, Answer::Unknown("accepted-without-order", None));
        check(200, "{}", Answer::Refused("unexpected-status"));
        check(302, "", Answer::Refused("unexpected-status"));
        check(404, "<html>", Answer::Refused("other-4xx"));
        check(502, "<html>", Answer::Unknown("other-5xx", None));
        check(503, "busy", Answer::Unknown("other-5xx", None));
        // A word with another status than its own is not believed.
        check(500, r#"{"reason":"sold-out"}"#, Answer::Unknown("other-5xx", None));
        check(
            400,
            r#"{"message":"\"reason\":\"sold-out\"","reason":"malformed"}"#,
            Answer::Refused("malformed"),
        );
    }
}
