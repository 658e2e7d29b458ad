//! People with accounts, as a gateway knows them: made, changed and logged in over HTTP, with nothing but its own answers.

use std::net::SocketAddr;

use serde_json::{Value, json};
use spike_domain::OrderId;
use spike_domain::clock::now_ms;

use crate::http::{Answer, call};
use crate::system::System;

/// Password of every account made here.
pub const PASSWORD: &str = "correct horse battery staple";

/// Somebody who is logged in.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Of the account.
    pub id: i64,
    /// Of the account.
    pub email: String,
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
}

impl Caller {
    /// Makes an account, which is logged in.
    pub fn register(at: SocketAddr) -> Self {
        let email = format!("{}@e2e.invalid", OrderId::new(now_ms()));
        let answer = post(at, "/auth/register", None, &json!({ "email": email, "password": PASSWORD }));
        assert_eq!(answer.status, 201, "{answer:?}");
        Self::of(&answer)
    }

    /// Logs the same account in once more.
    pub fn log_in(&self, at: SocketAddr) -> Self {
        let answer = post(at, "/auth/login", None, &json!({ "email": self.email, "password": PASSWORD }));
        assert_eq!(answer.status, 200, "{answer:?}");
        Self::of(&answer)
    }

    /// What an answer with a session says.
    pub fn of(answer: &Answer) -> Self {
        let body = answer.json();
        let (data, user) = (&body["data"], &body["data"]["user"]);
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Self {
            id: user["id"].as_i64().expect("an id"),
            email: text(&user["email"]),
            access: text(&data["access_token"]),
            refresh: text(&data["refresh_token"]),
        }
    }
}

/// Changes an account as the system's administrator.
pub fn change(system: &System, user: i64, change: &Value) {
    let bearer = format!("Bearer {}", system.admin_token());
    let path = format!("/api/v1/admin/users/{user}");
    let answer = call(system.http, "PATCH", &path, &[("Authorization", &bearer)], Some(&change.to_string()));
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// A POST below `/api/v1`.
pub fn post(at: SocketAddr, path: &str, token: Option<&str>, body: &Value) -> Answer {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<(&str, &str)> =
        bearer.as_deref().map(|bearer| ("Authorization", bearer)).into_iter().collect();
    call(at, "POST", &format!("/api/v1{path}"), &headers, Some(&body.to_string()))
}
