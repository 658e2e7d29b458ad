//! Access tokens: minted at login, verified at every buy. HS256 and nothing else.
//!
//! The header is compared byte for byte with the one this process writes and never parsed: no algorithm, key id or
//! key URL of an attacker's choosing is ever looked at. The clock is passed in.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use spike_config::AuthConfig;
use spike_domain::{AccessClaims, Role, UserId};

/// Longest token that is looked at, in bytes; ours have some 400.
pub const TOKEN_BYTES_MAX: usize = 4096;

/// Mints and verifies; built once and shared by every core.
pub struct Tokens {
    header: Header,
    /// The encoded header with its dot: the first bytes of every token of ours.
    prefix: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
    issuer: String,
    audience: String,
    ttl_s: u64,
    leeway_s: u64,
}

impl Tokens {
    /// Tokens as the configuration says.
    ///
    /// # Panics
    /// When issuer and audience are so long that no token of ours would be looked at.
    pub fn new(auth: &AuthConfig) -> Self {
        let secret = auth.secret.expose().as_bytes();
        let header = Header { kid: Some(auth.key_id.clone()), ..Header::new(Algorithm::HS256) };
        let mut tokens = Self {
            header,
            prefix: String::new(),
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            issuer: auth.issuer.clone(),
            audience: auth.audience.clone(),
            ttl_s: auth.access_ttl_s,
            leeway_s: auth.leeway_s,
        };
        let sample = tokens.mint(UserId(i64::MAX), Role::Admin, &"s".repeat(64), u32::MAX, 0);
        assert!(sample.len() <= TOKEN_BYTES_MAX, "auth.issuer, auth.audience and auth.key_id are too long");
        let dot = sample.find('.').expect("a token has three segments");
        sample[..=dot].clone_into(&mut tokens.prefix);
        tokens
    }

    /// Life of an access token, in seconds.
    pub fn ttl_s(&self) -> u64 {
        self.ttl_s
    }

    /// A token for `user`, valid from `now_s` (Unix seconds) for the configured time.
    pub fn mint(&self, user: UserId, role: Role, sid: &str, ver: u32, now_s: u64) -> String {
        let claims = AccessClaims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: user.to_string(),
            sid: sid.to_owned(),
            ver,
            typ: AccessClaims::TYP.to_owned(),
            role,
            exp: now_s.saturating_add(self.ttl_s),
            iat: now_s,
            nbf: now_s,
        };
        jsonwebtoken::encode(&self.header, &claims, &self.encoding)
            .expect("HMAC signs anything, and claims always encode")
    }

    /// The claims of a token that is ours, for us, for access, and valid at `now_s` (Unix seconds) within the leeway.
    /// `None` for every other, without saying why: all of them get one identical 401.
    pub fn verify(&self, token: &str, now_s: u64) -> Option<AccessClaims> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let body = token.strip_prefix(&self.prefix)?;
        let (payload, signature) = body.split_once('.')?;
        let message = &token.as_bytes()[..self.prefix.len() + payload.len()];
        if !jsonwebtoken::crypto::verify(signature, message, &self.decoding, Algorithm::HS256).ok()? {
            return None;
        }
        let claims: AccessClaims = insecure_decode_claims(token).ok()?;
        self.acceptable(&claims, now_s).then_some(claims)
    }

    fn acceptable(&self, claims: &AccessClaims, now_s: u64) -> bool {
        claims.iss == self.issuer
            && claims.aud == self.audience
            && claims.typ == AccessClaims::TYP
            && now_s < claims.exp.saturating_add(self.leeway_s)
            && claims.nbf <= now_s.saturating_add(self.leeway_s)
            && UserId::parse(&claims.sub).is_some()
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use spike_config::Secret;

    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_token_comes_in_one_bearer_header() {
        let cases: &[(&[&str], Option<&str>)] = &[
            (&["Bearer abc"], Some("abc")),
            (&["bearer  abc"], Some("abc")),
            (&[], None),
            (&["abc"], None),
            (&["Basic abc"], None),
            (&["Bearer"], None),
            (&["Bearer abc", "Bearer abc"], None),
        ];
        for (values, want) in cases {
            let headers = values
                .iter()
                .map(|value| (AUTHORIZATION, HeaderValue::from_static(value)))
                .collect::<HeaderMap>();
            assert_eq!(bearer(&headers), *want, "{values:?}");
        }
    }

    const NOW_S: u64 = 1_763_800_000;
    const SECRET: &str = "a secret of at least thirty-two bytes";

    fn config() -> AuthConfig {
        let mut config = spike_config::Config::load(None, []).unwrap().auth;
        config.secret = Secret::new(SECRET);
        (config.access_ttl_s, config.leeway_s) = (900, 30);
        config
    }

    fn claims() -> Value {
        let config = config();
        json!({"iss": config.issuer, "aud": config.audience, "sub": "7", "sid": "s", "ver": 1, "typ": "access",
            "role": "user", "exp": NOW_S + 900, "iat": NOW_S, "nbf": NOW_S})
    }

    fn header() -> Value {
        json!({"typ": "JWT", "alg": "HS256", "kid": config().key_id})
    }

    /// URL-safe base64 without padding.
    fn base64(bytes: &[u8]) -> String {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let word = chunk.iter().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte))
                << (8 * (3 - chunk.len()));
            for letter in 0..=chunk.len() {
                text.push(char::from(LETTERS[(word >> (18 - 6 * letter)) as usize & 63]));
            }
        }
        text
    }

    /// Signs with our own key whatever header and payload are given.
    fn sign_text(header: &str, payload: &str) -> String {
        let message = format!("{}.{}", base64(header.as_bytes()), base64(payload.as_bytes()));
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        format!("{message}.{signature}")
    }

    /// Our header around a payload of one's own, signed with our key.
    fn with_payload(payload: &str) -> String {
        let prefix = Tokens::new(&config()).prefix;
        let message = format!("{prefix}{}", base64(payload.as_bytes()));
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        format!("{message}.{signature}")
    }

    fn with_claim(name: &str, value: Value) -> String {
        let mut claims = claims();
        claims[name] = value;
        with_payload(&claims.to_string())
    }

    fn without_claim(name: &str) -> String {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name).unwrap();
        with_payload(&claims.to_string())
    }

    fn with_header(name: &str, value: Value) -> String {
        let mut header = header();
        header[name] = value;
        sign_text(&header.to_string(), &claims().to_string())
    }

    fn other_algorithm(algorithm: Algorithm) -> String {
        let header = Header { kid: Some(config().key_id), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
    }

    fn other_config(change: impl FnOnce(&mut AuthConfig)) -> String {
        let mut config = config();
        change(&mut config);
        Tokens::new(&config).mint(UserId(7), Role::User, "s", 1, NOW_S)
    }

    #[test]
    fn our_own_token_reads_back() {
        let tokens = Tokens::new(&config());
        let token = tokens.mint(UserId(i64::MAX), Role::Admin, "family", 3, NOW_S);
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!((header.alg, header.kid), (Algorithm::HS256, Some(config().key_id)));
        let claims = tokens.verify(&token, NOW_S).unwrap();
        assert_eq!((claims.sub.as_str(), claims.role, claims.ver), ("9223372036854775807", Role::Admin, 3));
        assert_eq!((claims.sid.as_str(), claims.exp), ("family", NOW_S + 900));
        assert!(
            tokens.verify(&with_payload(&self::claims().to_string()), NOW_S).is_some(),
            "the forge below works"
        );
    }

    #[test]
    fn times_hold_within_the_leeway_and_no_longer() {
        let tokens = Tokens::new(&config());
        let token = tokens.mint(UserId(7), Role::User, "s", 1, NOW_S);
        for (now_s, valid) in [
            (NOW_S - 31, false),
            (NOW_S - 30, true),
            (NOW_S, true),
            (NOW_S + 929, true),
            (NOW_S + 930, false),
            (0, false),
            (u64::MAX, false),
        ] {
            assert_eq!(tokens.verify(&token, now_s).is_some(), valid, "{now_s}");
        }
    }

    #[test]
    fn tokens_pass_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Tokens>();
    }

    /// Tokens whose shape or signature is wrong.
    fn misshapen() -> Vec<(&'static str, String)> {
        let good = Tokens::new(&config()).mint(UserId(7), Role::User, "s", 1, NOW_S);
        let [head, body, signature] = good.split('.').collect::<Vec<_>>()[..] else {
            panic!("three segments")
        };
        let unsigned = |header: &str| format!("{}.{body}.", base64(header.as_bytes()));
        let last = if signature.ends_with('A') { 'B' } else { 'A' };
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
            ("padding", format!("{good}=")),
            ("space before", format!(" {good}")),
            ("space after", format!("{good} ")),
            ("newline after", format!("{good}\n")),
            ("NUL after", format!("{good}\0")),
            ("NUL inside", good.replacen('.', "\0.", 1)),
            ("Bearer twice", format!("Bearer {good}")),
            ("twice", format!("{good}{good}")),
            ("oversized", format!("{good}{}", "A".repeat(TOKEN_BYTES_MAX))),
            ("oversized but signed", with_claim("sid", json!("x".repeat(TOKEN_BYTES_MAX)))),
            ("alg none", unsigned(r#"{"typ":"JWT","alg":"none"}"#)),
            ("alg None", unsigned(r#"{"typ":"JWT","alg":"None"}"#)),
            ("alg nOnE with our signature", sign_text(r#"{"alg":"nOnE"}"#, &claims().to_string())),
            ("no alg", unsigned("{}")),
            ("not UTF-8 text", "\u{fffd}.\u{fffd}.\u{fffd}".into()),
            ("another user's payload", good.replace(body, &base64(claims().to_string().as_bytes()))),
        ]
    }

    /// Tokens with a header of the attacker's choosing, and tokens of other keys and issuers.
    fn foreign() -> Vec<(&'static str, String)> {
        let key_in_header = json!({"kty": "oct", "k": base64(b"attacker")});
        vec![
            ("HS384", other_algorithm(Algorithm::HS384)),
            ("HS512", other_algorithm(Algorithm::HS512)),
            ("says RS256", with_header("alg", json!("RS256"))),
            ("says ES256", with_header("alg", json!("ES256"))),
            ("another kid", with_header("kid", json!("other"))),
            ("kid is a path", with_header("kid", json!("../../dev/null"))),
            ("kid is SQL", with_header("kid", json!("x' UNION SELECT 'k'--"))),
            ("kid is a number", with_header("kid", json!(1))),
            ("no kid", sign_text(r#"{"typ":"JWT","alg":"HS256"}"#, &claims().to_string())),
            ("jku", with_header("jku", json!("https://attacker.example/keys"))),
            ("x5u", with_header("x5u", json!("https://attacker.example/cert"))),
            ("jwk", with_header("jwk", key_in_header)),
            ("crit", with_header("crit", json!(["exp"]))),
            ("header is no JSON", sign_text("{", &claims().to_string())),
            ("another secret", other_config(|c| c.secret = Secret::new("x".repeat(40)))),
            ("empty secret", other_config(|c| c.secret = Secret::new(""))),
            ("another key id", other_config(|c| c.key_id.push('2'))),
            ("another issuer", other_config(|c| c.issuer.push('2'))),
            ("another audience", other_config(|c| c.audience.push('2'))),
        ]
    }

    /// Tokens signed by us that must not pass: what a bug elsewhere, or a refresh token, would look like.
    fn wrongly_filled() -> Vec<(&'static str, String)> {
        let duplicate = claims().to_string().replacen('{', r#"{"sub":"8","#, 1);
        let audience = config().audience;
        vec![
            ("issuer missing", without_claim("iss")),
            ("audience missing", without_claim("aud")),
            ("audience a list", with_claim("aud", json!([audience]))),
            ("refresh as access", with_claim("typ", json!("refresh"))),
            ("typ in capitals", with_claim("typ", json!("ACCESS"))),
            ("typ missing", without_claim("typ")),
            ("role unknown", with_claim("role", json!("root"))),
            ("role in capitals", with_claim("role", json!("Admin"))),
            ("role missing", without_claim("role")),
            ("expired", with_claim("exp", json!(NOW_S - 30))),
            ("expired long ago", with_claim("exp", json!(0))),
            ("exp negative", with_claim("exp", json!(-1))),
            ("exp a text", with_claim("exp", json!("9999999999"))),
            ("exp a fraction", with_claim("exp", json!(9_999_999_999.5))),
            ("exp missing", without_claim("exp")),
            ("not yet valid", with_claim("nbf", json!(NOW_S + 31))),
            ("nbf at the end of time", with_claim("nbf", json!(u64::MAX))),
            ("nbf missing", without_claim("nbf")),
            ("sub 0", with_claim("sub", json!("0"))),
            ("sub -1", with_claim("sub", json!("-1"))),
            ("sub +1", with_claim("sub", json!("+1"))),
            ("sub 01", with_claim("sub", json!("01"))),
            ("sub huge", with_claim("sub", json!("9223372036854775808"))),
            ("sub text", with_claim("sub", json!("admin"))),
            ("sub empty", with_claim("sub", json!(""))),
            ("sub with NUL", with_claim("sub", json!("7\0"))),
            ("sub a number", with_claim("sub", json!(7))),
            ("sub missing", without_claim("sub")),
            ("sub twice", with_payload(&duplicate)),
            ("ver negative", with_claim("ver", json!(-1))),
            ("ver huge", with_claim("ver", json!(1_u64 << 32))),
            ("payload a list", with_payload("[]")),
            ("payload null", with_payload("null")),
            ("payload empty", with_payload("")),
            ("payload deep", with_payload(&"[".repeat(500))),
        ]
    }

    #[test]
    fn hostile_tokens_are_refused() {
        let tokens = Tokens::new(&config());
        let cases: Vec<_> = misshapen().into_iter().chain(foreign()).chain(wrongly_filled()).collect();
        assert!(cases.len() >= 80, "{} cases", cases.len());
        for (name, token) in cases {
            assert_eq!(tokens.verify(&token, NOW_S), None, "{name}");
        }
    }
}
