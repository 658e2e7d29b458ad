//! Money in integer minor units with its ISO 4217 currency.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Three upper-case letters, ISO 4217.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// `None` unless `text` is three upper-case ASCII letters.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 3] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_uppercase).then_some(Self(bytes))
    }

    /// The three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("ASCII by construction")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Currency {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("currency must be three upper-case letters (ISO 4217)")
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

/// An amount. Never negative in this system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Minor units, for example cents.
    pub minor: i64,
    /// Which currency's minor units.
    pub currency: Currency,
}

impl Money {
    /// The amount for `quantity` units; `None` on overflow.
    pub fn times(self, quantity: u32) -> Option<Self> {
        Some(Self { minor: self.minor.checked_mul(i64::from(quantity))?, currency: self.currency })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_are_three_upper_case_letters() {
        assert_eq!(Currency::parse("EUR").unwrap().as_str(), "EUR");
        for bad in ["", "eur", "EURO", "E1R", "€€€"] {
            assert!(Currency::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn multiplication_refuses_overflow() {
        let eur = Currency::parse("EUR").unwrap();
        assert_eq!(Money { minor: 250, currency: eur }.times(4).unwrap().minor, 1000);
        assert!(Money { minor: i64::MAX, currency: eur }.times(2).is_none());
    }
}
