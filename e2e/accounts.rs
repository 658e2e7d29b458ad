//! Tokens that are none are one identical 401, whatever is wrong with them.

use std::collections::HashSet;

use spike_config::Config;
use spike_domain::clock::now_ms;
use spike_domain::{Role, SessionId, UserId};
use spike_gateway::tokens::Tokens;

use crate::http::call;
use crate::system::{Sale, orders_path, shared};

#[test]
fn every_bad_token_gets_the_same_answer() {
    let system = shared();
    let event = system.open(Sale::of(5));
    let (user, good) = system.user();
    let foreign = |setting: (&str, &str), now_s: u64| {
        let config = Config::load(None, [(setting.0.to_owned(), setting.1.to_owned())]).expect("settings");
        Tokens::new(&config.auth).mint(user, Role::User, SessionId::new(now_ms()), 0, now_s)
    };
    let now_s = now_ms() / 1000;
    let mut parts: Vec<&str> = good.split('.').collect();
    let unsigned = format!("{}.{}.", parts[0], parts[1]);
    parts.swap(1, 2);
    let tokens = [
        String::new(),
        "x".to_owned(),
        unsigned,
        parts.join("."),
        format!("{good}x"),
        "y".repeat(5000),
        // alg none, as `{"alg":"none"}` encodes.
        format!("eyJhbGciOiJub25lIn0.{}.", good.split('.').nth(1).expect("a payload")),
        foreign(("SPIKE_AUTH_SECRET", "another secret of thirty-two bytes and more"), now_s),
        foreign(("SPIKE_AUTH_ISSUER", "somebody"), now_s),
        foreign(("SPIKE_AUTH_AUDIENCE", "somebody else"), now_s),
        foreign(("SPIKE_AUTH_ISSUER", "spike"), now_s - 7200),
        foreign(("SPIKE_AUTH_ISSUER", "spike"), now_s + 7200),
    ];
    let path = orders_path(event);
    let mut answers = HashSet::new();
    let mut note = |answer: crate::http::Answer, what: &str| {
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        answers.insert(answer.body);
    };
    note(call(system.http, "POST", &path, &[], None), "no token");
    note(call(system.http, "POST", &path, &[("Authorization", &good)], None), "no scheme");
    note(call(system.http, "POST", &path, &[("Authorization", "Basic dTpw")], None), "another scheme");
    for token in &tokens {
        note(system.buy(event, token, &[], None), token);
        note(system.get(&format!("{path}/mine"), token), token);
    }
    assert_eq!(answers.len(), 1, "one identical answer");
    assert_eq!(system.buy(event, &good, &[], None).status, 202, "the good one is good");
}

#[test]
fn a_buyer_is_no_operator() {
    let system = shared();
    let (_, token) = system.user();
    let bearer = format!("Bearer {token}");
    for path in ["/api/v1/products", "/api/v1/admin/spike/events", "/api/v1/admin/spike/events/1/close"] {
        let answer = call(system.http, "POST", path, &[("Authorization", &bearer)], Some("{}"));
        assert_eq!(answer.refused(403), "forbidden", "{path}");
    }
    let nobody = system.token(UserId(i64::MAX));
    assert_eq!(system.get("/api/v1/users/me", &nobody).refused(401), "unauthorized");
}
