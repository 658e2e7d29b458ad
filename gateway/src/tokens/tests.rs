//! Every kind of token that must not pass ([`hostile`]), and the few that must; [`properties`] holds the verifier against jsonwebtoken.

mod hostile;
mod properties;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use spike_config::Config;

use super::*;
use hostile::Forge;

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

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Our header around a payload of one's own, signed with our key.
fn with_payload(payload: &str) -> String {
    let tokens = Tokens::new(&config());
    let message = format!("{}{}", tokens.keys.active_prefix(), base64(payload.as_bytes()));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
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

#[test]
fn hostile_tokens_are_refused() {
    for config in [config(), eddsa_config()] {
        let (tokens, forge) = (Tokens::new(&config), Forge::new(&config, UserId(7), session(1), NOW_S, 0));
        assert!(tokens.verify(&forge.good(), NOW_S).is_some(), "all the others differ from it in one thing");
        let cases = forge.hostile();
        assert!(cases.len() >= 80, "{} cases", cases.len());
        for (name, token) in cases {
            assert_eq!(tokens.verify(&token, NOW_S), None, "{:?} {name}", config.algorithm);
        }
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
