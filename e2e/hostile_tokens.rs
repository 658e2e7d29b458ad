//! Every hostile token, sent to a hot route and to cold ones of gateways that sign with HS256 and with EdDSA: one identical 401.

#[path = "../gateway/src/tokens/tests/hostile.rs"]
mod hostile;

use std::collections::HashMap;
use std::net::SocketAddr;

use serde_json::Value;
use spike_config::Config;
use spike_domain::clock::now_ms;
use spike_domain::{SessionId, UserId};
use spike_gateway::tokens::TOKEN_BYTES_MAX;

use crate::callers::Caller;
use crate::http::call;
use crate::poll::until;
use crate::system::{Sale, System, loopback, orders_path};

use hostile::Forge;

/// An Ed25519 key that is an example of a standard: known to everybody, so that an attacker has its public half at hand.
const EDDSA: [(&str, &str); 3] = [
    ("SPIKE_AUTH_ALGORITHM", "EdDSA"),
    ("SPIKE_AUTH_KEY_ID", "ed"),
    (
        "SPIKE_AUTH_PRIVATE_KEY",
        "-----BEGIN PRIVATE KEY-----\n\
         MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
         -----END PRIVATE KEY-----\n",
    ),
];
/// Longer than this test runs, in seconds.
const FOR_S: u64 = 3600;

/// What a token of the list meets on its way.
#[derive(Debug, PartialEq, Eq)]
enum Header {
    /// The gateway, as it is.
    Sent,
    /// HTTP takes the blanks off before anybody looks: it is the good token then.
    Trimmed,
    /// No header may hold it.
    Illegal,
}

impl Header {
    fn of(token: &str) -> Self {
        match token {
            _ if token.contains('\0') => Self::Illegal,
            _ if !token.is_empty() && token.trim() != token => Self::Trimmed,
            _ => Self::Sent,
        }
    }
}

#[test]
fn every_hostile_token_gets_one_identical_answer() {
    let system = System::start(&[]);
    let event = system.open(Sale::of(5));
    let [http, ops] = [loopback(), loopback()];
    let mut variables =
        vec![("SPIKE_HTTP_LISTEN", http.to_string()), ("SPIKE_HTTP_OPS_LISTEN", ops.to_string())];
    variables.extend(EDDSA.map(|(name, value)| (name, value.to_owned())));
    let _eddsa = system.gateway.beside(system.gateway.binary(), &variables, ops);
    let hot = format!("{}/mine", orders_path(event));
    until("the second gateway knows the event", || (ask(http, "GET", &hot, "x").0 == 401).then_some(()));

    let mut bodies: HashMap<String, String> = HashMap::new();
    for (at, settings) in [(system.http, &[][..]), (http, &EDDSA[..])] {
        let env = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let auth = Config::load(None, env).expect("settings").auth;
        let caller = Caller::register(at);
        let session = session_of(&caller.access);
        let forge = Forge::new(&auth, UserId(caller.id), session, now_ms() / 1000, FOR_S);
        let ways = [("GET", hot.as_str()), ("GET", "/api/v1/users/me"), ("POST", &orders_path(event))];
        for (method, path) in &ways[..2] {
            let good = ask(at, method, path, &forge.good());
            assert!(
                [200, 404].contains(&good.0),
                "{path}: a token that differs in nothing is let in: {good:?}"
            );
        }
        let mut sent = 0;
        for (name, token) in forge.hostile() {
            let kind = Header::of(&token);
            sent += usize::from(kind == Header::Sent);
            for (method, path) in ways {
                let (status, body) = match kind {
                    Header::Trimmed => continue,
                    Header::Sent | Header::Illegal => ask(at, method, path, &token),
                };
                let what = format!("{:?}, {name}, {method} {path}", auth.algorithm);
                if kind == Header::Illegal {
                    assert_eq!(status, 400, "{what}");
                    continue;
                }
                assert_eq!(status, 401, "{what}: {body}");
                bodies.entry(body.to_string()).or_insert(what);
            }
        }
        assert!(sent >= 80, "{sent} tokens were sent");
    }
    assert_eq!(bodies.len(), 1, "one identical answer: {bodies:?}");
}

/// Status, and the body without the request's id.
fn ask(at: SocketAddr, method: &str, path: &str, token: &str) -> (u16, Value) {
    let answer = call(at, method, path, &[("Authorization", &format!("Bearer {token}"))], None);
    let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    if let Some(body) = body.as_object_mut() {
        body.remove("request_id");
    }
    (answer.status, body)
}

/// The session that a token names.
fn session_of(token: &str) -> SessionId {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).expect("a payload");
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).expect("base64");
    let claims: Value = serde_json::from_slice(&payload).expect("JSON");
    SessionId::parse(claims["sid"].as_str().expect("a session")).expect("an id")
}
