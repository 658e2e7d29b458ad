//! Our verifier against jsonwebtoken's `decode` under the same rules, over valid, mutated and made-up tokens.
//!
//! jsonwebtoken reads the system's clock and lets a token live in the very second in which ours ends it (RFC 7519, 4.1.4:
//! not on or after), so times stay clear of the edges by some seconds. What it does not know of, `typ` and the forms of
//! `sub` and `sid`, is asked of its claims afterwards.

use std::sync::LazyLock;

use jsonwebtoken::{DecodingKey, Validation};
use proptest::prelude::*;

use super::*;

/// The reference: `decode` with its `Validation` set to our rules.
struct Reference {
    /// By key id.
    keys: Vec<(String, Algorithm, DecodingKey)>,
    config: AuthConfig,
}

impl Reference {
    fn verify(&self, token: &str) -> Option<Access> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let (_, algorithm, key) = self.keys.iter().find(|(kid, ..)| header.kid.as_ref() == Some(kid))?;
        let mut rules = Validation::new(*algorithm);
        rules.set_issuer(&[&self.config.issuer]);
        rules.set_audience(&[&self.config.audience]);
        rules.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        (rules.leeway, rules.validate_nbf) = (self.config.leeway_s, true);
        let claims = jsonwebtoken::decode::<AccessClaims>(token, key, &rules).ok()?.claims;
        Some(Access {
            user: UserId::parse(&claims.sub)?,
            sid: SessionId::parse(&claims.sid)?,
            exp: claims.exp,
            nbf: claims.nbf,
            ver: claims.ver,
            role: claims.role,
        })
        .filter(|_| claims.typ == AccessClaims::TYP && token.len() <= TOKEN_BYTES_MAX)
        .filter(|_| claims.exp <= claims.iat.saturating_add(self.config.access_ttl_s))
    }
}

/// Both verifiers with the same keys, and what signs for them.
type Pair = (Tokens, Reference, Vec<(Header, EncodingKey)>);
/// What a payload is written from.
type Parts = (i64, i64, Vec<(usize, Option<Value>)>, Option<usize>);

static PAIR: LazyLock<Pair> = LazyLock::new(|| {
    let config = eddsa_config();
    let of_seed = EncodingKey::from_ed_der(&pem_body(SEED));
    let of_secret = EncodingKey::from_secret(SECRET.as_bytes());
    let header = |algorithm, kid: &str| Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
    let signers = vec![
        (header(Algorithm::EdDSA, "new"), of_seed),
        (header(Algorithm::HS256, "old"), of_secret.clone()),
        (header(Algorithm::HS256, "new"), of_secret.clone()),
        (header(Algorithm::HS384, "old"), of_secret),
    ];
    let keys = vec![
        ("new".to_owned(), Algorithm::EdDSA, DecodingKey::from_ed_der(&pem_body(PUBLIC)[12..])),
        ("old".to_owned(), Algorithm::HS256, DecodingKey::from_secret(SECRET.as_bytes())),
    ];
    (Tokens::new(&config), Reference { keys, config }, signers)
});

/// Seconds from now, clear of the leeway's edge on either side and of the turn of a second.
fn offset() -> impl Strategy<Value = i64> {
    prop_oneof![4 => -20i64..20, 1 => -5_000i64..-40, 1 => 40i64..5_000]
}

/// A claim's value of the wrong kind, or of the right kind and wrong.
fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(|n| json!(n)),
        any::<u64>().prop_map(|n| json!(n)),
        any::<f64>().prop_map(|n| json!(n)),
        any::<bool>().prop_map(|b| json!(b)),
        "\\PC{0,40}".prop_map(|text| json!(text)),
        "[0-9]{1,20}".prop_map(|text| json!(text)),
        prop_oneof![Just("access"), Just("refresh"), Just("user"), Just("admin"), Just("spike")]
            .prop_map(|text| json!(text)),
        Just(json!(["spike"])),
        Just(json!({"spike": 1})),
    ]
}

const NAMES: [&str; 11] = ["iss", "aud", "sub", "sid", "ver", "typ", "role", "exp", "iat", "nbf", "other"];

/// A payload: mostly right, then some claims changed, dropped, or written twice.
fn payload() -> impl Strategy<Value = Parts> {
    let changes = prop::collection::vec((0..NAMES.len(), prop::option::weighted(0.8, odd())), 0..3);
    (offset(), offset(), changes, prop::option::weighted(0.1, 0..NAMES.len() - 1))
}

fn written(now_s: u64, parts: Parts) -> String {
    let (exp, nbf, changes, twice) = parts;
    let mut claims = claims();
    claims["exp"] = json!(now_s.checked_add_signed(exp + 900 * i64::from(exp > -40)).unwrap());
    claims["nbf"] = json!(now_s.checked_add_signed(nbf).unwrap());
    // Some live a second longer than tokens do.
    let life = if nbf > 15 { 901 } else { 900 };
    claims["iat"] = json!(claims["exp"].as_u64().unwrap() - life);
    for (name, value) in changes {
        let claims = claims.as_object_mut().unwrap();
        match value {
            Some(value) => drop(claims.insert(NAMES[name].to_owned(), value)),
            None => drop(claims.remove(NAMES[name])),
        }
    }
    let text = claims.to_string();
    match twice.and_then(|name| Some((NAMES[name], claims.get(NAMES[name])?))) {
        Some((name, value)) => text.replacen('{', &format!("{{{}:{value},", json!(name)), 1),
        None => text,
    }
}

fn sign(payload: &str, (header, key): &(Header, EncodingKey)) -> String {
    let message = format!("{}.{}", base64(&serde_json::to_vec(header).unwrap()), base64(payload.as_bytes()));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, header.alg).unwrap();
    format!("{message}.{signature}")
}

/// Something done to a token's text, with numbers to choose where and what.
fn mutate(token: &str, kind: u8, at: usize, byte: u8) -> String {
    let mut bytes = token.as_bytes().to_vec();
    let at = at % bytes.len();
    match kind {
        0 => bytes[at] ^= 1 << (byte % 7),
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(..at)),
        3 => bytes.insert(at, byte % 128),
        4 => drop(bytes.remove(at)),
        _ => {
            let mut segments: Vec<_> = token.split('.').collect();
            let count = segments.len();
            segments.swap(at % count, usize::from(byte) % count);
            return segments.join(".");
        }
    }
    String::from_utf8(bytes).expect("ASCII stays ASCII")
}

fn agree(tokens: &Tokens, reference: &Reference, token: &str) -> Result<bool, TestCaseError> {
    let now_s = jsonwebtoken::get_current_timestamp();
    let (ours, theirs) = (tokens.verify(token, now_s), reference.verify(token));
    prop_assert_eq!(ours, theirs, "{}", token);
    Ok(ours.is_some())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn signed_payloads_are_judged_as_jsonwebtoken_does(parts in payload(), signer in 0..4usize) {
        let (tokens, reference, signers) = &*PAIR;
        let token = sign(&written(jsonwebtoken::get_current_timestamp(), parts), &signers[signer]);
        agree(tokens, reference, &token)?;
    }

    #[test]
    fn mutated_tokens_are_judged_as_jsonwebtoken_does(
        signer in 0..2usize,
        mutations in prop::collection::vec((0..6u8, any::<prop::sample::Index>(), any::<u8>()), 1..3),
    ) {
        let (tokens, reference, signers) = &*PAIR;
        let now_s = jsonwebtoken::get_current_timestamp();
        let good = sign(&written(now_s, (10, -10, Vec::new(), None)), &signers[signer]);
        prop_assert!(agree(tokens, reference, &good)?, "the one that is mutated is good: {}", good);
        let mut token = good;
        for (kind, at, byte) in mutations {
            if !token.is_empty() {
                let at = at.index(token.len());
                token = mutate(&token, kind, at, byte);
            }
        }
        agree(tokens, reference, &token)?;
    }

    #[test]
    fn text_that_is_no_token_is_refused_by_both(text in "\\PC{0,300}", dots in "[A-Za-z0-9_=-]{0,80}(\\.[A-Za-z0-9_=-]{0,80}){0,4}") {
        let (tokens, reference, _) = &*PAIR;
        for token in [text, dots] {
            prop_assert!(!agree(tokens, reference, &token)?);
        }
    }
}
