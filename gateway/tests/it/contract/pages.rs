//! What the contract's routes serve: the document, its viewer, and the dictionary for people and programs.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use serde_json::Value;
use spike_domain::Reason;

use crate::control::Api;

async fn get(api: &Api, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = api.answer(request.body(Body::empty()).unwrap()).await;
    let (head, body) = answer.into_parts();
    let bytes = to_bytes(body, 1 << 24).await.unwrap();
    assert!(head.headers.contains_key("x-request-id"), "{path}");
    (head.status.as_u16(), head.headers, String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_is_served() {
    let api = Api::start().await;
    let (status, headers, body) = get(&api, "/openapi.json", &[]).await;
    let document: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &headers["content-type"], &document["openapi"]),
        (200, &"application/json".parse().unwrap(), &"3.1.0".into())
    );
    let tag = headers["etag"].to_str().unwrap();
    for (given, want) in [(tag, 304), ("\"other\"", 200), ("*", 304)] {
        let (status, headers, body) = get(&api, "/openapi.json", &[("if-none-match", given)]).await;
        assert_eq!((status, body.is_empty()), (want, want == 304), "{given}");
        assert_eq!(headers["etag"], tag);
    }

    let html = [("accept", "text/html")];
    let (status, headers, page) = get(&api, "/docs", &html).await;
    assert_eq!((status, &headers["content-type"]), (200, &"text/html; charset=utf-8".parse().unwrap()));
    // Everything the page asks for is here, and nothing of it elsewhere.
    assert!(!page.contains("//"), "{page}");
    for part in page.split('"').filter(|part| part.starts_with('/')) {
        let (status, headers, body) = get(&api, part, &[("accept", "*/*")]).await;
        assert_eq!(status, 200, "{part}");
        assert!(!body.is_empty() && headers.contains_key("content-type"), "{part}");
    }
    assert_eq!(get(&api, "/docs/index.html", &html).await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_problem_type_leads_to_its_entry() {
    let api = Api::start().await;
    let (_, _, list) = get(&api, "/errors", &[]).await;
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["data"].as_array().unwrap().len(), Reason::ALL.len());
    let (_, _, page) = get(&api, "/errors", &[("accept", "text/html")]).await;
    for reason in Reason::ALL {
        let path = format!("/errors/{}", reason.as_str());
        let (status, _, body) = get(&api, &path, &[]).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["data"]["code"]), (200, &reason.code().into()), "{path}");
        assert!(page.contains(&path), "{path} is not in the list");
        let (status, headers, html) = get(&api, &path, &[("accept", "text/html,*/*;q=0.8")]).await;
        assert_eq!((status, &headers["content-type"]), (200, &"text/html; charset=utf-8".parse().unwrap()));
        assert!(html.contains(reason.message()), "{path}");
    }
    assert_eq!(get(&api, "/errors/no-such-error", &[]).await.0, 404);
    assert_eq!(get(&api, "/errors/%3Cscript%3E", &[("accept", "text/html")]).await.0, 404);
}
