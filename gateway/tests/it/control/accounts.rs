//! Registering, logging in, and who may do what.

use serde_json::json;
use spike_domain::{Revoked, Role};
use spike_store::{NewAudit, Revoke};

use super::Api;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_registers_logs_in_and_is_known() {
    let api = Api::start().await;
    let body = json!({"email": " Ann@Shop.Example ", "password": "correct horse", "name": "Ann'); DROP TABLE users;--"});
    let registered = api.post("/auth/register", None, &body).await;
    assert_eq!(
        (registered.status, &registered.headers["location"]),
        (201, &"/api/v1/users/me".parse().unwrap())
    );
    let login = api
        .post("/auth/login", None, &json!({"email": "ANN@shop.example", "password": "correct horse"}))
        .await;
    assert_eq!(login.headers["cache-control"], "no-store");
    for answer in [registered, login] {
        let data = answer.data();
        assert_eq!(
            (&data["token_type"], &data["expires_in"]),
            (&"Bearer".into(), &api.config.auth.access_ttl_s.into())
        );
        let me = api.get("/users/me", data["access_token"].as_str()).await;
        assert_eq!(me.data(), &data["user"]);
        assert_eq!((&me.data()["email"], &me.data()["role"]), (&"ann@shop.example".into(), &"user".into()));
        assert_eq!(me.data()["name"], "Ann'); DROP TABLE users;--");
        assert!(!answer.body.to_string().contains("argon2"), "the hash stays inside");
    }
    let row = api.store.user_by_email("ann@shop.example").await.unwrap().unwrap();
    assert!(row.password_hash.starts_with("$argon2id$"), "never the password");

    let again = api
        .post("/auth/register", None, &json!({"email": "ann@shop.example", "password": "another one"}))
        .await;
    assert_eq!((again.status, again.reason()), (409, "email-taken"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_login_does_not_tell_why() {
    let api = Api::start().await;
    let body = json!({"email": "ann@shop.example", "password": "correct horse"});
    api.post("/auth/register", None, &body).await.data();
    let mut answers = Vec::new();
    for (email, password) in [
        ("ann@shop.example", "correct horsf"),
        ("ann@shop.example", "correct horse "),
        ("bob@shop.example", "correct horse"),
        ("no address", "correct horse"),
        ("ann@shop.example' OR '1'='1", "x"),
        ("ann@shop.example", "'\r\n\u{202e}$(id) {{7*7}}"),
    ] {
        let answer = api.post("/auth/login", None, &json!({"email": email, "password": password})).await;
        assert_eq!((answer.status, answer.reason()), (401, "invalid-credentials"), "{email} {password}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        answers.push(answer.without_id());
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_administrators_run_sales() {
    let api = Api::start().await;
    let (_, user) = api.account("user", Role::User).await;
    let (demoted, old) = api.account("demoted", Role::Admin).await;
    api.store.set_role(demoted, Role::User).await.unwrap();
    let revoke = Revoke { why: Revoked::Role, token_life_ms: 1000, by: NewAudit::default() };
    assert_eq!(api.store.revoke_sessions_of(demoted, &revoke).await.unwrap().len(), 1);
    let routes = [
        "/products",
        "/admin/spike/events",
        "/admin/spike/events/1/warmup",
        "/admin/spike/events/1/pause",
        "/admin/spike/events/1/resume",
        "/admin/spike/events/1/close",
    ];
    for path in routes {
        // Neither body nor query lends a role.
        let body = json!({"role": "admin"});
        let mut refused = Vec::new();
        for token in [None, Some("x.y.z"), Some(old.as_str())] {
            let answer = api.post(path, token, &body).await;
            assert_eq!((answer.status, answer.reason()), (401, "unauthorized"), "{path} {token:?}");
            refused.push(answer.without_id());
        }
        assert!(refused.windows(2).all(|pair| pair[0] == pair[1]), "one identical 401: {refused:?}");
        for path in [path.to_owned(), format!("{path}?role=admin")] {
            let answer = api.post(&path, Some(&user), &body).await;
            assert_eq!((answer.status, answer.reason()), (403, "forbidden"), "{path}");
        }
    }
    for path in ["/users/me", "/spike/orders", "/spike/events/1/orders/0190f6f0-0000-7000-8000-000000000000"]
    {
        assert_eq!(api.get(path, None).await.status, 401, "{path}");
    }
    assert_eq!(api.get("/users/me", Some(&old)).await.status, 401, "a token of a session that is over");
}
