//! How a client is told of the limit it has met: `RateLimit-Policy` and `RateLimit` (IETF draft-ietf-httpapi-ratelimit-headers,
//! structured fields), for hot and cold routes alike.

use http::{HeaderName, HeaderValue};

/// Which limit was met.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What is left of it.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// A limit as clients are told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// A short word, lower case.
    pub name: &'static str,
    /// Requests within a window.
    pub quota: u32,
    /// Length of the window, in seconds.
    pub window_s: u32,
}

impl Policy {
    /// The policy of a token bucket: its burst, within the time that fills it.
    pub fn bucket(name: &'static str, per_s: u32, burst: u32) -> Self {
        Self { name, quota: burst, window_s: burst.div_ceil(per_s.max(1)).max(1) }
    }

    /// Both headers of a refusal that ends in `wait_s` seconds.
    pub fn headers(&self, wait_s: u32) -> [(HeaderName, HeaderValue); 2] {
        let Self { name, quota, window_s } = self;
        let value =
            |text: String| HeaderValue::try_from(text).expect("a word and numbers are a header's value");
        [
            (RATE_LIMIT_POLICY, value(format!("\"{name}\";q={quota};w={window_s}"))),
            (RATE_LIMIT, value(format!("\"{name}\";r=0;t={wait_s}"))),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_told_as_the_draft_says() {
        let policy = Policy::bucket("user", 10, 25);
        assert_eq!(policy, Policy { name: "user", quota: 25, window_s: 3 });
        let [(first, policy_value), (second, limit_value)] = policy.headers(2);
        assert_eq!(
            (first.as_str(), policy_value.as_bytes()),
            ("ratelimit-policy", &b"\"user\";q=25;w=3"[..])
        );
        assert_eq!((second.as_str(), limit_value.as_bytes()), ("ratelimit", &b"\"user\";r=0;t=2"[..]));
        assert_eq!(Policy::bucket("x", 100, 1).window_s, 1);
    }
}
