//! Accounts, described.

use serde_json::{Value, json};
use spike_domain::Reason;

use super::operation::Operation;
use super::schema::{
    example, id, moment, named, object, optional, request, required, text, units, word, words,
};
use crate::control::PASSWORD_CHARS;
use crate::control::auth::{EMAIL_CHARS, NAME_CHARS};
use crate::control::sessions::REFRESH_TOKEN_CHARS;

pub(super) fn describe(method: &str, path: &str) -> Option<Operation> {
    let operation = |id, summary| Operation::new("accounts", id, summary);
    Some(match (method, path) {
        ("POST", "/api/v1/auth/register") => operation("register", "Create an account and log in")
            .body(request([
                required("email", email()),
                required("password", text(PASSWORD_CHARS)),
                optional("name", text(NAME_CHARS)),
            ]))
            .answers(201, "The account and its tokens", named("Session"), &["Location"])
            .refuses(&[Reason::EmailTaken, Reason::TooManyRequests]),
        ("POST", "/api/v1/auth/login") => operation("login", "Get tokens for an account")
            .notes("A wrong password, an unknown account and a disabled one get the same answer after the same work.")
            .body(request([
                required("email", text(EMAIL_CHARS)),
                required("password", text(1..=*PASSWORD_CHARS.end())),
            ]))
            .answers(200, "The account and its tokens", named("Session"), &[])
            .refuses(&[Reason::InvalidCredentials, Reason::TooManyRequests]),
        ("POST", "/api/v1/auth/refresh") => operation("refresh", "Get new tokens for a refresh token")
            .notes("The token sent is spent and older access tokens of the session end. Sent again within ten seconds, while \
                its successor is unused, it is answered with the same successor; any later use ends the session.")
            .body(request([required("refresh_token", refresh_token())]))
            .answers(200, "The account and its new tokens", named("Session"), &[])
            .refuses(&[Reason::InvalidRefreshToken, Reason::TooManyRequests]),
        ("POST", "/api/v1/auth/logout") => operation("logout", "End a session")
            .notes("The session of the refresh token in the body, or else of the access token. The same answer again when it \
                was over already, or never was.")
            .optional_body(request([optional("refresh_token", refresh_token())]))
            .answers(200, "The session is over", json!({ "type": "null" }), &[])
            .refuses(&[Reason::Unauthorized, Reason::TooManyRequests]),
        ("PATCH", "/api/v1/users/me/password") => operation("changePassword", "Change the password")
            .notes("Ends every session of the account, this one too, and answers a new one.")
            .body(request([
                required("old_password", text(1..=*PASSWORD_CHARS.end())),
                required("new_password", text(PASSWORD_CHARS)),
            ]))
            .answers(200, "The account and its new tokens", named("Session"), &[])
            .refuses(&[Reason::InvalidCredentials, Reason::Conflict, Reason::TooManyRequests]),
        ("GET", "/api/v1/users/me") => operation("getMe", "The account behind the token")
            .answers(200, "The account", named("User"), &[]),
        _ => return super::administration::describe(method, path),
    })
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let user = object([
        required("id", id()),
        required("email", words()),
        required("name", words()),
        required("role", role()),
        required("created_at", moment()),
    ]);
    let session = object([
        required("access_token", words()),
        required("token_type", json!({ "const": "Bearer" })),
        required("expires_in", units()),
        required("refresh_token", words()),
        required("refresh_expires_in", units()),
        required("user", named("User")),
    ]);
    vec![("User", user), ("Session", session)]
}

fn refresh_token() -> Value {
    text(REFRESH_TOKEN_CHARS)
}

fn role() -> Value {
    word(["user", "admin"])
}

/// Shorter than what the handler takes, with blanks around it trimmed: what a client should send.
fn email() -> Value {
    let local = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]";
    let label = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
    let pattern = format!(r"^(?=[^@]{{1,64}}@){local}+(\.{local}+)*@{label}(\.{label})+$");
    let schema = json!({ "type": "string", "minLength": 5, "maxLength": 254, "pattern": pattern });
    example(schema, "you@example.com")
}
