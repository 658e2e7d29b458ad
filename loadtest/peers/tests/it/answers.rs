//! The same presses to the gateway and to each peer: the same answers, and as many orders in the outbox.

use std::net::SocketAddr;

use spike_config::Config;
use spike_devstack::{RedisServer, fixture};

use super::client::{Answer, Client};
use super::gateway::Gateway;
use super::process::Peer;
use super::shop::{EPOCH, EVENT, config, def, open, press, settings, token};

const JSON: &str = "Content-Type: application/json\r\n";

/// Presses in order on one connection, and what must come of them.
struct Scenario {
    name: &'static str,
    env: &'static [(&'static str, &'static str)],
    stock: u32,
    presses: Vec<String>,
    /// What the gateway answers: status and reason.
    wanted: &'static [(u16, &'static str)],
    /// Entries in the outbox afterwards.
    entries: usize,
}

/// Starts a peer on a ledger.
type Start = fn(&RedisServer, &[(String, String)], &Config) -> Peer;

const AXUM: Start = |redis, env, _| Peer::axum(redis, env, &EVENT.to_string(), EPOCH, None);
const NGINX: Start = |redis, _, config| Peer::nginx(redis, config);

#[test]
fn the_conventional_service_answers_as_the_gateway_does() {
    check(AXUM);
}

#[test]
fn nginx_answers_as_the_gateway_does() {
    check(NGINX);
}

#[test]
fn nginx_keeps_its_connection_to_redis() {
    let redis = fixture::redis();
    let env = settings(&redis, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(open(&redis, &def(5), EPOCH));
    let peer = NGINX(&redis, &env, &config(&env));
    let presses: Vec<String> = (1..=5).map(|user| good(user, "", "")).collect();
    assert!(pressed(peer.address(), &presses).iter().all(|answer| answer.status == 202));
    let clients = redis.command(&["CLIENT", "LIST"]).unwrap();
    let of_nginx = clients.lines().filter(|client| client.contains("cmd=evalsha")).count();
    assert_eq!(of_nginx, 1, "{clients}");
}

#[test]
fn a_silent_redis_is_an_unknown_outcome_that_names_its_order() {
    for start in [AXUM, NGINX] {
        let redis = fixture::redis();
        let env = settings(&redis, &[("SPIKE_HOT_REDIS_TIMEOUT_MS", "200")]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(open(&redis, &def(1), EPOCH));
        let peer = start(&redis, &env, &config(&env));
        redis.pause().unwrap();
        let answer = pressed(peer.address(), &[good(1, "Idempotency-Key: k\r\n", "")]).remove(0);
        assert_eq!((answer.status, reason(&answer).as_str()), (503, "outcome-unknown"));
        let path = answer.header("location").unwrap().to_owned();
        redis.resume().unwrap();
        let again = pressed(peer.address(), &[good(1, "Idempotency-Key: k\r\n", "")]).remove(0);
        assert_eq!(
            (again.status, again.header("location")),
            (202, Some(path.as_str())),
            "the order named before"
        );
    }
}

fn check(start: Start) {
    for scenario in scenarios() {
        let name = scenario.name;
        let of_gateway = on_a_ledger(&scenario, |_, _, config| {
            let gateway = Gateway::start(config, def(scenario.stock));
            pressed(gateway.address, &scenario.presses)
        });
        let reasons: Vec<(u16, String)> =
            of_gateway.iter().map(|answer| (answer.status, reason(answer))).collect();
        let wanted: Vec<(u16, String)> =
            scenario.wanted.iter().map(|(status, reason)| (*status, (*reason).to_owned())).collect();
        assert_eq!(reasons, wanted, "{name}: the gateway itself");
        let of_peer = on_a_ledger(&scenario, |redis, env, config| {
            let peer = start(redis, env, &config);
            pressed(peer.address(), &scenario.presses)
        });
        for (at, (peer, gateway)) in of_peer.into_iter().zip(of_gateway).enumerate() {
            assert_eq!(peer.comparable(), gateway.comparable(), "{name}: press {at}");
        }
    }
}

/// Runs `presses` on a ledger of its own and counts the orders afterwards.
fn on_a_ledger(
    scenario: &Scenario,
    presses: impl FnOnce(&RedisServer, &[(String, String)], Config) -> Vec<Answer>,
) -> Vec<Answer> {
    let redis = fixture::redis();
    let env = settings(&redis, scenario.env);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(open(&redis, &def(scenario.stock), EPOCH));
    let answers = presses(&redis, &env, config(&env));
    let entries = redis.command(&["XLEN", &format!("spike:{{{EVENT}}}:outbox")]).unwrap();
    assert_eq!(entries.trim().parse(), Ok(scenario.entries), "{}", scenario.name);
    answers
}

fn pressed(address: SocketAddr, presses: &[String]) -> Vec<Answer> {
    let mut client = Client::connect(address);
    let answer = |press: &String| {
        client.send(press.as_bytes());
        client.answer()
    };
    presses.iter().map(answer).collect()
}

fn reason(answer: &Answer) -> String {
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    body["reason"].as_str().unwrap_or_default().to_owned()
}

/// A press of a user with a good token.
fn good(user: i64, headers: &str, body: &str) -> String {
    press(EVENT, &token(&config(&[]), user, 0), headers, body)
}

fn scenarios() -> Vec<Scenario> {
    let mut all = vec![selling(), last_units(), tokens(), bodies()];
    all.extend(limits());
    all
}

fn selling() -> Scenario {
    Scenario {
        name: "selling",
        env: &[],
        stock: 10,
        presses: vec![
            good(1, JSON, r#"{"quantity":2}"#),
            good(1, "", ""),
            good(2, "X-Request-Id: Abc-1.2_3\r\n", ""),
            good(2, "X-Request-Id: not one\r\n", ""),
            good(3, "Idempotency-Key: press-1\r\n", ""),
            good(3, "Idempotency-Key: press-1\r\n", ""),
            good(3, &format!("Idempotency-Key: press-1\r\n{JSON}"), r#"{"quantity":2}"#),
            good(i64::MAX, JSON, r#"{ "quantity" : 1.0 }"#),
        ],
        wanted: &[
            (202, ""),
            (409, "already-bought"),
            (202, ""),
            (409, "already-bought"),
            (202, ""),
            (202, ""),
            (422, "idempotency-mismatch"),
            (202, ""),
        ],
        entries: 4,
    }
}

fn last_units() -> Scenario {
    Scenario {
        name: "last units",
        env: &[],
        stock: 1,
        presses: vec![
            good(1, JSON, r#"{"quantity":2}"#),
            good(1, "Idempotency-Key: k\r\n", ""),
            good(2, "", ""),
            good(3, "", "no JSON"),
            press(EVENT, "", "", ""),
            good(1, "Idempotency-Key: k\r\n", ""),
            good(2, "Idempotency-Key: k\r\n", ""),
        ],
        wanted: &[
            (409, "insufficient-stock"),
            (202, ""),
            (409, "sold-out"),
            (409, "sold-out"),
            (409, "sold-out"),
            (202, ""),
            (409, "sold-out"),
        ],
        entries: 1,
    }
}

fn tokens() -> Scenario {
    let whole = token(&config(&[]), 1, 0);
    let (message, _) = whole.rsplit_once('.').unwrap();
    let other = token(&config(&[]), 2, 0);
    let (_, other_signature) = other.rsplit_once('.').unwrap();
    let strange = |name: &str, value: &str| token(&config(&[(name.to_owned(), value.to_owned())]), 1, 0);
    let bad = [
        String::new(),
        "nonsense".to_owned(),
        "a.b.c".to_owned(),
        message.to_owned(),
        format!("{message}."),
        format!("{message}.{other_signature}"),
        strange("SPIKE_AUTH_SECRET", "another secret of thirty-two bytes and more"),
        strange("SPIKE_AUTH_ISSUER", "another"),
        strange("SPIKE_AUTH_AUDIENCE", "another"),
        strange("SPIKE_AUTH_ACCESS_TTL_S", "86400"),
        // Older than its life and the leeway.
        token(&config(&[]), 1, 86_400),
    ];
    let mut presses: Vec<String> = bad.iter().map(|token| press(EVENT, token, "", "")).collect();
    presses.push(press(EVENT, &whole, "", ""));
    const REFUSED: (u16, &str) = (401, "unauthorized");
    Scenario {
        name: "tokens",
        env: &[],
        stock: 10,
        presses,
        wanted: &[
            REFUSED,
            REFUSED,
            REFUSED,
            REFUSED,
            REFUSED,
            REFUSED,
            REFUSED,
            REFUSED,
            REFUSED,
            REFUSED,
            REFUSED,
            (202, ""),
        ],
        entries: 1,
    }
}

fn bodies() -> Scenario {
    let body = |body: &str| good(1, JSON, body);
    Scenario {
        name: "bodies",
        env: &[],
        stock: 10,
        presses: vec![
            body("nonsense"),
            body("[1]"),
            body(r#"{"quantity":1"#),
            body(r#"{"quantity":0}"#),
            body(r#"{"quantity":1.5}"#),
            body(r#"{"quantity":"1"}"#),
            body(r#"{"quantity":null}"#),
            body(r#"{"quantity":3}"#),
            body(r#"{"role\"":"admin"}"#),
            good(1, "Content-Type: text/plain\r\n", "{}"),
            good(1, &format!("Idempotency-Key: {}\r\n", "k".repeat(256)), ""),
            good(1, "Content-Type: application/json; charset=utf-8\r\n", "{}"),
        ],
        wanted: &[
            (400, "malformed"),
            (400, "malformed"),
            (400, "malformed"),
            (422, "validation"),
            (422, "validation"),
            (422, "validation"),
            (422, "validation"),
            (422, "validation"),
            (422, "validation"),
            (415, "unsupported-media-type"),
            (400, "malformed"),
            (202, ""),
        ],
        entries: 1,
    }
}

/// Each limit alone: one press is let through, or two, and the next is told when to come back.
fn limits() -> Vec<Scenario> {
    let one = |name, env, second| Scenario {
        name,
        env,
        stock: 10,
        presses: vec![good(1, "", ""), good(second, "", "")],
        wanted: &[(202, ""), (429, "too-many-requests")],
        entries: 1,
    };
    vec![
        one("debounce", &[("SPIKE_LIMITS_DEBOUNCE_MS", "60000")], 1),
        one("user", &[("SPIKE_LIMITS_USER_PER_S", "1"), ("SPIKE_LIMITS_USER_BURST", "1")], 1),
        one("address", &[("SPIKE_LIMITS_ADDRESS_PER_S", "1"), ("SPIKE_LIMITS_ADDRESS_BURST", "1")], 2),
        one("all", &[("SPIKE_LIMITS_GLOBAL_PER_S", "1"), ("SPIKE_LIMITS_GLOBAL_BURST", "1")], 2),
        one("event", &[("SPIKE_LIMITS_EVENT_PER_S", "1"), ("SPIKE_LIMITS_EVENT_BURST", "1")], 2),
        Scenario {
            name: "burst",
            env: &[("SPIKE_LIMITS_USER_PER_S", "1"), ("SPIKE_LIMITS_USER_BURST", "3")],
            stock: 10,
            presses: (0..4).map(|_| good(1, "", "")).chain([good(2, "", "")]).collect(),
            wanted: &[
                (202, ""),
                (409, "already-bought"),
                (409, "already-bought"),
                (429, "too-many-requests"),
                (202, ""),
            ],
            entries: 2,
        },
    ]
}
