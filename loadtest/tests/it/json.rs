//! The JSON client.

use std::time::Duration;

use loadtest::http::{Json, JsonError};
use serde_json::json;

use crate::server::{Server, answer};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn calls_carry_token_and_body_and_return_the_data() {
    let server = Server::start(|mut talk| async move {
        while let Some(request) = talk.request().await {
            let answer = match request.split(' ').nth(1).unwrap() {
                "/api/v1/items" => {
                    answer(201, "Location: /items/7\r\n", r#"{"code":0,"message":"OK","data":{"id":7}}"#)
                }
                "/api/v1/gone" => answer(204, "", ""),
                "/api/v1/html" => answer(502, "", "<html>"),
                _ => answer(404, "", r#"{"code":1030,"reason":"not-found","message":"Nothing here."}"#),
            };
            talk.say(&answer).await;
        }
    })
    .await;
    let mut client = Json::new(&format!("http://{}/api/v1/", server.addr), PATIENCE).await.unwrap();

    let made = client.post("/items", Some("t.o.k"), &json!({"a": "b"})).await.unwrap();
    assert_eq!((made.status, made.location.as_deref()), (201, Some("/items/7")));
    assert_eq!(made.data().unwrap(), json!({"id": 7}));
    let text = server.received()[0].text.clone();
    assert!(
        text.starts_with("POST /api/v1/items HTTP/1.1\r\n") && text.ends_with("\r\n\r\n{\"a\":\"b\"}"),
        "{text}"
    );
    assert!(
        text.contains(&format!("\r\nHost: {}\r\nAuthorization: Bearer t.o.k\r\n", server.addr)),
        "{text}"
    );

    let gone = client.request("DELETE", "/gone", None, &[("If-Match", "\"1\"")], None).await.unwrap();
    assert_eq!((gone.status, gone.data().unwrap()), (200 + 4, serde_json::Value::Null));
    let text = server.received()[1].text.clone();
    assert!(text.contains("\r\nIf-Match: \"1\"\r\n") && !text.contains("Authorization"), "{text}");

    match client.get("/absent", None).await.unwrap().data() {
        Err(JsonError::Refused { call, status: 404, reason, message }) => {
            assert_eq!((&*call, &*reason, &*message), ("GET /absent", "not-found", "Nothing here."));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(client.get("/html", None).await, Err(JsonError::NotJson { status: 502, .. })));
    assert!(server.received().iter().all(|one| one.connection == 0));
}

#[tokio::test]
async fn only_plain_http_bases_are_taken() {
    for base in ["https://127.0.0.1", "127.0.0.1:80", "http://", "http:///x", "http://u@127.0.0.1", ""] {
        assert!(matches!(Json::new(base, PATIENCE).await, Err(JsonError::Base(_))), "{base:?}");
    }
    assert!(matches!(Json::new("http://127.0.0.1:99999", PATIENCE).await, Err(JsonError::Lookup { .. })));
    assert!(Json::new("http://127.0.0.1", PATIENCE).await.is_ok(), "the port of http is 80");
}
