//! What the answers of everything but a buy mean to the client; buys are read by [`crate::sale::answer`].

use super::Kind;
use crate::http::{Response, SendError};
use crate::sale::answer;

/// The kind of an answer and its stable word.
pub(super) fn read(response: &Response<'_>) -> (Kind, &'static str) {
    let word = |otherwise| answer::reason(response).map_or(otherwise, |reason| reason.as_str());
    match response.status {
        200..300 => (Kind::Accepted, "ok"),
        429 => (Kind::Refused, answer::limit_met(response).unwrap_or_else(|| word("other-4xx"))),
        503 if response.retry_after.is_some() => (Kind::Refused, word("other-5xx")),
        400..500 => (Kind::Rejected, word("other-4xx")),
        500.. => (Kind::Error, word("other-5xx")),
        _ => (Kind::Rejected, "unexpected-status"),
    }
}

/// The kind of no answer.
pub(super) fn missing(error: &SendError) -> (Kind, &'static str) {
    (Kind::Error, error.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_says_when_to_come_again_has_refused_and_not_failed() {
        let check = |status, retry_after: Option<&str>, body: &str, want| {
            let response = Response {
                status,
                location: None,
                retry_after: retry_after.map(str::as_bytes),
                rate_limit: None,
                request_id: None,
                replayed: false,
                body: body.as_bytes(),
            };
            assert_eq!(read(&response), want, "{status} {body}");
        };
        check(200, None, "", (Kind::Accepted, "ok"));
        check(201, None, "{}", (Kind::Accepted, "ok"));
        check(429, Some("1"), r#"{"reason":"too-many-requests"}"#, (Kind::Refused, "too-many-requests"));
        check(429, None, "", (Kind::Refused, "other-4xx"));
        check(503, Some("1"), r#"{"reason":"overloaded"}"#, (Kind::Refused, "overloaded"));
        check(503, None, "busy", (Kind::Error, "other-5xx"));
        check(500, Some("1"), r#"{"reason":"internal"}"#, (Kind::Error, "internal"));
        check(409, None, r#"{"reason":"sold-out"}"#, (Kind::Rejected, "sold-out"));
        check(404, None, "<html>", (Kind::Rejected, "other-4xx"));
        check(302, None, "", (Kind::Rejected, "unexpected-status"));
        assert_eq!(missing(&SendError::Timeout), (Kind::Error, "timeout"));
    }
}
