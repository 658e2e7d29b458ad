//! The gateway's access tokens, verified by jsonwebtoken.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use spike_config::AuthConfig;
use spike_domain::{AccessClaims, SessionId, UserId};

/// Verifies HS256 tokens of one issuer for one audience.
pub(crate) struct Verifier {
    key: DecodingKey,
    validation: Validation,
    ttl_s: u64,
}

impl Verifier {
    /// As configured: secret, issuer, audience, life and leeway.
    pub(crate) fn new(auth: &AuthConfig) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[&auth.issuer]);
        validation.set_audience(&[&auth.audience]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = auth.leeway_s;
        let key = DecodingKey::from_secret(auth.secret.expose().as_bytes());
        Self { key, validation, ttl_s: auth.access_ttl_s }
    }

    /// The user of a valid access token.
    pub(crate) fn user(&self, token: &str) -> Option<UserId> {
        let claims = decode::<AccessClaims>(token, &self.key, &self.validation).ok()?.claims;
        let ours = claims.typ == AccessClaims::TYP && claims.exp <= claims.iat.saturating_add(self.ttl_s);
        SessionId::parse(&claims.sid).filter(|_| ours)?;
        UserId::parse(&claims.sub)
    }
}
