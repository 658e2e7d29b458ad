//! The claims of an access token.

use serde::{Deserialize, Serialize};

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Buys.
    User,
    /// Runs sales.
    Admin,
}

impl Role {
    /// The word in tokens, in the database and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }

    /// The role of a word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::User, Self::Admin].into_iter().find(|role| role.as_str() == word)
    }
}

/// An access token's payload (RFC 7519 names; `sid`, `ver`, `typ` and `role` are ours).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Issuer.
    pub iss: String,
    /// Audience.
    pub aud: String,
    /// User id, in decimal.
    pub sub: String,
    /// Session id.
    pub sid: String,
    /// The session's generation, which rises with every refresh; a revocation ends older ones.
    pub ver: u32,
    /// Always `access`; a refresh token is refused where an access token is wanted.
    pub typ: String,
    /// What the user may do.
    pub role: Role,
    /// Expiry, Unix seconds.
    pub exp: u64,
    /// Issued at, Unix seconds.
    pub iat: u64,
    /// Not before, Unix seconds.
    pub nbf: u64,
}

impl AccessClaims {
    /// The value of `typ`.
    pub const TYP: &'static str = "access";
}
