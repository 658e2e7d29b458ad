//! Access tokens. Nobody forges a signature, so an input is read twice: as a token, which must be one that was minted here, byte
//! for byte; and as a payload that is signed with the right key, which must be what the rules allow.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use spike_config::Config;
use spike_domain::{Role, SessionId, UserId};
use spike_gateway::tokens::{TOKEN_BYTES_MAX, Tokens};
use uuid::Uuid;

/// What tokens and payloads are made of.
pub const WORDS: &[&str] = &[
    ".",
    "eyJ",
    "\"iss\":\"spike\"",
    "\"aud\":\"spike\"",
    "\"sub\":\"1\"",
    "\"typ\":\"access\"",
    "\"typ\":\"refresh\"",
    "\"role\":\"user\"",
    "\"role\":\"admin\"",
    "\"ver\":0",
    "\"exp\":1763800900",
    "\"iat\":1763800000",
    "\"nbf\":1763800000",
    "\"sid\":\"019aaaaa-0000-7000-8000-000000000000\"",
    ",",
    "{",
    "}",
    "null",
    "[\"spike\"]",
    "=",
    "-",
    "_",
    "\\u0061",
];

/// The moment of every check, Unix seconds.
const NOW_S: u64 = 1_763_800_000;
const SECRET: &str = "a secret of the fuzzer, 32 bytes and more";

struct Ground {
    tokens: Tokens,
    leeway_s: u64,
    ttl_s: u64,
    /// `header.` of every token.
    prefix: String,
    minted: Vec<String>,
}

static GROUND: LazyLock<Ground> = LazyLock::new(|| {
    let env = [("SPIKE_AUTH_SECRET".to_owned(), SECRET.to_owned())];
    let auth = Config::load(None, env).expect("good settings").auth;
    let tokens = Tokens::new(&auth);
    let session = SessionId(Uuid::from_u128(7));
    let minted: Vec<String> = [(1, Role::User, 0), (i64::MAX, Role::Admin, u32::MAX)]
        .map(|(user, role, ver)| tokens.mint(UserId(user), role, session, ver, NOW_S))
        .into();
    let prefix = format!("{}.", minted[0].split('.').next().expect("a header"));
    Ground { tokens, leeway_s: auth.leeway_s, ttl_s: auth.access_ttl_s, prefix, minted }
});

/// Tokens that are good at the fuzzer's moment, and their payloads.
pub fn seeds() -> Vec<Vec<u8>> {
    let tokens = GROUND.minted.iter().map(|token| token.clone().into_bytes());
    let payload = |token: &String| {
        let payload = token.split('.').nth(1).expect("a payload");
        URL_SAFE_NO_PAD.decode(payload).expect("base64")
    };
    tokens.chain(GROUND.minted.iter().map(payload)).collect()
}

/// One input: a token, or the payload of one.
///
/// # Panics
/// When a promise is broken.
pub fn run(data: &[u8]) -> String {
    let ground = &*GROUND;
    let as_token = std::str::from_utf8(data).ok().map(|text| {
        let access = ground.tokens.verify(text, NOW_S);
        let ours = ground.minted.iter().any(|token| token == text);
        assert_eq!(access.is_some(), ours, "{text}");
        (ours, text.starts_with(&ground.prefix), text.split('.').count().min(5))
    });
    let signed = sign(ground, data);
    let access = ground.tokens.verify(&signed, NOW_S);
    if let Some(access) = access {
        assert!(signed.len() <= TOKEN_BYTES_MAX);
        let claims: Value = serde_json::from_slice(data).expect("only JSON is accepted");
        for (name, value) in [("iss", "spike"), ("aud", "spike"), ("typ", "access")] {
            assert_eq!(claims[name], value, "{claims}");
        }
        assert_eq!(claims["sub"], access.user.to_string(), "{claims}");
        let (iat, exp, nbf) = (claims["iat"].as_u64(), claims["exp"].as_u64(), claims["nbf"].as_u64());
        assert_eq!((exp, nbf), (Some(access.exp), Some(access.nbf)), "{claims}");
        assert!(NOW_S < access.exp.saturating_add(ground.leeway_s), "{claims}");
        assert!(access.nbf <= NOW_S + ground.leeway_s, "{claims}");
        assert!(access.exp <= iat.expect("a number").saturating_add(ground.ttl_s), "{claims}");
    }
    let fields = serde_json::from_slice::<Value>(data)
        .ok()
        .map(|claims| claims.as_object().map_or(0, |c| c.len().min(12)));
    format!("{as_token:?} {fields:?} {:?}", access.map(|access| access.role))
}

/// The payload under the right header with the right signature.
fn sign(ground: &Ground, payload: &[u8]) -> String {
    let message = format!("{}{}", ground.prefix, URL_SAFE_NO_PAD.encode(payload));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key will do");
    mac.update(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
