//! Requests as an attacker or a broken client writes them.

use crate::http::{Answer, send};
use crate::system::{Sale, System, orders_path, shared};

#[test]
fn a_bad_body_is_refused_naming_its_field() {
    let system = shared();
    let event = system.open(Sale { per_user_limit: 3, ..Sale::of(5) });
    let (_, token) = system.user();
    let long = format!("{{\"quantity\":1{}}}", " ".repeat(100_000));
    let deep = format!("{{\"quantity\":{}", "[".repeat(1000));
    let cases = [
        ("nonsense", 400, "malformed", None),
        ("{\"quantity\":", 400, "malformed", None),
        ("[]", 400, "malformed", None),
        ("{\"quantity\":1}{}", 400, "malformed", None),
        ("{\"quantity\":1e999}", 400, "malformed", None),
        ("{\"quantity\":\0}", 400, "malformed", None),
        (&deep, 400, "malformed", None),
        (r#"{"quantity":0}"#, 422, "validation", Some("quantity")),
        (r#"{"quantity":-1}"#, 422, "validation", Some("quantity")),
        (r#"{"quantity":4}"#, 422, "validation", Some("quantity")),
        (r#"{"quantity":1.5}"#, 422, "validation", Some("quantity")),
        (r#"{"quantity":"1"}"#, 422, "validation", Some("quantity")),
        (r#"{"quantity":null}"#, 422, "validation", Some("quantity")),
        (r#"{"quantity":4294967296}"#, 422, "validation", Some("quantity")),
        (r#"{"quantity":9223372036854775808}"#, 422, "validation", Some("quantity")),
        (r#"{"quantity":18446744073709551616}"#, 422, "validation", Some("quantity")),
        (r#"{"quantity":1,"quantity":2}"#, 422, "validation", Some("quantity")),
        (r#"{"quantity":1,"price":0}"#, 422, "validation", Some("price")),
        (r#"{"role":"admin"}"#, 422, "validation", Some("role")),
        (&long, 413, "body-too-large", None),
    ];
    for (body, status, reason, field) in cases {
        let answer = system.buy(event, &token, &[], Some(body));
        let shown: String = body.chars().take(40).collect();
        assert_eq!((answer.status, &*answer.reason()), (status, reason), "{shown}: {answer:?}");
        assert_eq!(answer.json()["errors"][0]["field"].as_str(), field, "{shown}: {answer:?}");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let answer = system.buy(event, &token, &[("Content-Type", kind)], Some(r#"{"quantity":1}"#));
        assert_eq!(answer.refused(415), "unsupported-media-type", "{kind}");
    }
    let with_charset = [("Content-Type", "application/json; charset=utf-8")];
    assert_eq!(system.buy(event, &token, &with_charset, Some(r#"{"quantity":3}"#)).status, 202);
}

#[test]
fn ambiguous_http_is_refused_and_never_buys() {
    let system = shared();
    let event = system.open(Sale::of(5));
    let (_, token) = system.user();
    let hidden =
        format!("POST {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n", orders_path(event));
    let chunked = format!("0\r\n\r\n{hidden}");
    let both = format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", chunked.len());
    let cases: [(&str, &str, u16); 8] = [
        ("", "", 400),
        ("Host: a\r\nHost: b\r\n", "", 400),
        ("Host: a\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", 400),
        ("Host: a\r\nTransfer-Encoding: chunked\r\n", &chunked, 400),
        (&format!("Host: a\r\n{both}"), &chunked, 400),
        ("Host: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n", "{}", 400),
        ("Host: a\r\nContent-Length: -1\r\n", "", 400),
        ("Host: a\r\n folded: b\r\n", "", 400),
    ];
    for (headers, body, status) in cases {
        let answer = raw(system, &orders_path(event), &token, headers, body);
        assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
    }
    // Nothing hidden in any of them has bought: the user still can.
    assert_eq!(system.buy(event, &token, &[], None).status, 202);
}

#[test]
fn a_key_that_is_none_is_refused() {
    let system = shared();
    let event = system.open(Sale::of(5));
    let (_, token) = system.user();
    let long = "k".repeat(300);
    for headers in [
        &[("Idempotency-Key", "")][..],
        &[("Idempotency-Key", &*long)],
        &[("Idempotency-Key", "a"), ("Idempotency-Key", "b")],
    ] {
        assert_eq!(system.buy(event, &token, headers, None).refused(400), "malformed", "{headers:?}");
    }
}

fn raw(system: &System, path: &str, token: &str, headers: &str, body: &str) -> Answer {
    let text = format!(
        "POST {path} HTTP/1.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n{headers}\r\n{body}"
    );
    send(system.http, text.as_bytes())
}
