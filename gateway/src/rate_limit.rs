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

/// A limit that a request has met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Met {
    /// Which.
    pub policy: Policy,
    /// Nanoseconds until the request may come again.
    pub wait_ns: u64,
}

impl Met {
    /// Whole seconds to wait, at least one.
    pub fn wait_s(&self) -> u32 {
        u32::try_from(self.wait_ns.div_ceil(1_000_000_000)).unwrap_or(u32::MAX).max(1)
    }
}

impl Policy {
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
    fn a_limit_is_told_as_the_draft_says() {
        let policy = Policy { name: "user", quota: 25, window_s: 3 };
        let [(first, policy_value), (second, limit_value)] = policy.headers(2);
        assert_eq!(
            (first.as_str(), policy_value.as_bytes()),
            ("ratelimit-policy", &b"\"user\";q=25;w=3"[..])
        );
        assert_eq!((second.as_str(), limit_value.as_bytes()), ("ratelimit", &b"\"user\";r=0;t=2"[..]));
        for (wait_ns, wait_s) in [(0, 1), (1, 1), (1_000_000_000, 1), (1_000_000_001, 2)] {
            assert_eq!(Met { policy, wait_ns }.wait_s(), wait_s, "{wait_ns}");
        }
    }
}
