//! Guessing passwords: slower each time, nobody locked out, and nothing learned about accounts.

use std::sync::atomic::Ordering;

use serde_json::json;
use spike_domain::Role;
use spike_store::{NewAudit, NewUser, UserChange};

use super::Api;
use super::api::Answer;

const PASSWORD: &str = "a horse of course";

async fn owner(api: &Api) {
    let body = json!({"email": "ann@shop.example", "password": PASSWORD});
    api.post_from("192.0.2.1", "/auth/register", &body).await.data();
}

async fn log_in(api: &Api, from: &str, password: &str) -> Answer {
    api.post_from(from, "/auth/login", &json!({"email": "ann@shop.example", "password": password})).await
}

fn retry_after(answer: &Answer) -> u64 {
    answer.headers["retry-after"].to_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_grow_and_the_owner_gets_in() {
    let api = Api::start().await;
    owner(&api).await;
    let mut waits = Vec::new();
    for _ in 0..9 {
        let mut answer = log_in(&api, "203.0.113.5", "wrong wrong").await;
        if answer.status == 429 {
            assert_eq!(answer.reason(), "too-many-requests");
            assert!(answer.headers.contains_key("ratelimit"));
            waits.push(retry_after(&answer));
            api.ahead_ms.fetch_add(retry_after(&answer) * 1000, Ordering::Relaxed);
            answer = log_in(&api, "203.0.113.5", "wrong wrong").await;
        }
        assert_eq!(answer.status, 401, "{}", answer.body);
    }
    assert_eq!(waits, [1, 2, 4, 8]);
    assert_eq!(log_in(&api, "203.0.113.5", PASSWORD).await.status, 429, "not even with the right one");

    assert_eq!(log_in(&api, "192.0.2.1", PASSWORD).await.status, 200, "where the owner has logged in before");
    for number in 1..30 {
        log_in(&api, &format!("203.0.113.{number}"), "wrong wrong").await;
    }
    assert_eq!(log_in(&api, "192.0.2.1", PASSWORD).await.status, 200, "whatever goes on elsewhere");
    let stranger = log_in(&api, "198.51.100.1", PASSWORD).await;
    assert!(stranger.status == 429 && retry_after(&stranger) <= 30, "{}", stranger.body);
    api.ahead_ms.fetch_add(retry_after(&stranger) * 1000, Ordering::Relaxed);
    for number in 30..40 {
        log_in(&api, &format!("203.0.113.{number}"), "wrong wrong").await;
    }
    assert_eq!(log_in(&api, "198.51.100.1", PASSWORD).await.status, 200, "after one wait, from anywhere");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_wrong_and_disabled_look_alike() {
    let api = Api::start().await;
    owner(&api).await;
    let hash = api.store.user_by_email("ann@shop.example").await.unwrap().unwrap().password_hash;
    let off =
        NewUser { email: "off@shop.example".into(), name: "o".into(), password_hash: hash, role: Role::User };
    let off = api.store.create_user(off).await.unwrap();
    let disable = UserChange { disabled: Some(true), ..UserChange::default() };
    api.store.change_user(off, disable, 1000, &NewAudit::default()).await.unwrap();
    let mut seen = Vec::new();
    for (email, password) in [
        ("nobody@shop.example", PASSWORD),
        ("ann@shop.example", "wrong wrong"),
        ("off@shop.example", PASSWORD),
    ] {
        let mut answers = Vec::new();
        for _ in 0..7 {
            let body = json!({"email": email, "password": password});
            let mut answer = api.post_from("203.0.113.5", "/auth/login", &body).await;
            answer.headers.remove("x-request-id");
            assert!([401, 429].contains(&answer.status), "{email} {}", answer.body);
            answer.headers.remove("content-length");
            answers.push((answer.status, answer.without_id(), answer.headers));
        }
        assert_eq!(answers.last().unwrap().0, 429, "an account that is none is slowed down like one that is");
        seen.push(answers);
    }
    assert_eq!(seen[0], seen[1], "unknown and wrong");
    assert_eq!(seen[1], seen[2], "wrong and disabled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_are_not_made_by_the_thousand() {
    let limits = [("SPIKE_LOGIN_REGISTER_BURST", "2"), ("SPIKE_LOGIN_REGISTER_EVERY_MS", "3600000")];
    let api = Api::start_with(&limits).await;
    let register = async |number: u32, from: &str, password: &str| {
        let body = json!({"email": format!("{number}@shop.example"), "password": password});
        api.post_from(from, "/auth/register", &body).await
    };
    for _ in 0..5 {
        assert_eq!(register(0, "203.0.113.5", "password").await.fields(), ["password"], "costs nothing");
    }
    assert_eq!(register(1, "203.0.113.5", PASSWORD).await.status, 201);
    assert_eq!(register(1, "203.0.113.5", PASSWORD).await.reason(), "email-taken");
    let refused = register(2, "203.0.113.5", PASSWORD).await;
    assert_eq!((refused.status, refused.reason()), (429, "too-many-requests"));
    assert!((3590..=3600).contains(&retry_after(&refused)), "{}", retry_after(&refused));
    assert_eq!(register(2, "203.0.113.6", PASSWORD).await.status, 201, "another address");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refresh_tokens_that_are_none_are_limited_by_address_and_good_ones_are_not() {
    let limits = [("SPIKE_LOGIN_REFRESH_BURST", "4"), ("SPIKE_LOGIN_REFRESH_EVERY_MS", "3600000")];
    let api = Api::start_with(&limits).await;
    let body = json!({"email": "ann@shop.example", "password": PASSWORD});
    let session = api.post_from("203.0.113.5", "/auth/register", &body).await;
    let mut good = session.data()["refresh_token"].as_str().unwrap().to_owned();
    let send = async |from: &str, path: &str, token: &str| {
        api.post_from(from, path, &json!({"refresh_token": token})).await
    };
    let unknown = "A".repeat(64);
    for token in ["no token", &unknown] {
        assert_eq!(send("203.0.113.5", "/auth/refresh", token).await.reason(), "invalid-refresh-token");
        assert_eq!(send("203.0.113.5", "/auth/logout", token).await.status, 200);
    }
    for path in ["/auth/refresh", "/auth/logout"] {
        for token in ["no token", &unknown] {
            let refused = send("203.0.113.5", path, token).await;
            assert_eq!((refused.status, refused.reason()), (429, "too-many-requests"), "{path} {token}");
            assert!((3590..=3600).contains(&retry_after(&refused)), "{}", retry_after(&refused));
        }
        assert_ne!(send("203.0.113.6", path, &unknown).await.status, 429, "another address");
    }
    for _ in 0..3 {
        let renewed = send("203.0.113.5", "/auth/refresh", &good).await;
        good = renewed.data()["refresh_token"].as_str().unwrap().to_owned();
    }
    assert_eq!(send("203.0.113.5", "/auth/logout", &good).await.status, 200, "good ones never wait");
    assert_eq!(send("203.0.113.5", "/auth/refresh", &good).await.status, 429, "it is none any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_whether_an_address_is_taken_costs_as_much_as_registering() {
    let limits = [("SPIKE_LOGIN_REGISTER_BURST", "5"), ("SPIKE_LOGIN_REGISTER_EVERY_MS", "3600000")];
    let api = Api::start_with(&limits).await;
    let ask = async |name: &str| {
        let body = json!({"email": format!("{name}@shop.example"), "password": PASSWORD});
        api.post_from("203.0.113.5", "/auth/register", &body).await
    };
    assert_eq!(ask("ann").await.status, 201);
    for _ in 0..4 {
        assert_eq!(ask("ann").await.reason(), "email-taken");
    }
    for name in ["ann", "bob"] {
        assert_eq!(ask(name).await.reason(), "too-many-requests", "{name}: taken or not, nothing is told");
    }
}
