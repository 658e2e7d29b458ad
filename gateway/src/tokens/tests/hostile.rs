//! Tokens that must not pass, for any settings: the verifier's own tests ask it, and the tests across processes send every one
//! to a gateway, for which they include this file.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use spike_config::{AuthConfig, TokenAlgorithm};
use spike_domain::{SessionId, UserId};

use super::TOKEN_BYTES_MAX;

/// A name for what is wrong, and the token.
pub type Case = (&'static str, String);

/// PKCS #8 around an Ed25519 seed.
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// The public halves of the seed of RFC 8037, A.1, raw and as PEM: what an attacker may take for a secret.
const PUBLIC: [u8; 32] = [
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e,
    0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
];
const PUBLIC_PEM: &[u8] = b"-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
    -----END PUBLIC KEY-----\n";

/// Signs whatever it is told to with the key of a gateway.
pub struct Forge {
    header: Header,
    key: EncodingKey,
    claims: Value,
    now_s: u64,
    leeway_s: u64,
    ttl_s: u64,
    /// How long the list must stay hostile, in seconds.
    for_s: u64,
}

impl Forge {
    /// With the active key of these settings; for a user and a session that would be let in. Nothing of the list becomes
    /// valid within `for_s` after `now_s`.
    pub fn new(auth: &AuthConfig, user: UserId, session: SessionId, now_s: u64, for_s: u64) -> Self {
        let (algorithm, key) = match (auth.algorithm, &auth.private_key) {
            (TokenAlgorithm::EdDsa, Some(seed)) => (Algorithm::EdDSA, ed25519(seed.expose())),
            _ => (Algorithm::HS256, EncodingKey::from_secret(auth.secret.expose().as_bytes())),
        };
        let claims = json!({
            "iss": auth.issuer, "aud": auth.audience, "sub": user.to_string(), "sid": session, "ver": 1,
            "typ": "access", "role": "user", "exp": now_s + auth.access_ttl_s, "iat": now_s, "nbf": now_s,
        });
        let header = Header { kid: Some(auth.key_id.clone()), ..Header::new(algorithm) };
        let (leeway_s, ttl_s) = (auth.leeway_s, auth.access_ttl_s);
        Self { header, key, claims, now_s, leeway_s, ttl_s, for_s }
    }

    /// The token from which all others differ in one thing.
    pub fn good(&self) -> String {
        self.with_payload(&self.claims.to_string())
    }

    /// All that must not pass, more than 80.
    pub fn hostile(&self) -> Vec<Case> {
        [self.misshapen(), self.foreign(), self.confused(), self.wrongly_filled(), self.mistimed()].concat()
    }

    /// The gateway's own header around a payload of one's own, signed with its key.
    fn with_payload(&self, payload: &str) -> String {
        let header = serde_json::to_string(&self.header).expect("a header encodes");
        signed(&header, payload, &self.key, self.header.alg)
    }

    fn with_claim(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        claims[name] = value;
        self.with_payload(&claims.to_string())
    }

    fn without_claim(&self, name: &str) -> String {
        let mut claims = self.claims.clone();
        claims.as_object_mut().and_then(|claims| claims.remove(name)).expect("a claim of that name");
        self.with_payload(&claims.to_string())
    }

    /// A header of the attacker's choosing, signed with the gateway's key all the same.
    fn with_header(&self, name: &str, value: Value) -> String {
        let mut header = serde_json::to_value(&self.header).expect("a header encodes");
        header[name] = value;
        self.with_header_text(&header.to_string())
    }

    fn with_header_text(&self, header: &str) -> String {
        signed(header, &self.claims.to_string(), &self.key, self.header.alg)
    }

    /// The gateway's own header, or the same of another algorithm, signed with a key that is none of its own.
    fn by(&self, key: &EncodingKey, says: Algorithm) -> String {
        let header = Header { alg: says, ..self.header.clone() };
        let header = serde_json::to_string(&header).expect("a header encodes");
        signed(&header, &self.claims.to_string(), key, says)
    }

    /// Shape or signature is wrong.
    fn misshapen(&self) -> Vec<Case> {
        let good = self.good();
        let [head, body, signature] = good.split('.').collect::<Vec<_>>()[..] else {
            panic!("three segments")
        };
        let unsigned = |header: &str| format!("{}.{body}.", base64(header.as_bytes()));
        // The last letter holds bits that are no part of the signature; the first does not.
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        let last = if signature.ends_with('A') { 'B' } else { 'A' };
        let mut another = self.claims.clone();
        another["sub"] = json!("1");
        vec![
            ("empty", String::new()),
            ("dots", "..".into()),
            ("many dots", ".".repeat(100)),
            ("two segments", format!("{head}.{body}")),
            ("one segment", head.to_owned()),
            ("no signature", format!("{head}.{body}.")),
            ("no header", format!(".{body}.{signature}")),
            ("no payload", format!("{head}..{signature}")),
            ("four segments", format!("{good}.{signature}")),
            ("trailing dot", format!("{good}.")),
            ("leading dot", format!(".{good}")),
            ("cut by one", good[..good.len() - 1].to_owned()),
            ("one letter more", format!("{good}A")),
            ("last letter changed", format!("{}{last}", &good[..good.len() - 1])),
            ("first letter of the signature changed", format!("{head}.{body}.{first}{}", &signature[1..])),
            ("padding", format!("{good}=")),
            ("space before", format!(" {good}")),
            ("space after", format!("{good} ")),
            ("newline after", format!("{good}\n")),
            ("NUL after", format!("{good}\0")),
            ("NUL inside", good.replacen('.', "\0.", 1)),
            ("Bearer twice", format!("Bearer {good}")),
            ("twice", format!("{good}{good}")),
            ("oversized", format!("{good}{}", "A".repeat(TOKEN_BYTES_MAX))),
            ("oversized but signed", self.with_claim("more", json!("x".repeat(TOKEN_BYTES_MAX)))),
            ("alg none", unsigned(r#"{"typ":"JWT","alg":"none"}"#)),
            ("alg None", unsigned(r#"{"typ":"JWT","alg":"None"}"#)),
            ("alg nOnE with our signature", self.with_header_text(r#"{"alg":"nOnE"}"#)),
            ("no alg", unsigned("{}")),
            ("not UTF-8 text", "\u{fffd}.\u{fffd}.\u{fffd}".into()),
            ("another user's payload", good.replace(body, &base64(another.to_string().as_bytes()))),
        ]
    }

    /// A header of the attacker's choosing.
    fn foreign(&self) -> Vec<Case> {
        let key_in_header = json!({"kty": "oct", "k": base64(b"attacker")});
        let (kid, claims) = (self.header.kid.clone().unwrap_or_default(), self.claims.to_string());
        let plain = format!(r#"{{"typ":"JWT","alg":{}}}"#, json!(self.header.alg));
        vec![
            ("says RS256", self.with_header("alg", json!("RS256"))),
            ("says ES256", self.with_header("alg", json!("ES256"))),
            ("another kid", self.with_header("kid", json!("other"))),
            ("kid is a path", self.with_header("kid", json!("../../dev/null"))),
            ("kid is SQL", self.with_header("kid", json!("x' UNION SELECT 'k'--"))),
            ("kid is a number", self.with_header("kid", json!(1))),
            ("kid with a letter more", self.with_header("kid", json!(format!("{kid}2")))),
            ("no kid", self.with_header_text(&plain)),
            ("jku", self.with_header("jku", json!("https://attacker.example/keys"))),
            ("x5u", self.with_header("x5u", json!("https://attacker.example/cert"))),
            ("jwk", self.with_header("jwk", key_in_header)),
            ("crit", self.with_header("crit", json!(["exp"]))),
            ("header is no JSON", self.with_header_text("{")),
            ("header and payload change places", signed(&claims, &plain, &self.key, self.header.alg)),
        ]
    }

    /// Signed by another key, or by ours taken for one of another algorithm.
    fn confused(&self) -> Vec<Case> {
        let secret = EncodingKey::from_secret;
        let mut cases = vec![
            ("HS256 of another secret", self.by(&secret(&[b'x'; 40]), Algorithm::HS256)),
            ("HS256 of an empty secret", self.by(&secret(b""), Algorithm::HS256)),
            ("HS256 of the kid", {
                let kid = self.header.kid.clone().unwrap_or_default();
                self.by(&secret(kid.as_bytes()), Algorithm::HS256)
            }),
            ("EdDSA of a stranger", self.by(&ed25519(&[5; 32]), Algorithm::EdDSA)),
        ];
        for key in [&PUBLIC[..], PUBLIC_PEM, PUBLIC_PEM.trim_ascii()] {
            for (name, says) in [
                ("the public key as a secret, HS256", Algorithm::HS256),
                ("the public key as a secret, HS384", Algorithm::HS384),
                ("the public key as a secret, HS512", Algorithm::HS512),
            ] {
                cases.push((name, self.by(&secret(key), says)));
            }
        }
        if matches!(self.header.alg, Algorithm::HS256) {
            cases.push(("HS384 of our secret", self.by(&self.key, Algorithm::HS384)));
            cases.push(("HS512 of our secret", self.by(&self.key, Algorithm::HS512)));
        }
        cases
    }

    /// Signed by us and wrong: what a bug elsewhere, or a refresh token, would look like.
    fn wrongly_filled(&self) -> Vec<Case> {
        let claims = self.claims.to_string();
        let duplicate = claims.replacen('{', r#"{"sub":"8","#, 1);
        let (audience, sid) = (self.claims["aud"].clone(), self.claims["sid"].as_str().unwrap_or_default());
        let claim = |name, value| self.with_claim(name, value);
        vec![
            ("issuer missing", self.without_claim("iss")),
            ("another issuer", claim("iss", json!("spike2"))),
            ("audience missing", self.without_claim("aud")),
            ("another audience", claim("aud", json!("spike2"))),
            ("audience a list", claim("aud", json!([audience]))),
            ("refresh as access", claim("typ", json!("refresh"))),
            ("typ in capitals", claim("typ", json!("ACCESS"))),
            ("typ missing", self.without_claim("typ")),
            ("role unknown", claim("role", json!("root"))),
            ("role in capitals", claim("role", json!("Admin"))),
            ("role missing", self.without_claim("role")),
            ("sub 0", claim("sub", json!("0"))),
            ("sub -1", claim("sub", json!("-1"))),
            ("sub +1", claim("sub", json!("+1"))),
            ("sub 01", claim("sub", json!("01"))),
            ("sub huge", claim("sub", json!("9223372036854775808"))),
            ("sub text", claim("sub", json!("admin"))),
            ("sub empty", claim("sub", json!(""))),
            ("sub with NUL", claim("sub", json!("7\0"))),
            ("sub a number", claim("sub", json!(7))),
            ("sub missing", self.without_claim("sub")),
            ("sid missing", self.without_claim("sid")),
            ("sid a word", claim("sid", json!("session"))),
            ("sid without hyphens", claim("sid", json!(sid.replace('-', "")))),
            ("sid in braces", claim("sid", json!(format!("{{{sid}}}")))),
            ("sid a number", claim("sid", json!(1))),
            ("ver missing", self.without_claim("ver")),
            ("ver negative", claim("ver", json!(-1))),
            ("ver huge", claim("ver", json!(1_u64 << 32))),
            ("sub twice", self.with_payload(&duplicate)),
            ("payload a list", self.with_payload("[]")),
            ("payload null", self.with_payload("null")),
            ("payload empty", self.with_payload("")),
            ("payload deep", self.with_payload(&"[".repeat(500))),
        ]
    }

    /// Signed by us, for another time than now.
    fn mistimed(&self) -> Vec<Case> {
        let claim = |name, value| self.with_claim(name, value);
        let mut expired = self.claims.clone();
        expired["exp"] = json!(self.now_s - self.leeway_s);
        expired["iat"] = json!(self.now_s - self.leeway_s - self.ttl_s);
        vec![
            ("expired", claim("exp", json!(self.now_s - self.leeway_s))),
            ("expired after its whole life", self.with_payload(&expired.to_string())),
            ("expired long ago", claim("exp", json!(0))),
            ("exp negative", claim("exp", json!(-1))),
            ("exp a text", claim("exp", json!("9999999999"))),
            ("exp a fraction", claim("exp", json!(9_999_999_999.5))),
            ("exp missing", self.without_claim("exp")),
            ("not yet valid", claim("nbf", json!(self.now_s + self.leeway_s + self.for_s + 1))),
            ("nbf at the end of time", claim("nbf", json!(u64::MAX))),
            ("nbf missing", self.without_claim("nbf")),
            ("iat missing", self.without_claim("iat")),
            ("longer than tokens live", claim("exp", json!(self.now_s + self.ttl_s + 1))),
            ("issued before tokens that live", claim("iat", json!(self.now_s - 1))),
        ]
    }
}

fn ed25519(seed: &[u8; 32]) -> EncodingKey {
    EncodingKey::from_ed_der(&[&PKCS8_HEAD[..], seed].concat())
}

fn signed(header: &str, payload: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = format!("{}.{}", base64(header.as_bytes()), base64(payload.as_bytes()));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).expect("the key's kind");
    format!("{message}.{signature}")
}

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
