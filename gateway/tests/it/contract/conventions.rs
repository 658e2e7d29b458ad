//! What holds for every route alike: methods, odd paths, other origins, traces.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::Request;
use spike_domain::Role;
use spike_gateway::control::{ROUTES, router};

use crate::control::Api;
use crate::hot::{HotCore, Wishes};

const ORDER: &str = "0190f6f0-0000-7000-8000-000000000000";
const SHOP: &str = "https://shop.example";

/// Every path with ids that exist nowhere, and its methods.
fn paths() -> BTreeMap<String, Vec<&'static str>> {
    let mut paths: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for route in ROUTES {
        let parts = route.path.split('/').map(|part| match part {
            "{order}" => ORDER,
            "{reason}" => "sold-out",
            "{file}" => "start.js",
            part if part.starts_with('{') => "999999",
            part => part,
        });
        let methods = paths.entry(parts.collect::<Vec<_>>().join("/")).or_default();
        methods.push(route.method);
        if route.method == "GET" {
            methods.push("HEAD");
        }
    }
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_path_refuses_the_methods_it_has_not_and_names_those_it_has() {
    let api = Api::start().await;
    for (path, methods) in paths() {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE"] {
            let request = Request::builder().method(method).uri(&path).body(Body::empty()).unwrap();
            let answer = api.answer(request).await;
            let refused = answer.status() == 405;
            // HEAD is looked up too: a path may have another one's name in the place of an id.
            assert_eq!(refused, !methods.contains(&method), "{method} {path}: {}", answer.status());
            assert!(answer.status().as_u16() < 500, "{method} {path}: {}", answer.status());
            if refused {
                let allow = answer.headers()["allow"].to_str().unwrap();
                let mut named: Vec<&str> = allow.split(',').collect();
                let mut want = methods.clone();
                named.sort_unstable();
                want.sort_unstable();
                assert_eq!(named, want, "{method} {path}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_paths_are_not_found_and_break_nothing() {
    let api = Api::start().await;
    let (_, admin) = api.account("admin", Role::Admin).await;
    for (path, methods) in paths() {
        let last = path.rfind('/').unwrap();
        let (head, tail) = path.split_at(last + 1);
        for odd in [
            format!("/{path}"),
            format!("{head}/{tail}"),
            format!("{path}/"),
            format!("{path}%00"),
            format!("{path}%0d%0aX-Evil:%201"),
            format!("{path}%2F"),
            format!("{path}%ff%fe"),
            format!("{path};a=b"),
            format!("{head}..%2f{tail}"),
            format!("{head}%2e%2e/{tail}"),
            format!("{head}{tail}{}", "a".repeat(4000)),
        ] {
            let request = Request::builder().method(methods[0]).uri(&odd);
            let request = request.header("authorization", format!("Bearer {admin}"));
            let answer = api.answer(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status(), 404, "{} {odd}", methods[0]);
            assert!(!answer.headers().contains_key("x-evil"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_origins_meet_the_same_rules_on_hot_and_cold_routes() {
    let api = Api::start_with(&[("SPIKE_HTTP_CORS_ORIGINS", SHOP)]).await;
    let env = vec![("SPIKE_HTTP_CORS_ORIGINS", SHOP.to_owned())];
    let router = router(api.control.clone());
    tokio::task::spawn_blocking(move || {
        let core = HotCore::start_with(Wishes { env, router, ..Wishes::default() });
        let ask = |method: &str, path: &str, headers: &str| {
            let mut client = core.client();
            client.send(format!("{method} {path} HTTP/1.1\r\nHost: t\r\n{headers}\r\n").as_bytes());
            client.answer().unwrap()
        };
        for (method, path) in [
            ("POST", "/api/v1/spike/events/7/orders"),
            ("GET", "/api/v1/spike/events/7"),
            ("GET", "/api/v1/spike/events/7/orders/mine"),
            ("PATCH", "/api/v1/products/1"),
        ] {
            let wanted = format!(
                "Origin: {SHOP}\r\nAccess-Control-Request-Method: {method}\r\nAccess-Control-Request-Headers: authorization,idempotency-key,if-match,traceparent\r\n"
            );
            let preflight = ask("OPTIONS", path, &wanted);
            assert_eq!(preflight.status, 200, "{path}: {preflight:?}");
            assert_eq!(preflight.header("access-control-allow-origin"), Some(SHOP), "{path}");
            for (header, parts) in [
                ("access-control-allow-methods", &[method][..]),
                ("access-control-allow-headers", &["authorization", "idempotency-key", "if-match", "traceparent"]),
            ] {
                let value = preflight.header(header).unwrap_or_default();
                assert!(parts.iter().all(|part| value.contains(part)), "{path} {header}: {value}");
            }
            let foreign = ask("OPTIONS", path, &wanted.replace("shop", "evil"));
            assert_eq!(foreign.header("access-control-allow-origin"), None, "{path}");
        }
        for path in ["/api/v1/spike/events/7", "/api/v1/spike/events/7/orders/mine", "/api/v1/products", "/nowhere"] {
            let answer = ask("GET", path, &format!("Origin: {SHOP}\r\n"));
            assert_eq!(answer.header("access-control-allow-origin"), Some(SHOP), "{path}");
            let exposed = answer.header("access-control-expose-headers").unwrap_or_default();
            for name in ["etag", "location", "retry-after", "ratelimit", "idempotent-replayed", "x-request-id"] {
                assert!(exposed.split(',').any(|given| given == name), "{path}: {exposed}");
            }
            for origin in ["", "Origin: https://evil.example\r\n"] {
                let answer = ask("GET", path, origin);
                assert_eq!(answer.header("access-control-allow-origin"), None, "{path} {origin}");
                let vary = answer.header("vary").unwrap_or_default();
                assert!(vary.contains("origin"), "{path} {origin}: a cache must not share it: {vary}");
            }
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_is_continued_and_nonsense_is_not() {
    let api = Api::start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for (given, continued) in [(format!("00-{trace}-00f067aa0ba902b7-01"), true), ("nonsense".into(), false)]
    {
        let request = Api::request("GET", "/products", None).header("traceparent", &given);
        let answer = api.answer(request.body(Body::empty()).unwrap()).await;
        let response = answer.headers().get("traceresponse").map(|value| value.to_str().unwrap());
        let same =
            response.is_some_and(|text| text.starts_with(&format!("00-{trace}-")) && text.ends_with("-01"));
        assert_eq!(same, continued, "{given}: {response:?}");
        assert_eq!(response.is_some(), continued);
    }
}
