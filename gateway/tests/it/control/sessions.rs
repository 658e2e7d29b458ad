//! Refreshing, logging out and changing the password: every way a session goes on, and every way it ends.

use std::collections::HashSet;

use axum::body::{Body, to_bytes};
use serde_json::{Value, json};
use spike_domain::Revoked;
use spike_store::{ALL_TOKENS, AuditFilter};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::Api;
use super::api::Answer;

const PASSWORD: &str = "correct horse battery";

/// What a login or a refresh has given.
#[derive(Debug, Clone, PartialEq)]
struct Tokens {
    access: String,
    refresh: String,
}

impl Tokens {
    fn of(answer: &Answer) -> Self {
        let text = |name: &str| answer.data()[name].as_str().unwrap().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }
}

async fn register(api: &Api) -> Tokens {
    let body = json!({"email": "ann@shop.example", "password": PASSWORD});
    Tokens::of(&api.post("/auth/register", None, &body).await)
}

async fn log_in(api: &Api, password: &str) -> Answer {
    api.post("/auth/login", None, &json!({"email": "ann@shop.example", "password": password})).await
}

async fn refresh(api: &Api, token: &str) -> Answer {
    api.post("/auth/refresh", None, &json!({"refresh_token": token})).await
}

/// The access token is good, by the database.
async fn alive(api: &Api, access: &str) -> bool {
    let answer = api.get("/users/me", Some(access)).await;
    assert!(answer.status == 200 || answer.reason() == "unauthorized", "{answer:?}");
    answer.status == 200
}

async fn refused(api: &Api, token: &str, what: &str) -> Value {
    let answer = refresh(api, token).await;
    assert_eq!((answer.status, answer.reason()), (401, "invalid-refresh-token"), "{what}: {answer:?}");
    answer.without_id()
}

/// The reasons in the audit log, newest first.
async fn why_ended(api: &Api) -> Vec<String> {
    let filter = AuditFilter { action: Some("session.revoked".into()), ..AuditFilter::default() };
    let lines = api.store.audit(&filter, None, 100).await.unwrap();
    let why =
        |detail: &str| serde_json::from_str::<Value>(detail).unwrap()["why"].as_str().unwrap().to_owned();
    lines.iter().map(|line| why(&line.what.detail)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_gives_new_tokens_and_kills_the_old_ones() {
    let api = Api::start().await;
    let first = register(&api).await;
    let answer = refresh(&api, &first.refresh).await;
    let second = Tokens::of(&answer);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let auth = &api.config.auth;
    let data = answer.data();
    assert_eq!(
        (&data["expires_in"], &data["refresh_expires_in"], &data["token_type"], &data["user"]["email"]),
        (&json!(auth.access_ttl_s), &json!(auth.refresh_ttl_s), &json!("Bearer"), &json!("ann@shop.example"))
    );
    assert!(second.access != first.access && second.refresh != first.refresh);
    assert_eq!((alive(&api, &first.access).await, alive(&api, &second.access).await), (false, true));
    let revocations = api.store.revocations(0).await.unwrap();
    assert_eq!(revocations.iter().map(|revocation| revocation.min_ver).collect::<Vec<_>>(), [2]);
    let third = Tokens::of(&refresh(&api, &second.refresh).await);
    assert!(alive(&api, &third.access).await && !alive(&api, &second.access).await);
    let stored = api.sql("SELECT HEX(hash), HEX(successor) FROM refresh_tokens");
    for token in [&first, &second, &third] {
        assert_ne!(refresh(&api, &token.access).await.status, 200, "an access token refreshes nothing");
        assert_eq!(api.get("/users/me", Some(&token.refresh)).await.reason(), "unauthorized");
        assert!(!stored.contains(&token.refresh), "never the token");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_given_again_until_its_token_is_used() {
    let api = Api::start().await;
    let first = register(&api).await;
    let second = Tokens::of(&refresh(&api, &first.refresh).await);
    let again = Tokens::of(&refresh(&api, &first.refresh).await);
    assert_eq!(again.refresh, second.refresh, "the very same successor");
    assert!(alive(&api, &again.access).await && alive(&api, &second.access).await, "one generation");
    assert!(why_ended(&api).await.is_empty());

    let third = Tokens::of(&refresh(&api, &again.refresh).await);
    refused(&api, &first.refresh, "its successor was used: a theft").await;
    assert_eq!(why_ended(&api).await, ["reuse"]);
    for (token, what) in [(&first, "first"), (&second, "second"), (&third, "third")] {
        refused(&api, &token.refresh, what).await;
        assert!(!alive(&api, &token.access).await, "{what}");
    }
    assert_eq!(why_ended(&api).await, ["reuse"], "once");
    let revocations = api.store.revocations(0).await.unwrap();
    assert_eq!(revocations.iter().map(|revocation| revocation.min_ver).collect::<Vec<_>>(), [ALL_TOKENS]);
    assert_eq!(log_in(&api, PASSWORD).await.status, 200, "a new session is not in the family");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_token_is_a_theft_once_its_time_is_over() {
    let api = Api::start_changed(|config| config.auth.refresh_retry_s = 0).await;
    let first = register(&api).await;
    let second = Tokens::of(&refresh(&api, &first.refresh).await);
    refused(&api, &first.refresh, "too late").await;
    refused(&api, &second.refresh, "of the family").await;
    assert!(!alive(&api, &second.access).await);
    assert_eq!(why_ended(&api).await, ["reuse"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_given_out_is_refused_and_ends_nothing() {
    let api = Api::start().await;
    let mine = register(&api).await;
    let other = Tokens::of(&log_in(&api, PASSWORD).await);
    let changed = |at: usize| {
        let mut letters: Vec<char> = mine.refresh.chars().collect();
        letters[at] = if letters[at] == 'A' { 'B' } else { 'A' };
        letters.into_iter().collect::<String>()
    };
    let mixed = format!("{}{}", &mine.refresh[..21], &other.refresh[21..]);
    let cases = [
        ("another secret", changed(40)),
        ("the last letter", changed(63)),
        ("another session", changed(3)),
        ("one session's name on another's secret", mixed),
        ("one letter less", mine.refresh[1..].to_owned()),
        ("one letter more", format!("{}A", mine.refresh)),
        ("padded", format!("{}=", mine.refresh)),
        ("a blank before", format!(" {}", mine.refresh)),
        ("an access token", mine.access.clone()),
        ("SQL", "' OR 1=1 -- ".repeat(6)),
        ("long", "A".repeat(4096)),
        ("not ASCII", "é".repeat(64)),
    ];
    let mut answers = Vec::new();
    for (what, token) in &cases {
        answers.push(refused(&api, token, what).await);
        let out = api.post("/auth/logout", None, &json!({"refresh_token": token})).await;
        assert_eq!(out.status, 200, "{what}");
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "one identical 401: {answers:?}");
    for body in [json!({}), json!({"refresh_token": 5}), json!({"refresh_token": ""}), json!({"token": "x"})]
    {
        let answer = api.post("/auth/refresh", None, &body).await;
        assert_eq!((answer.status, answer.reason()), (422, "validation"), "{body}");
    }
    assert!(why_ended(&api).await.is_empty());
    assert!(alive(&api, &mine.access).await && alive(&api, &other.access).await);
    for token in [&mine, &other] {
        refresh(&api, &token.refresh).await.data();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_is_refused_like_what_never_was() {
    let forever = "UPDATE sessions SET user_id = user_id";
    for (what, refresh_ttl_s, session_ttl_s, statement) in [
        ("rested too long", 0, 3600, forever),
        ("too old", 3600, 0, forever),
        ("disabled", 3600, 3600, "UPDATE users SET disabled = 1"),
        ("revoked", 3600, 3600, "UPDATE sessions SET revoked_at_ms = 1, revoked_why = 1"),
        ("purged", 3600, 3600, "DELETE FROM refresh_tokens"),
    ] {
        let api = Api::start_changed(|config| {
            config.auth.refresh_ttl_s = refresh_ttl_s;
            config.auth.session_ttl_s = session_ttl_s;
        })
        .await;
        let mine = register(&api).await;
        api.sql(statement);
        let over = refused(&api, &mine.refresh, what).await;
        assert_eq!(over, refused(&api, "x", what).await, "{what}");
        assert!(why_ended(&api).await.is_empty(), "{what}: no theft");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_refreshes_at_once_one_wins() {
    let api = Api::start().await;
    let first = register(&api).await;
    let mut asked = JoinSet::new();
    for _ in 0..100 {
        let request = Api::request("POST", "/auth/refresh", None).header("content-type", "application/json");
        let body = json!({"refresh_token": first.refresh}).to_string();
        asked.spawn(api.router.clone().oneshot(request.body(Body::from(body)).unwrap()));
    }
    let (mut successors, mut accesses) = (HashSet::new(), HashSet::new());
    while let Some(answer) = asked.join_next().await {
        let answer = answer.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        let body = to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        successors.insert(body["data"]["refresh_token"].as_str().unwrap().to_owned());
        accesses.insert(body["data"]["access_token"].as_str().unwrap().to_owned());
    }
    assert_eq!(successors.len(), 1, "one successor");
    assert_eq!(api.sql("SELECT generation FROM sessions").trim(), "2", "one step");
    assert_eq!(api.sql("SELECT COUNT(*) FROM refresh_tokens").trim(), "2");
    for access in &accesses {
        assert!(alive(&api, access).await);
    }
    refresh(&api, successors.iter().next().unwrap()).await.data();
    assert!(why_ended(&api).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logging_out_ends_one_session_however_often_it_is_asked() {
    let api = Api::start().await;
    let by_refresh = register(&api).await;
    let by_access = Tokens::of(&log_in(&api, PASSWORD).await);
    let by_spent = Tokens::of(&log_in(&api, PASSWORD).await);
    let stays = Tokens::of(&log_in(&api, PASSWORD).await);
    let newest = Tokens::of(&refresh(&api, &by_spent.refresh).await);
    for (refresh_token, access) in
        [(Some(&by_refresh.refresh), None), (None, Some(&by_access.access)), (Some(&by_spent.refresh), None)]
    {
        let body = refresh_token.map_or(json!({}), |token| json!({"refresh_token": token}));
        for _ in 0..2 {
            let answer = api.post("/auth/logout", access.map(String::as_str), &body).await;
            assert_eq!((answer.status, answer.data()), (200, &Value::Null), "{body}");
        }
    }
    for over in [&by_refresh, &by_access, &by_spent, &newest] {
        refused(&api, &over.refresh, "logged out").await;
        assert!(!alive(&api, &over.access).await);
    }
    assert!(alive(&api, &stays.access).await);
    assert_eq!(why_ended(&api).await, [Revoked::Logout.as_str(); 3]);

    let bare = Api::request("POST", "/auth/logout", Some(&stays.access));
    assert_eq!(api.send(bare.body(Body::empty()).unwrap()).await.status, 200, "no body at all");
    assert!(!alive(&api, &stays.access).await);
    for token in [None, Some("x.y.z"), Some(stays.refresh.as_str())] {
        let answer = api.post("/auth/logout", token, &json!({})).await;
        assert_eq!((answer.status, answer.reason()), (401, "unauthorized"), "{token:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_password_ends_every_other_session() {
    let api = Api::start().await;
    let other = register(&api).await;
    let mine = Tokens::of(&log_in(&api, PASSWORD).await);
    let change = async |access: Option<&str>, old: &str, new: &str| {
        let body = json!({"old_password": old, "new_password": new});
        api.patch("/users/me/password", access, &body).await
    };
    let new = "a sentence of my own";
    for (access, old, new, status, reason) in [
        (None, PASSWORD, new, 401, "unauthorized"),
        (Some(&mine.refresh), PASSWORD, new, 401, "unauthorized"),
        (Some(&mine.access), "wrong", new, 401, "invalid-credentials"),
        (Some(&mine.access), PASSWORD, PASSWORD, 422, "validation"),
        (Some(&mine.access), PASSWORD, "short", 422, "validation"),
        (Some(&mine.access), PASSWORD, "password1", 422, "validation"),
        (Some(&mine.access), PASSWORD, "ann@shop.example", 422, "validation"),
    ] {
        let answer = change(access.map(String::as_str), old, new).await;
        assert_eq!((answer.status, answer.reason()), (status, reason), "{old} {new}");
    }
    assert!(alive(&api, &other.access).await && alive(&api, &mine.access).await);

    let answer = change(Some(&mine.access), PASSWORD, new).await;
    let fresh = Tokens::of(&answer);
    for over in [&other, &mine] {
        assert!(!alive(&api, &over.access).await);
        refused(&api, &over.refresh, "the password was changed").await;
    }
    assert!(alive(&api, &fresh.access).await);
    refresh(&api, &fresh.refresh).await.data();
    assert_eq!(why_ended(&api).await, ["password", "password"]);
    assert_eq!(log_in(&api, PASSWORD).await.reason(), "invalid-credentials");
    assert_eq!(log_in(&api, new).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_session_too_many_ends_the_oldest() {
    let api = Api::start_changed(|config| config.auth.sessions_per_user_max = 2).await;
    let oldest = register(&api).await;
    let kept = Tokens::of(&log_in(&api, PASSWORD).await);
    let newest = Tokens::of(&log_in(&api, PASSWORD).await);
    let living = [&oldest, &kept, &newest].map(|tokens| alive(&api, &tokens.access));
    assert_eq!(futures_util::future::join_all(living).await, [false, true, true]);
    refused(&api, &oldest.refresh, "made room").await;
    assert_eq!(why_ended(&api).await, [Revoked::Replaced.as_str()]);
}
