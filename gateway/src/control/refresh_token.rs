//! Refresh tokens: what they look like, what of them is stored, and how a successor is kept for whoever lost the answer.
//!
//! A token is 48 bytes, 64 letters of URL-safe base64: the session's id and a random secret. The database has the SHA-256
//! of all 48. A spent token's row also has the successor's secret, XORed with an HMAC that only the spent token's own secret
//! gives: the key is random and used for one successor only, so that the database alone reveals nothing, and a client that
//! asks again with the spent token gets the very same successor. Pure, but for the randomness of [`RefreshToken::fresh`].

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use spike_domain::SessionId;
use spike_store::TokenHash;

/// Letters of a token.
pub const TOKEN_CHARS: usize = 64;

const ID_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;
const TOKEN_BYTES: usize = ID_BYTES + SECRET_BYTES;
/// What the HMAC is for; another use of the same secret would need another word.
const SEAL: &[u8] = b"spike refresh token: successor";

/// A refresh token in clear.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// The session it belongs to.
    pub session: SessionId,
    secret: [u8; SECRET_BYTES],
}

impl RefreshToken {
    /// A token that nobody can guess, of a session.
    ///
    /// # Panics
    /// Where the system has no randomness.
    pub fn fresh(session: SessionId) -> Self {
        let mut secret = [0; SECRET_BYTES];
        rand::fill(&mut secret).expect("the system gives random bytes");
        Self { session, secret }
    }

    /// Reads the canonical text only.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != TOKEN_CHARS {
            return None;
        }
        let bytes: [u8; TOKEN_BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (id, secret) = bytes.split_at(ID_BYTES);
        let session = SessionId::from_bytes(id.try_into().ok()?);
        Some(Self { session, secret: secret.try_into().ok()? })
    }

    /// What the client is given.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes())
    }

    /// What the database knows it by.
    pub fn hash(&self) -> TokenHash {
        let hash = digest(&SHA256, &self.bytes());
        hash.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    /// Seals `successor`, a token of the same session, so that only who has this token can open it.
    pub fn seal(&self, successor: &Self) -> [u8; SECRET_BYTES] {
        self.mask(successor.secret)
    }

    /// The successor that was sealed with this token.
    pub fn open(&self, sealed: [u8; SECRET_BYTES]) -> Self {
        Self { session: self.session, secret: self.mask(sealed) }
    }

    fn bytes(&self) -> [u8; TOKEN_BYTES] {
        let mut bytes = [0; TOKEN_BYTES];
        bytes[..ID_BYTES].copy_from_slice(self.session.bytes());
        bytes[ID_BYTES..].copy_from_slice(&self.secret);
        bytes
    }

    fn mask(&self, mut bytes: [u8; SECRET_BYTES]) -> [u8; SECRET_BYTES] {
        let pad = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.secret), SEAL);
        bytes.iter_mut().zip(pad.as_ref()).for_each(|(byte, pad)| *byte ^= pad);
        bytes
    }
}

impl std::fmt::Debug for RefreshToken {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RefreshToken").field("session", &self.session).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> SessionId {
        SessionId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap()
    }

    #[test]
    fn a_token_reads_back_and_never_comes_twice() {
        let (one, two) = (RefreshToken::fresh(session()), RefreshToken::fresh(session()));
        assert_ne!(one, two);
        for token in [&one, &two] {
            let text = token.text();
            assert_eq!(text.len(), TOKEN_CHARS);
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
            assert_eq!(RefreshToken::parse(&text).as_ref(), Some(token));
            assert!(!format!("{token:?}").contains(&text[22..]), "the secret stays out of logs");
        }
    }

    #[test]
    fn any_other_text_is_no_token() {
        let good = RefreshToken::fresh(session()).text();
        let cases = [
            String::new(),
            good[1..].to_owned(),
            format!("{good}A"),
            format!("{}=", &good[1..]),
            format!("{}+", &good[1..]),
            format!("{}/", &good[1..]),
            format!("{}.", &good[1..]),
            format!(" {}", &good[1..]),
            format!("{}\0", &good[1..]),
            format!("ä{}", &good[2..]),
        ];
        for text in cases {
            assert_eq!(RefreshToken::parse(&text), None, "{text:?}");
        }
    }

    #[test]
    fn the_hash_covers_the_session_and_the_secret() {
        let token = RefreshToken { session: session(), secret: [7; 32] };
        let other_secret = RefreshToken { secret: [8; 32], ..token.clone() };
        let other_session = RefreshToken { session: SessionId::from_bytes([1; 16]), ..token.clone() };
        assert_eq!(token.hash(), token.clone().hash());
        assert_ne!(token.hash(), other_secret.hash());
        assert_ne!(token.hash(), other_session.hash());
        // `printf '\x01\x89…\x07…' | sha256sum`, so that a stored hash is known again by every version to come.
        let stored = token.hash().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(stored, "4e43a689aee6cf74c339c663989dd432e95608e5f4f83e079a67532a5470d9b6");
    }

    #[test]
    fn only_the_spent_token_opens_its_successor() {
        let (spent, successor) = (RefreshToken::fresh(session()), RefreshToken::fresh(session()));
        let sealed = spent.seal(&successor);
        assert_eq!(spent.open(sealed), successor);
        assert_ne!(sealed, successor.secret);
        assert_ne!(sealed.map(|byte| !byte), successor.secret);
        assert_ne!(RefreshToken::fresh(session()).open(sealed), successor);
        assert_ne!(
            RefreshToken { secret: spent.hash(), ..spent.clone() }.open(sealed),
            successor,
            "not its hash"
        );
    }
}
