//! One attempt to pay an order.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::BadId;

/// One attempt to pay, and what the provider knows it by: a UUIDv7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptId(pub Uuid);

impl AttemptId {
    /// The sixteen bytes kept in the database.
    pub fn bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for AttemptId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        // The canonical form only, as for an order.
        let uuid = Some(text).filter(|text| text.len() == 36).and_then(|text| Uuid::try_parse(text).ok());
        uuid.map(Self).ok_or_else(|| BadId {
            kind: "payment attempt id",
            allowed: "a UUID of 36 characters",
            value: text.chars().take(64).collect(),
        })
    }
}

/// What has become of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptStatus {
    /// Recorded; the provider may have been asked, its verdict is not known.
    Open,
    /// The money was taken and paid for the order.
    Captured,
    /// No money was taken.
    Declined,
    /// The money was taken and the order could not be paid with it: it must be given back.
    RefundDue,
    /// The money was given back. Final.
    Refunded,
    /// The provider will not give it back: somebody has to see to it. Final.
    RefundFailed,
}

impl AttemptStatus {
    /// Every status, in the order of their codes.
    pub const ALL: [Self; 6] =
        [Self::Open, Self::Captured, Self::Declined, Self::RefundDue, Self::Refunded, Self::RefundFailed];

    /// The number kept in the database.
    pub fn code(self) -> i8 {
        match self {
            Self::Open => 1,
            Self::Captured => 2,
            Self::Declined => 3,
            Self::RefundDue => 4,
            Self::Refunded => 5,
            Self::RefundFailed => 6,
        }
    }

    /// Its word, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Captured => "captured",
            Self::Declined => "declined",
            Self::RefundDue => "refund-due",
            Self::Refunded => "refunded",
            Self::RefundFailed => "refund-failed",
        }
    }

    /// The status of a database number.
    pub fn from_code(code: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }
}

/// What a provider decided of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It took the money.
    Captured,
    /// It did not, and will not.
    Declined,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_back() {
        for status in AttemptStatus::ALL {
            assert_eq!(AttemptStatus::from_code(status.code()), Some(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        assert_eq!(AttemptStatus::from_code(0), None);
    }

    #[test]
    fn attempts_have_the_canonical_text_only() {
        let attempt = AttemptId(Uuid::now_v7());
        assert_eq!(attempt.to_string().parse(), Ok(attempt));
        for bad in ["", "x", &attempt.0.simple().to_string(), &format!("{attempt} ")] {
            assert!(bad.parse::<AttemptId>().is_err(), "{bad:?}");
        }
    }
}
