//! The payload of an access token, read without copying what need not be kept.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use spike_domain::{AccessClaims, Role, SessionId, UserId};

/// Bytes of a payload that is decoded on the stack; ours have some 250.
const STACK_BYTES: usize = 768;

/// What a verified token says, small enough to be kept by the thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Who.
    pub user: UserId,
    /// Of which session.
    pub sid: SessionId,
    /// Expiry, Unix seconds.
    pub exp: u64,
    /// Not before, Unix seconds.
    pub nbf: u64,
    /// The session's generation when the token was minted.
    pub ver: u32,
    /// What the user may do.
    pub role: Role,
}

impl Access {
    /// Whether the token's times hold at `now_s` within the leeway, both in seconds.
    pub fn in_time(&self, now_s: u64, leeway_s: u64) -> bool {
        now_s < self.exp.saturating_add(leeway_s) && self.nbf <= now_s.saturating_add(leeway_s)
    }
}

/// The names of [`AccessClaims`], borrowed where the JSON has no escapes.
#[derive(Deserialize)]
struct Claims<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    aud: Cow<'a, str>,
    #[serde(borrow)]
    sub: Cow<'a, str>,
    #[serde(borrow)]
    sid: Cow<'a, str>,
    ver: u32,
    #[serde(borrow)]
    typ: Cow<'a, str>,
    role: Role,
    exp: u64,
    iat: u64,
    nbf: u64,
}

/// Reads the payload segment of a token whose signature holds; `None` unless it is an access token of `issuer` for
/// `audience`, complete and well-formed, that lives no longer than `ttl_s`: what is revoked is kept for tokens of that life,
/// so one that was minted when the setting was larger would outlive its own revocation. The other times are the caller's
/// to check.
pub(super) fn read(payload: &str, issuer: &str, audience: &str, ttl_s: u64) -> Option<Access> {
    let mut stack = [0; STACK_BYTES];
    let heap;
    let json = match URL_SAFE_NO_PAD.decode_slice(payload, &mut stack) {
        Ok(length) => &stack[..length],
        Err(base64::DecodeSliceError::OutputSliceTooSmall) => {
            heap = URL_SAFE_NO_PAD.decode(payload).ok()?;
            &heap[..]
        }
        Err(base64::DecodeSliceError::DecodeError(_)) => return None,
    };
    let claims: Claims<'_> = serde_json::from_slice(json).ok()?;
    if claims.iss != issuer || claims.aud != audience || claims.typ != AccessClaims::TYP {
        return None;
    }
    if claims.exp > claims.iat.saturating_add(ttl_s) {
        return None;
    }
    Some(Access {
        user: UserId::parse(&claims.sub)?,
        sid: SessionId::parse(&claims.sid)?,
        exp: claims.exp,
        nbf: claims.nbf,
        ver: claims.ver,
        role: claims.role,
    })
}
