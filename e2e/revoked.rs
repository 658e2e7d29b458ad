//! A revoked token is refused by every gateway within 2 s (I10): on the hot path and by the control API, with nothing but the
//! poll, and after a restart at once.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spike_domain::clock::now_ms;
use spike_domain::{Revoked, Role, SessionId, UserId};
use spike_store::{NewAudit, NewSession, Revoke, SessionRules};

use crate::http::call;
use crate::poll::until;
use crate::system::{Sale, System, orders_path};

const OLD: &str = "correct horse battery staple";
const WITHIN: Duration = Duration::from_secs(2);
/// Longer than the test, in milliseconds.
const LONG_MS: u64 = 900_000;

#[test]
fn a_revoked_token_is_refused_by_every_gateway_within_two_seconds() {
    let mut system = System::start(&[]);
    let (mut second, second_http) = system.second_gateway();
    let event = system.open(Sale::of(5));
    let ways = [format!("{}/mine", orders_path(event)), "/api/v1/spike/orders".to_owned()];
    let gateways = [system.http, second_http];
    let (_, other) = system.user();
    let (user, _) = system.user();
    let (session, token) = log_in(&system, user);
    for (gateway, way) in pairs(&gateways, &ways) {
        until(&format!("{gateway} knows the event"), || (status(gateway, way, &token) != 503).then_some(()));
        assert!([200, 404].contains(&status(gateway, way, &token)), "{gateway} {way} takes a living token");
    }

    let by = audit("logout");
    let revoke = Revoke { why: Revoked::Logout, token_life_ms: LONG_MS, by };
    // Straight into the database: no gateway is told, so this is the poll alone.
    let ended = system.runtime.block_on(system.store.revoke_session(session, &revoke)).expect("a session");
    assert!(ended, "it was alive");
    let since = Instant::now();
    for (gateway, way) in pairs(&gateways, &ways) {
        until("the token is refused", || (status(gateway, way, &token) == 401).then_some(()));
        let took = since.elapsed();
        assert!(took <= WITHIN, "{gateway} {way}: refused only after {took:?}");
    }

    system.gateway.restart();
    second.restart();
    for (gateway, way) in pairs(&gateways, &ways) {
        assert_eq!(status(gateway, way, &token), 401, "{gateway} {way} after a restart");
        until(&format!("{gateway} {way} takes another token"), || {
            [200, 404].contains(&status(gateway, way, &other)).then_some(())
        });
    }
}

#[test]
fn what_ends_a_session_at_one_gateway_is_refused_by_the_other_within_two_seconds() {
    let system = System::start(&[]);
    let (_second, other) = system.second_gateway();
    let event = system.open(Sale::of(5));
    let ways = [format!("{}/mine", orders_path(event)), "/api/v1/users/me".to_owned()];
    let ends: [(&str, End); 4] =
        [("logout", log_out), ("refresh", refresh), ("password", change_password), ("disabled", disable)];
    for (name, end) in ends {
        let session = register(&system, name);
        for way in &ways {
            until(&format!("the other gateway takes {name}'s token"), || {
                [200, 404].contains(&status(other, way, &session.access)).then_some(())
            });
        }
        end(&system, &session);
        let since = Instant::now();
        for way in &ways {
            until(&format!("{name}: {way} is refused"), || {
                (status(other, way, &session.access) == 401).then_some(())
            });
            assert!(since.elapsed() <= WITHIN, "{name} {way}: refused only after {:?}", since.elapsed());
        }
    }
}

/// What a registration gives.
struct Registered {
    user: i64,
    access: String,
    refresh: String,
}

/// Ends a session, or its access token, at the first gateway.
type End = fn(&System, &Registered);

fn register(system: &System, name: &str) -> Registered {
    let body = json!({ "email": format!("{name}@e2e.invalid"), "password": OLD, "name": name }).to_string();
    let answer = call(system.http, "POST", "/api/v1/auth/register", &[], Some(&body));
    assert_eq!(answer.status, 201, "{answer:?}");
    let data = answer.json()["data"].take();
    let text = |field: &str| data[field].as_str().expect("a token").to_owned();
    let user = data["user"]["id"].as_i64().expect("an id");
    Registered { user, access: text("access_token"), refresh: text("refresh_token") }
}

fn log_out(system: &System, session: &Registered) {
    send(system, "POST", "/api/v1/auth/logout", &session.access, &json!({}));
}

fn refresh(system: &System, session: &Registered) {
    let body = json!({ "refresh_token": session.refresh });
    send(system, "POST", "/api/v1/auth/refresh", &session.access, &body);
}

fn change_password(system: &System, session: &Registered) {
    let body = json!({ "old_password": OLD, "new_password": "quite another battery staple" });
    send(system, "PATCH", "/api/v1/users/me/password", &session.access, &body);
}

fn disable(system: &System, session: &Registered) {
    let path = format!("/api/v1/admin/users/{}", session.user);
    send(system, "PATCH", &path, system.admin_token(), &json!({ "disabled": true }));
}

fn send(system: &System, method: &str, path: &str, token: &str, body: &Value) {
    let bearer = format!("Bearer {token}");
    let answer = call(system.http, method, path, &[("Authorization", &bearer)], Some(&body.to_string()));
    assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
}

/// A session as a login makes it, with its token.
fn log_in(system: &System, user: UserId) -> (SessionId, String) {
    let session = SessionId::new(now_ms());
    let rules = SessionRules {
        refresh_ttl_ms: LONG_MS,
        session_ttl_ms: LONG_MS,
        retry_ms: 0,
        live_max: 10,
        token_life_ms: LONG_MS,
    };
    let started = system.runtime.block_on(async {
        let account = system.store.user_by_id(user).await.expect("the database").expect("an account");
        let token_version = account.token_version;
        let new = NewSession { id: session, user, token_version, address: None, refresh_hash: [7; 32] };
        system.store.create_session(new, &rules, &audit("login")).await.expect("the database")
    });
    let generation = started.expect("an account that may log in").generation;
    (session, system.mint(user, Role::User, session, generation))
}

fn audit(action: &str) -> NewAudit {
    let action = action.to_owned();
    NewAudit { actor: None, action, target: None, detail: String::new(), request_id: None, address: None }
}

fn pairs<'a>(gateways: &'a [SocketAddr], ways: &'a [String]) -> impl Iterator<Item = (SocketAddr, &'a str)> {
    gateways.iter().flat_map(|gateway| ways.iter().map(|way| (*gateway, way.as_str())))
}

fn status(gateway: SocketAddr, path: &str, token: &str) -> u16 {
    call(gateway, "GET", path, &[("Authorization", &format!("Bearer {token}"))], None).status
}
