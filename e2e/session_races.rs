//! A session that is ended while it is refreshed, or while somebody logs in: whoever comes first, what is dead stays dead, on
//! the hot cores and at the control API of every gateway.

use std::net::SocketAddr;
use std::sync::Barrier;

use serde_json::json;

use crate::callers::{Caller, PASSWORD, change, post};
use crate::http::{Answer, call};
use crate::poll::until;
use crate::system::{Sale, System, orders_path};

/// Races of each kind.
const ROUNDS: usize = 4;
const OTHER_PASSWORD: &str = "quite another battery staple";

/// Ends every session that a caller had before.
type End = fn(&System, &Caller);

const ENDS: [(&str, End); 4] = [
    ("disabled", |system, caller| change(system, caller.id, &json!({ "disabled": true }))),
    ("made an administrator", |system, caller| change(system, caller.id, &json!({ "role": "admin" }))),
    ("another password", |system, caller| {
        let bearer = format!("Bearer {}", caller.access);
        let body = json!({ "old_password": PASSWORD, "new_password": OTHER_PASSWORD }).to_string();
        let path = "/api/v1/users/me/password";
        let answer = call(system.http, "PATCH", path, &[("Authorization", &bearer)], Some(&body));
        // A refresh that came first has ended the access token.
        assert!([200, 401].contains(&answer.status), "{answer:?}");
        if answer.status == 401 {
            change(system, caller.id, &json!({ "disabled": true }));
        }
    }),
    ("logged out", |system, caller| {
        let answer = post(system.http, "/auth/logout", None, &json!({ "refresh_token": caller.refresh }));
        assert_eq!(answer.status, 200, "{answer:?}");
    }),
];

#[test]
fn a_session_that_ends_while_it_is_refreshed_is_dead_everywhere() {
    let system = System::start(&[]);
    let (_second, other) = system.second_gateway();
    let hot = format!("{}/mine", orders_path(system.open(Sale::of(5))));
    for (name, end) in ENDS {
        for round in 0..ROUNDS {
            let caller = Caller::register(system.http);
            let what = format!("{name}, round {round}");
            // The two come by different gateways, which share nothing but the servers.
            let (refreshed, ()) = race(|| refresh(other, &caller.refresh), || end(&system, &caller));
            let mut dead = vec![caller.clone()];
            match refreshed.status {
                200 => dead.push(Caller::of(&refreshed)),
                401 => {}
                _ => panic!("{what}: {refreshed:?}"),
            }
            nothing_lives(&[system.http, other], &hot, &dead, &what);
        }
    }
}

#[test]
fn a_login_that_races_with_its_accounts_end_leaves_no_session() {
    let system = System::start(&[]);
    let (_second, other) = system.second_gateway();
    let hot = format!("{}/mine", orders_path(system.open(Sale::of(5))));
    for round in 0..ROUNDS {
        let caller = Caller::register(system.http);
        let body = json!({ "email": caller.email, "password": PASSWORD });
        let (login, ()) = race(
            || post(other, "/auth/login", None, &body),
            || change(&system, caller.id, &json!({ "disabled": true })),
        );
        let mut dead = vec![caller.clone()];
        match login.status {
            200 => dead.push(Caller::of(&login)),
            401 => assert_eq!(login.reason(), "invalid-credentials"),
            _ => panic!("{login:?}"),
        }
        nothing_lives(&[system.http, other], &hot, &dead, &format!("disabled, round {round}"));
        let late = post(system.http, "/auth/login", None, &body);
        assert_eq!(late.refused(401), "invalid-credentials");
    }
}

/// Within the time that news takes, no token of these is taken on either side of either gateway; and no refresh token ever.
fn nothing_lives(gateways: &[SocketAddr], hot: &str, dead: &[Caller], what: &str) {
    for caller in dead {
        for at in gateways {
            for path in [hot, "/api/v1/users/me", "/api/v1/orders"] {
                let bearer = format!("Bearer {}", caller.access);
                until(&format!("{what}: {path} refuses the access token"), || {
                    let answer = call(*at, "GET", path, &[("Authorization", &bearer)], None);
                    (answer.status == 401).then_some(())
                });
            }
            assert_eq!(refresh(*at, &caller.refresh).refused(401), "invalid-refresh-token", "{what}");
        }
    }
}

fn refresh(at: SocketAddr, token: &str) -> Answer {
    post(at, "/auth/refresh", None, &json!({ "refresh_token": token }))
}

/// Both at once.
fn race<A: Send, B: Send>(one: impl FnOnce() -> A + Send, two: impl FnOnce() -> B + Send) -> (A, B) {
    let start = Barrier::new(2);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            start.wait();
            one()
        });
        start.wait();
        let second = two();
        (first.join().expect("no panic"), second)
    })
}
