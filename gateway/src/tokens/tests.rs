//! Every kind of token that must not pass, and the few that must; [`properties`] holds the verifier against jsonwebtoken.

mod properties;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use spike_config::{Config, Secret};

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

pub(super) const NOW_S: u64 = 1_763_800_000;
const SECRET: &str = "a secret of at least thirty-two bytes";
/// Two Ed25519 keys, and the public half of the second.
const SEED: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
    -----END PUBLIC KEY-----\n";

/// Settings with our secret and `more`.
fn config_with(more: &[(&str, &str)]) -> AuthConfig {
    let base = [("SECRET", SECRET), ("ACCESS_TTL_S", "900"), ("LEEWAY_S", "30")];
    let env = base.iter().chain(more).map(|(key, value)| (format!("SPIKE_AUTH_{key}"), (*value).to_owned()));
    Config::load(None, env).unwrap().auth
}

pub(super) fn config() -> AuthConfig {
    config_with(&[])
}

/// Ed25519 signs, and a retired secret still verifies.
fn eddsa_config() -> AuthConfig {
    let retired = format!("old=HS256:{SECRET}");
    config_with(&[
        ("ALGORITHM", "EdDSA"),
        ("PRIVATE_KEY", SEED),
        ("KEY_ID", "new"),
        ("RETIRED_KEYS", &retired),
    ])
}

pub(super) fn session(n: u64) -> SessionId {
    SessionId(Uuid::from_u64_pair(0x0190_0000_0000_7000, 1 << 63 | n))
}

fn claims() -> Value {
    let config = config();
    json!({"iss": config.issuer, "aud": config.audience, "sub": "7", "sid": session(1), "ver": 1, "typ": "access",
        "role": "user", "exp": NOW_S + 900, "iat": NOW_S, "nbf": NOW_S})
}

fn header() -> Value {
    json!({"typ": "JWT", "alg": "HS256", "kid": config().key_id})
}

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
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
    let tokens = Tokens::new(&config());
    let message = format!("{}{}", tokens.keys.active_prefix(), base64(payload.as_bytes()));
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

/// Signed by an Ed25519 key that nobody told us of, under our key's name.
fn eddsa_of_a_stranger() -> String {
    Tokens::new(&config_with(&[("ALGORITHM", "EdDSA"), ("PRIVATE_KEY", SEED)])).mint(
        UserId(7),
        Role::User,
        session(1),
        1,
        NOW_S,
    )
}

fn other_config(change: impl FnOnce(&mut AuthConfig)) -> String {
    let mut config = config();
    change(&mut config);
    Tokens::new(&config).mint(UserId(7), Role::User, session(1), 1, NOW_S)
}

#[test]
fn our_own_token_reads_back() {
    let tokens = Tokens::new(&config());
    let token = tokens.mint(UserId(i64::MAX), Role::Admin, session(9), 3, NOW_S);
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!((header.alg, header.kid), (Algorithm::HS256, Some(config().key_id)));
    let claims = tokens.verify(&token, NOW_S).unwrap();
    assert_eq!((claims.user, claims.role, claims.ver), (UserId(i64::MAX), Role::Admin, 3));
    assert_eq!((claims.sid, claims.exp, claims.nbf), (session(9), NOW_S + 900, NOW_S));
    assert!(
        tokens.verify(&with_payload(&self::claims().to_string()), NOW_S).is_some(),
        "the forge below works"
    );
}

#[test]
fn times_hold_within_the_leeway_and_no_longer() {
    let tokens = Tokens::new(&config());
    let token = tokens.mint(UserId(7), Role::User, session(1), 1, NOW_S);
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
fn a_token_of_a_longer_life_ends_when_the_setting_is_lowered() {
    let now = Tokens::new(&config());
    for (ttl_s, valid) in [("60", true), ("900", true), ("901", false), ("86400", false)] {
        let then = Tokens::new(&config_with(&[("ACCESS_TTL_S", ttl_s)]));
        assert!(then.verify(&mint(&then), NOW_S).is_some());
        assert_eq!(now.verify(&mint(&then), NOW_S).is_some(), valid, "minted for {ttl_s} s");
    }
}

#[test]
fn tokens_pass_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Tokens>();
}

/// Tokens whose shape or signature is wrong.
fn misshapen() -> Vec<(&'static str, String)> {
    let good = Tokens::new(&config()).mint(UserId(7), Role::User, session(1), 1, NOW_S);
    let [head, body, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three segments") };
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
        ("oversized but signed", with_claim("more", json!("x".repeat(TOKEN_BYTES_MAX)))),
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
        ("a key that was never ours", with_header("kid", json!("old"))),
        ("a retired key's kid without the key", other_config(|c| c.key_id = "old".into())),
        ("EdDSA of a stranger", eddsa_of_a_stranger()),
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
        ("sid missing", without_claim("sid")),
        ("sid a word", with_claim("sid", json!("session"))),
        ("sid without hyphens", with_claim("sid", json!(session(1).0.simple().to_string()))),
        ("sid in braces", with_claim("sid", json!(format!("{{{}}}", session(1))))),
        ("sid a number", with_claim("sid", json!(1))),
        ("ver missing", without_claim("ver")),
        ("iat missing", without_claim("iat")),
        ("longer than tokens live", with_claim("exp", json!(NOW_S + 901))),
        ("issued before tokens that live", with_claim("iat", json!(NOW_S - 1))),
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

#[test]
fn a_retired_key_verifies_and_signs_no_more() {
    let old = Tokens::new(&config_with(&[("KEY_ID", "old")]));
    let new = Tokens::new(&eddsa_config());
    let (of_old, of_new) = (mint(&old), mint(&new));
    assert!(old.verify(&of_old, NOW_S).is_some() && old.verify(&of_new, NOW_S).is_none());
    assert!(new.verify(&of_old, NOW_S).is_some() && new.verify(&of_new, NOW_S).is_some());
    let header = jsonwebtoken::decode_header(&of_new).unwrap();
    assert_eq!((header.alg, header.kid.as_deref()), (Algorithm::EdDSA, Some("new")));

    let retired = format!("new=EdDSA:{PUBLIC}");
    let next = Tokens::new(&config_with(&[("KEY_ID", "next"), ("RETIRED_KEYS", &retired)]));
    assert!(next.verify(&of_new, NOW_S).is_some(), "the public half is enough");
    assert!(next.verify(&of_old, NOW_S).is_none(), "a key that was dropped is none");
    let retired = format!("new=EdDSA:{SEED}");
    let next = Tokens::new(&config_with(&[("KEY_ID", "next"), ("RETIRED_KEYS", &retired)]));
    assert!(next.verify(&of_new, NOW_S).is_some(), "so is the private one");
}

#[test]
fn one_algorithm_is_never_taken_for_the_other() {
    let tokens = Tokens::new(&eddsa_config());
    let public = pem_body(PUBLIC);
    let signed = |header: &Value, key: &EncodingKey, algorithm| {
        let message =
            format!("{}.{}", base64(header.to_string().as_bytes()), base64(claims().to_string().as_bytes()));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
        format!("{message}.{signature}")
    };
    let header = |algorithm: &str, kid: &str| json!({"typ": "JWT", "alg": algorithm, "kid": kid});
    let secret = EncodingKey::from_secret(SECRET.as_bytes());
    let mut cases = vec![
        ("HS256 under the EdDSA key's name", signed(&header("HS256", "new"), &secret, Algorithm::HS256)),
        ("HS256 that says EdDSA", signed(&header("EdDSA", "new"), &secret, Algorithm::HS256)),
        (
            "EdDSA under the retired secret's name",
            mint(&Tokens::new(&config_with(&[
                ("ALGORITHM", "EdDSA"),
                ("PRIVATE_KEY", SEED),
                ("KEY_ID", "old"),
            ]))),
        ),
    ];
    for key in [PUBLIC.as_bytes(), PUBLIC.trim().as_bytes(), &public, &public[12..], &[]] {
        for (algorithm, kid) in [("HS256", "new"), ("EdDSA", "new"), ("HS256", "old")] {
            let token = signed(&header(algorithm, kid), &EncodingKey::from_secret(key), Algorithm::HS256);
            cases.push(("the public key as a secret", token));
        }
    }
    for (name, token) in cases {
        assert_eq!(tokens.verify(&token, NOW_S), None, "{name}: {token}");
    }
    assert!(tokens.verify(&mint(&tokens), NOW_S).is_some());
}

fn mint(tokens: &Tokens) -> String {
    tokens.mint(UserId(7), Role::User, session(1), 1, NOW_S)
}

fn pem_body(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    base64::engine::general_purpose::STANDARD.decode(body).unwrap()
}
