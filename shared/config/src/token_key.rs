//! Keys of access tokens as an operator writes them: a secret, or an Ed25519 key as PEM or as the path of a PEM file.
//!
//! What is a key and what is none is decided here, before a port is bound; nothing of a key ever reaches a message.

use std::fmt;

use crate::choice::Choice;
use crate::secret::Secret;

/// Bytes of an Ed25519 seed, and of a public key.
const KEY_BYTES: usize = 32;
/// `AlgorithmIdentifier` of Ed25519 and the head of the octet string with the seed (RFC 8410, 7).
const PRIVATE_HEAD: [u8; 11] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// Everything before the key in an Ed25519 `SubjectPublicKeyInfo` (RFC 8410, 4).
const PUBLIC_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// A seed that everybody has read: the example of RFC 8037, A.1 (and first of RFC 8032, 7.1).
const EXAMPLE_SEED: [u8; KEY_BYTES] = [
    0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44,
    0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];

/// The public half of that key.
const EXAMPLE_PUBLIC: [u8; KEY_BYTES] = [
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e,
    0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
];

/// How access tokens are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256: whoever verifies can sign.
    Hs256,
    /// Ed25519: a public key verifies.
    EdDsa,
}

impl Choice for TokenAlgorithm {
    const WORDS: &'static [(&'static str, Self)] = &[("HS256", Self::Hs256), ("EdDSA", Self::EdDsa)];
}

/// The private half of an Ed25519 key. `Debug` shows stars.
#[derive(Clone, PartialEq, Eq)]
pub struct Ed25519Seed([u8; KEY_BYTES]);

/// A key that signs no more but still verifies what it signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetiredKey {
    /// The `kid` of its tokens.
    pub id: String,
    /// The key.
    pub key: RetiredKeyKind,
}

/// What a retired key verifies with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetiredKeyKind {
    /// The secret of HS256 tokens.
    Hs256(Secret),
    /// The public key of EdDSA tokens.
    EdDsa([u8; KEY_BYTES]),
    /// The same, written as the private key it belongs to.
    EdDsaPrivate(Ed25519Seed),
}

impl Ed25519Seed {
    /// The seed itself; never log it.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Whether anybody could know it.
    pub(crate) fn is_public(&self) -> bool {
        self.0 == EXAMPLE_SEED || self.0.iter().all(|byte| *byte == self.0[0])
    }

    /// The seed of a private key, given as PEM or as a path.
    pub(crate) fn read(text: &str) -> Result<Self, &'static str> {
        let (label, der) = pem(text)?;
        if label != "PRIVATE KEY" {
            return Err("the PEM holds something else than a PRIVATE KEY");
        }
        seed(&der).ok_or(NOT_ED25519)
    }
}

/// Whether anybody could sign what this public key verifies.
pub(crate) fn private_half_is_public(public: &[u8; KEY_BYTES]) -> bool {
    *public == EXAMPLE_PUBLIC
}

impl fmt::Debug for Ed25519Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(crate::STARS)
    }
}

impl RetiredKey {
    /// Reads `kid=HS256:secret` or `kid=EdDSA:key`, the key as PEM or as a path.
    pub(crate) fn read(text: &str) -> Result<Self, &'static str> {
        let (id, rest) = text.split_once('=').ok_or("")?;
        let (algorithm, key) = rest.split_once(':').ok_or("")?;
        if id.trim().is_empty() || key.trim().is_empty() {
            return Err("");
        }
        let key = match TokenAlgorithm::parse(algorithm).ok_or("the algorithm is HS256 or EdDSA")? {
            TokenAlgorithm::Hs256 => RetiredKeyKind::Hs256(Secret::new(key)),
            TokenAlgorithm::EdDsa => eddsa(key)?,
        };
        Ok(Self { id: id.to_owned(), key })
    }
}

const NOT_ED25519: &str = "the PEM holds a key of another kind than Ed25519";

fn eddsa(text: &str) -> Result<RetiredKeyKind, &'static str> {
    let (label, der) = pem(text)?;
    match label.as_str() {
        "PRIVATE KEY" => seed(&der).map(RetiredKeyKind::EdDsaPrivate).ok_or(NOT_ED25519),
        "PUBLIC KEY" => {
            let key = der.strip_prefix(&PUBLIC_HEAD).and_then(|key| key.try_into().ok());
            key.map(RetiredKeyKind::EdDsa).ok_or(NOT_ED25519)
        }
        _ => Err("the PEM holds something else than a PUBLIC KEY or a PRIVATE KEY"),
    }
}

/// Version 1 of PKCS #8, as OpenSSL writes it, or version 2, which carries the public key behind the seed.
fn seed(der: &[u8]) -> Option<Ed25519Seed> {
    let (head, rest) = der.split_at_checked(5)?;
    let body = rest.strip_prefix(&PRIVATE_HEAD)?;
    let whole = head[0] == 0x30 && usize::from(head[1]) == der.len() - 2 && head[2..4] == [0x02, 0x01];
    let seed = body.get(..KEY_BYTES)?.try_into().ok()?;
    whole.then_some(Ed25519Seed(seed))
}

/// Label and content of a PEM, which is the text or stands in the file that the text names.
fn pem(text: &str) -> Result<(String, Vec<u8>), &'static str> {
    let text = text.trim();
    let file;
    let pem = if text.starts_with("-----BEGIN ") {
        text
    } else {
        file = std::fs::read_to_string(text).map_err(|_| "no file of that name can be read")?;
        file.trim()
    };
    let (label, der) = pem_rfc7468::decode_vec(pem.as_bytes()).map_err(|_| "that is no PEM (RFC 7468)")?;
    Ok((label.to_owned(), der))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 8037, A.1, as `openssl` writes it.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
        -----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn keys_are_read_as_pem_or_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        std::fs::write(&path, PRIVATE).unwrap();
        for text in [PRIVATE, path.to_str().unwrap()] {
            let seed = Ed25519Seed::read(text).unwrap();
            assert_eq!(seed.expose(), &EXAMPLE_SEED);
            assert!(seed.is_public());
            assert_eq!(format!("{seed:?}"), "***");
        }
        let RetiredKeyKind::EdDsa(public) = RetiredKey::read(&format!("old=EdDSA:{PUBLIC}")).unwrap().key
        else {
            panic!("a public key");
        };
        assert_eq!(public, EXAMPLE_PUBLIC);
        assert!(private_half_is_public(&public) && !private_half_is_public(&[7; KEY_BYTES]));
        let private = RetiredKey::read(&format!("old=EdDSA:{PRIVATE}")).unwrap();
        assert!(matches!(private.key, RetiredKeyKind::EdDsaPrivate(_)) && private.id == "old");
        let secret = RetiredKey::read("2025-01=HS256:a:b=c").unwrap();
        assert_eq!(secret.key, RetiredKeyKind::Hs256(Secret::new("a:b=c")));
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_repeated() {
        let p256 = "-----BEGIN PRIVATE KEY-----\nMEECAQAwEwYHKoZIzj0CAQYIKoZIzj0DAQcEJzAlAgEBBCA=\n-----END PRIVATE KEY-----";
        let cut = PRIVATE.replace("MC4C", "MC8C");
        for (text, why) in [
            ("/no/such/file.pem", "no file"),
            (PUBLIC, "something else"),
            (p256, "another kind"),
            (&cut, "another kind"),
            ("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----", "no PEM"),
            ("-----BEGIN PRIVATE KEY-----", "no PEM"),
        ] {
            let said = Ed25519Seed::read(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
        for text in ["", "a", "a=", "a=HS256", "a=HS256:", "=HS256:x", "a=hs256:x", "a=RS256:x", "a=EdDSA:x"]
        {
            assert!(RetiredKey::read(text).is_err(), "{text}");
        }
    }
}
