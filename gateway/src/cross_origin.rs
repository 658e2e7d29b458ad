//! What a browser's script from a listed origin may send and see, for hot and cold routes alike.

use http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION, RETRY_AFTER,
};
use http::{HeaderName, HeaderValue};

use crate::rate_limit::{RATE_LIMIT, RATE_LIMIT_POLICY};

/// Request headers of the contract beyond those that every script may send.
pub const ALLOWED: [HeaderName; 8] = [
    ACCEPT,
    AUTHORIZATION,
    CONTENT_TYPE,
    IF_MATCH,
    IF_NONE_MATCH,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("x-request-id"),
];

/// Answer headers of the contract that a script may read.
pub const EXPOSED: [HeaderName; 9] = [
    CACHE_CONTROL,
    ETAG,
    LOCATION,
    RETRY_AFTER,
    RATE_LIMIT,
    RATE_LIMIT_POLICY,
    HeaderName::from_static("idempotent-replayed"),
    HeaderName::from_static("traceresponse"),
    HeaderName::from_static("x-request-id"),
];

/// [`EXPOSED`] as a header's value.
pub const EXPOSED_VALUE: HeaderValue = HeaderValue::from_static(
    "cache-control,etag,location,retry-after,ratelimit,ratelimit-policy,idempotent-replayed,traceresponse,x-request-id",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_the_list() {
        let names = EXPOSED;
        let list: Vec<&str> = names.iter().map(HeaderName::as_str).collect();
        assert_eq!(EXPOSED_VALUE.to_str().unwrap(), list.join(","));
    }
}
