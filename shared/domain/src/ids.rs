//! Ids as newtypes, so that a user can never be passed where an event is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::{ContextV7, Timestamp, Uuid};

/// Text that is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must be {allowed}, not {value:?}")]
pub struct BadId {
    /// What was wanted, for example `event id`.
    pub kind: &'static str,
    /// What is allowed, in words.
    pub allowed: &'static str,
    /// What came, cut to 64 characters.
    pub value: String,
}

macro_rules! integer_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl $name {
            /// Parses plain decimal digits without sign or leading zero; no allocation unless it fails.
            pub fn parse(text: &str) -> Option<Self> {
                let bytes = text.as_bytes();
                if bytes.is_empty() || bytes.len() > 19 || bytes[0] == b'0' || !bytes.iter().all(u8::is_ascii_digit) {
                    return None;
                }
                text.parse().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::parse(text).ok_or_else(|| BadId {
                    kind: $kind,
                    allowed: "an integer from 1 to 9223372036854775807",
                    value: text.chars().take(64).collect(),
                })
            }
        }
    };
}

integer_id!(
    /// A spike event: one product, one stock, one window.
    EventId, "event id"
);
integer_id!(
    /// An account.
    UserId, "user id"
);
integer_id!(
    /// A product of the catalogue.
    ProductId, "product id"
);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The canonical text form, 36 characters, lower case.
            pub const TEXT_LEN: usize = 36;

            /// A fresh id of what begins at `now_ms`.
            pub fn new(now_ms: u64) -> Self {
                let seconds = now_ms / 1000;
                let nanos = u32::try_from(now_ms % 1000).expect("below 1000") * 1_000_000;
                Self(Uuid::new_v7(Timestamp::from_unix(ContextV7::new(), seconds, nanos)))
            }

            /// Parses the canonical text form only (36 characters with hyphens).
            pub fn parse(text: &str) -> Option<Self> {
                if text.len() != Self::TEXT_LEN {
                    return None;
                }
                Uuid::try_parse(text).ok().map(Self)
            }

            /// Writes the canonical text into `buffer` and returns it; no allocation.
            pub fn text(self, buffer: &mut [u8; Self::TEXT_LEN]) -> &str {
                self.0.hyphenated().encode_lower(buffer)
            }

            /// The id of sixteen bytes.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The sixteen bytes kept in the database.
            pub fn bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::parse(text).ok_or_else(|| BadId {
                    kind: $kind,
                    allowed: "a UUID of 36 characters",
                    value: text.chars().take(64).collect(),
                })
            }
        }
    };
}

uuid_id!(
    /// An order, spike or ordinary: a UUIDv7, so that rows arrive in key order.
    OrderId, "order id"
);
uuid_id!(
    /// A session: one login and every refresh after it. The `sid` of its access tokens.
    SessionId, "session id"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integer_ids_take_plain_positive_decimals_only() {
        let check =
            |text: &str, want: Option<i64>| assert_eq!(EventId::parse(text).map(|id| id.0), want, "{text:?}");
        check("1", Some(1));
        check("9223372036854775807", Some(i64::MAX));
        for bad in
            ["", "0", "01", "-1", "+1", " 1", "1 ", "1e3", "9223372036854775808", "99999999999999999999", "٣"]
        {
            check(bad, None);
        }
    }

    #[test]
    fn order_ids_are_version_seven_and_read_back() {
        let id = OrderId::new(1_763_800_000_123);
        assert_eq!(id.0.get_version_num(), 7);
        let (seconds, nanos) = id.0.get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos / 1_000_000), (1_763_800_000, 123));
        assert_eq!(OrderId::parse(&id.to_string()), Some(id));
        assert_eq!(id.text(&mut [0; 36]), id.to_string());
        assert_eq!(OrderId::parse(&id.0.simple().to_string()), None, "only the canonical form");
    }
}
