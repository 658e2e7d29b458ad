//! Access tokens: minted at login, verified at every buy. HS256, or EdDSA where the settings say so, and nothing else.
//!
//! The header is compared byte for byte with the few that this process knows, one a key, and never parsed: no algorithm,
//! key id or key URL of an attacker's choosing is ever looked at. The clock is passed in.
//!
//! [`Tokens::authenticate`] is the one question that both sides of the gateway ask; the hot cores ask it through their
//! [`TokenCache`].

mod cache;
mod claims;
mod keys;
#[cfg(test)]
mod tests;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use spike_config::AuthConfig;
use spike_domain::{AccessClaims, Role, SessionId, UserId};
use uuid::Uuid;

pub use cache::{Lookup, TokenCache};
pub use claims::Access;
use keys::Keys;

use crate::local::Revocations;

/// Longest token that is looked at, in bytes; ours have some 400.
pub const TOKEN_BYTES_MAX: usize = 4096;

/// Mints and verifies; built once and shared by every core.
pub struct Tokens {
    keys: Keys,
    issuer: String,
    audience: String,
    ttl_s: u64,
    leeway_s: u64,
    revocations: Revocations,
}

impl Tokens {
    /// Tokens as the configuration says; nothing is revoked yet.
    ///
    /// # Panics
    /// When issuer and audience are so long that no token of ours would be looked at.
    pub fn new(auth: &AuthConfig) -> Self {
        let tokens = Self {
            keys: Keys::new(auth),
            issuer: auth.issuer.clone(),
            audience: auth.audience.clone(),
            ttl_s: auth.access_ttl_s,
            leeway_s: auth.leeway_s,
            revocations: Revocations::default(),
        };
        let sample = tokens.mint(UserId(i64::MAX), Role::Admin, SessionId(Uuid::max()), u32::MAX, 0);
        assert!(sample.len() <= TOKEN_BYTES_MAX, "auth.issuer, auth.audience and auth.key_id are too long");
        tokens
    }

    /// Life of an access token, in seconds.
    pub fn ttl_s(&self) -> u64 {
        self.ttl_s
    }

    /// What has been revoked, as far as this process knows.
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// A token for `user` in generation `ver` of its session, valid from `now_s` (Unix seconds) for the configured time.
    pub fn mint(&self, user: UserId, role: Role, sid: SessionId, ver: u32, now_s: u64) -> String {
        self.keys.sign(&AccessClaims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: user.to_string(),
            sid: sid.to_string(),
            ver,
            typ: AccessClaims::TYP.to_owned(),
            role,
            exp: now_s.saturating_add(self.ttl_s),
            iat: now_s,
            nbf: now_s,
        })
    }

    /// What a token says that is valid at `now_s` (Unix seconds) and not revoked. `None` for every other, without saying
    /// why: all of them get one identical 401.
    pub fn authenticate(&self, token: &str, now_s: u64) -> Option<Access> {
        self.verify(token, now_s).and_then(|access| self.still_good(access, now_s))
    }

    /// What a token says that is ours, for us, for access, and valid at `now_s` within the leeway, revoked or not.
    pub fn verify(&self, token: &str, now_s: u64) -> Option<Access> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let payload = self.keys.verified(token)?;
        let access = claims::read(payload, &self.issuer, &self.audience, self.ttl_s)?;
        access.in_time(now_s, self.leeway_s).then_some(access)
    }

    /// What must be asked again of a token that was verified before.
    fn still_good(&self, access: Access, now_s: u64) -> Option<Access> {
        let good = access.in_time(now_s, self.leeway_s) && !self.revocations.revoked(access.sid, access.ver);
        good.then_some(access)
    }
}

impl std::fmt::Debug for Tokens {
    /// Without the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

/// The token of the one `Authorization: Bearer …` header. Two of them are none: whoever stands before us may have
/// looked at the other one. The scheme's case does not matter, nor how many spaces follow it (RFC 9110, 11.4).
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_start_matches(' '))
}
