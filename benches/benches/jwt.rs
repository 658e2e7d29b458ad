//! Who may verify a token: jsonwebtoken's `decode` beside our pre-keyed verifier, for both algorithms, and what a core's
//! cache and the revocations cost. `docs/adr/0007-token-verifier.md` quotes a run.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, get_current_timestamp};
use spike_config::{AuthConfig, Config};
use spike_domain::{AccessClaims, Role, SessionId, UserId};
use spike_gateway::tokens::{TokenCache, Tokens};

/// The key of RFC 8037, A.1: private as PEM, public as bytes.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";
const PUBLIC: [u8; 32] = [
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e,
    0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
];

fn auth(env: &[(&str, &str)]) -> AuthConfig {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(None, env).expect("settings").auth
}

fn mint(tokens: &Tokens, user: i64, now_s: u64) -> String {
    tokens.mint(UserId(user), Role::User, SessionId::new(now_s * 1000), 1, now_s)
}

fn verifiers(c: &mut Criterion) {
    let eddsa = auth(&[("SPIKE_AUTH_ALGORITHM", "EdDSA"), ("SPIKE_AUTH_PRIVATE_KEY", PRIVATE)]);
    let hs256 = auth(&[]);
    let secret = DecodingKey::from_secret(hs256.secret.expose().as_bytes());
    let now_s = get_current_timestamp();
    for (name, algorithm, auth, key) in [
        ("HS256", Algorithm::HS256, hs256, secret),
        ("EdDSA", Algorithm::EdDSA, eddsa, DecodingKey::from_ed_der(&PUBLIC)),
    ] {
        let tokens = Tokens::new(&auth);
        let good = mint(&tokens, 42, now_s);
        let forged = format!("{}A{}", &good[..good.len() - 9], &good[good.len() - 8..]);
        let mut rules = Validation::new(algorithm);
        rules.set_issuer(&[&auth.issuer]);
        rules.set_audience(&[&auth.audience]);
        rules.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        (rules.leeway, rules.validate_nbf) = (auth.leeway_s, true);
        let theirs = |token: &str| decode::<AccessClaims>(token, &key, &rules).ok();
        assert!(theirs(&good).is_some() && tokens.verify(&good, now_s).is_some(), "{name}");
        assert!(theirs(&forged).is_none() && tokens.verify(&forged, now_s).is_none(), "{name}");
        c.bench_function(&format!("jwt/{name}, jsonwebtoken"), |b| b.iter(|| theirs(black_box(&good))));
        c.bench_function(&format!("jwt/{name}, pre-keyed"), |b| {
            b.iter(|| tokens.verify(black_box(&good), now_s));
        });
        c.bench_function(&format!("jwt/{name}, pre-keyed, forged"), |b| {
            b.iter(|| tokens.verify(black_box(&forged), now_s));
        });
    }
}

fn remembered(c: &mut Criterion) {
    const BUYERS: usize = 50_000;
    let tokens = Tokens::new(&auth(&[]));
    let now_s = get_current_timestamp();
    let mut cache = TokenCache::new(65_536);
    let one = mint(&tokens, 1, now_s);
    cache.authenticate(&tokens, &one, now_s);
    c.bench_function("jwt/remembered, one buyer", |b| {
        b.iter(|| cache.authenticate(&tokens, black_box(&one), now_s));
    });
    let all: Vec<String> = (1..=BUYERS as i64).map(|user| mint(&tokens, user, now_s)).collect();
    for token in &all {
        cache.authenticate(&tokens, token, now_s);
    }
    let mut each = all.iter().cycle();
    let mut next = || each.next().expect("a cycle");
    c.bench_function("jwt/remembered, 50,000 buyers in turn", |b| {
        b.iter(|| cache.authenticate(&tokens, next(), now_s));
    });
    let revoked = (0..200_000).map(|_| (SessionId::new(now_s * 1000), 1, u64::MAX));
    tokens.revocations().learn(revoked, std::time::Instant::now());
    c.bench_function("jwt/remembered, one buyer, 200,000 revocations", |b| {
        b.iter(|| cache.authenticate(&tokens, black_box(&one), now_s));
    });
}

criterion_group!(jwt, verifiers, remembered);
criterion_main!(jwt);
