//! The keys of access tokens: one that signs, and those that still verify, each known by the header it writes.
//!
//! A key is prepared once (HMAC's inner and outer state, the public key's point), so that verifying costs the signature and
//! nothing else; see ADR 0007 for what that saves.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use spike_config::{AuthConfig, Ed25519Seed, RetiredKeyKind, TokenAlgorithm};
use spike_domain::AccessClaims;

/// PKCS #8 around an Ed25519 seed (RFC 8410, 7): what jsonwebtoken takes as a signing key.
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// Bytes of the longest signature, Ed25519's, with the slack that the decoder asks for.
const SIGNATURE_BYTES_MAX: usize = 66;

/// The keys of a process.
pub(super) struct Keys {
    header: Header,
    signing: EncodingKey,
    /// The active key first, then the retired ones.
    verifying: Vec<VerifyingKey>,
}

struct VerifyingKey {
    /// The encoded header with its dot: the first bytes of every token of this key.
    prefix: String,
    check: Check,
}

#[allow(clippy::large_enum_variant, reason = "a handful in a process, never moved")]
enum Check {
    Hs256(hmac::Key),
    EdDsa(ParsedPublicKey),
}

impl Keys {
    /// The keys as configured.
    pub fn new(auth: &AuthConfig) -> Self {
        let (algorithm, signing, check) = match (auth.algorithm, &auth.private_key) {
            (TokenAlgorithm::Hs256, _) => {
                let secret = auth.secret.expose().as_bytes();
                (Algorithm::HS256, EncodingKey::from_secret(secret), Check::hs256(secret))
            }
            (TokenAlgorithm::EdDsa, Some(seed)) => {
                let pkcs8 = [&PKCS8_HEAD[..], seed.expose()].concat();
                (Algorithm::EdDSA, EncodingKey::from_ed_der(&pkcs8), Check::eddsa(&public_key(seed)))
            }
            (TokenAlgorithm::EdDsa, None) => unreachable!("the settings demand the key of EdDSA"),
        };
        let header = header_of(algorithm, &auth.key_id);
        let active = VerifyingKey { prefix: prefix(&header), check };
        let retired = auth.retired_keys.iter().map(|retired| {
            let (algorithm, check) = match &retired.key {
                RetiredKeyKind::Hs256(secret) => (Algorithm::HS256, Check::hs256(secret.expose().as_bytes())),
                RetiredKeyKind::EdDsa(public) => (Algorithm::EdDSA, Check::eddsa(public)),
                RetiredKeyKind::EdDsaPrivate(seed) => (Algorithm::EdDSA, Check::eddsa(&public_key(seed))),
            };
            VerifyingKey { prefix: prefix(&header_of(algorithm, &retired.id)), check }
        });
        let verifying = std::iter::once(active).chain(retired).collect();
        Self { header, signing, verifying }
    }

    /// The first bytes of every token that is signed here.
    #[cfg(test)]
    pub fn active_prefix(&self) -> &str {
        &self.verifying[0].prefix
    }

    /// Signs.
    pub fn sign(&self, claims: &AccessClaims) -> String {
        jsonwebtoken::encode(&self.header, claims, &self.signing)
            .expect("the key was checked with the settings, and claims always encode")
    }

    /// The payload segment of a token whose header is that of one of our keys and whose signature is that key's.
    pub fn verified<'t>(&self, token: &'t str) -> Option<&'t str> {
        let key = self.verifying.iter().find(|key| token.starts_with(&key.prefix))?;
        let dot = key.prefix.len() + memchr::memchr(b'.', &token.as_bytes()[key.prefix.len()..])?;
        let (message, signature) = (&token[..dot], &token[dot + 1..]);
        let mut bytes = [0; SIGNATURE_BYTES_MAX];
        // What is longer than any signature does not fit and is none.
        let length = URL_SAFE_NO_PAD.decode_slice(signature, &mut bytes).ok()?;
        key.check.holds(message.as_bytes(), &bytes[..length]).then(|| &message[key.prefix.len()..])
    }
}

impl Check {
    fn hs256(secret: &[u8]) -> Self {
        Self::Hs256(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    fn eddsa(public: &[u8; 32]) -> Self {
        Self::EdDsa(ParsedPublicKey::new(&ED25519, public).expect("32 bytes are taken for a point"))
    }

    fn holds(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hs256(key) => hmac::verify(key, message, signature).is_ok(),
            Self::EdDsa(key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}

fn public_key(seed: &Ed25519Seed) -> [u8; 32] {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).expect("any 32 bytes are a seed");
    pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes")
}

fn header_of(algorithm: Algorithm, key_id: &str) -> Header {
    Header { kid: Some(key_id.to_owned()), ..Header::new(algorithm) }
}

/// The header as jsonwebtoken writes it, encoded, with its dot.
fn prefix(header: &Header) -> String {
    let json = serde_json::to_vec(header).expect("a header encodes");
    format!("{}.", URL_SAFE_NO_PAD.encode(json))
}
