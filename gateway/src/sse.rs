//! The text of server-sent events about an order, for the hot cores' streams and for what only the database knows.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

/// Media type of a stream.
pub const MEDIA_TYPE: &str = "text/event-stream";
/// A comment that says that the line is alive.
pub const HEARTBEAT: Bytes = Bytes::from_static(b": alive\n\n");
/// Milliseconds after which a client whose stream has ended asks again.
const RETRY_MS: u32 = 2000;

/// The states that nothing follows.
const FINAL: [&str; 4] = ["paid", "cancelled", "rejected", "lost"];

/// Whether nothing follows this state.
pub fn ended(status: &str) -> bool {
    FINAL.contains(&status)
}

/// An event: the state is its id, so that a client that comes back says what it has seen last.
pub fn event(status: &str, data: &Value) -> Bytes {
    format!("id: {status}\nevent: status\ndata: {data}\n\n").into()
}

/// The first event of a stream, which also says when to come back.
pub fn first(status: &str, data: &Value) -> Bytes {
    format!("retry: {RETRY_MS}\nid: {status}\nevent: status\ndata: {data}\n\n").into()
}

/// Whether the client has seen this final state: it is answered 204, which ends its attempts to come back.
pub fn heard_the_end(headers: &HeaderMap, status: &str) -> bool {
    ended(status) && headers.get("last-event-id").is_some_and(|id| id.as_bytes() == status.as_bytes())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;
    use spike_domain::ClaimState;

    use super::*;

    #[test]
    fn only_a_final_state_that_was_seen_ends_the_attempts() {
        for (state, want) in [
            (ClaimState::Queued, false),
            (ClaimState::Pending, false),
            (ClaimState::Paid, true),
            (ClaimState::Cancelled, true),
            (ClaimState::Rejected, true),
            (ClaimState::Lost, true),
        ] {
            let word = state.as_str();
            assert_eq!(ended(word), want, "{word}");
            let headers =
                |id| HeaderMap::from_iter([("last-event-id".parse().unwrap(), HeaderValue::from_static(id))]);
            assert_eq!(heard_the_end(&headers(word), word), want, "{word}");
            assert!(!heard_the_end(&headers("other"), word) && !heard_the_end(&HeaderMap::new(), word));
        }
    }

    #[test]
    fn data_stays_one_line() {
        let text = event("paid", &json!({"name": "a\nb\r\n\n"}));
        assert_eq!(&text[..], b"id: paid\nevent: status\ndata: {\"name\":\"a\\nb\\r\\n\\n\"}\n\n");
        assert!(first("paid", &json!({})).starts_with(b"retry: 2000\nid: paid\n"));
    }
}
