//! Bodies and pipelines: too large, of no use, announced and not sent, one after the other, and asked for with `Expect`.

use super::case::{Case, Ground, Want, closes, either, keeps};

/// Types that no body here has.
const TYPES: &[&str] = &[
    "text/plain",
    "application/xml",
    "multipart/form-data; boundary=x",
    "application/jsonx",
    "json",
    "*/*",
    "a\u{e9}",
];

/// Bodies of a press, and what is said to them.
const PRESSES: &[(&str, Want)] = &[
    ("{\"quantity\":", keeps(&[400])),
    ("[]", keeps(&[400])),
    ("\"x\"", keeps(&[400])),
    ("{\"quantity\":1}{}", keeps(&[400])),
    ("{\"quantity\":1e999}", keeps(&[400])),
    ("{\"quantity\":\0}", keeps(&[400])),
    ("\u{feff}{}", keeps(&[400])),
    ("{'quantity':1}", keeps(&[400])),
    ("{\"quantity\":01}", keeps(&[400])),
    ("{\"quantity\":0}", keeps(&[422])),
    ("{\"quantity\":\"1\"}", keeps(&[422])),
    ("{\"quantity\":1,\"quantity\":1}", keeps(&[422])),
    ("{\"Quantity\":1}", keeps(&[422])),
];

pub fn cases(ground: &Ground) -> Vec<Case> {
    let mut cases = large(ground);
    cases.extend(kinds(ground));
    cases.extend(pipelines(ground));
    cases.extend(expectations(ground));
    cases
}

fn large(ground: &Ground) -> Vec<Case> {
    let mut cases = Vec::new();
    for length in
        ["4097", "65537", "4294967296", "9223372036854775807", "9223372036854775808", "18446744073709551613"]
    {
        let text = format!(
            "POST {{orders}} HTTP/1.1\r\nHost: t\r\n{{auth}}{{json}}Content-Length: {length}\r\n\r\n"
        );
        cases.push(ground.case(format!("a press of {length} bytes"), &text, closes(&[413])));
    }
    for length in ["65537", "4294967297", "9223372036854775807", "18446744073709551613"] {
        let text = format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nHost: t\r\n{{json}}Content-Length: {length}\r\n\r\n"
        );
        cases.push(ground.case(format!("a login of {length} bytes"), &text, closes(&[413])));
    }
    cases.extend(sent(ground));
    cases
}

/// The same with every byte of it.
fn sent(ground: &Ground) -> Vec<Case> {
    let (press, login) = ("x".repeat(5000), "x".repeat(70_000));
    ground.table(&[
        (
            "a length one below 2^64",
            "POST {orders} HTTP/1.1\r\nHost: t\r\n{auth}{json}Content-Length: 18446744073709551615\r\n\r\n",
            closes(&[431]),
        ),
        (
            "a press of 5,000 bytes, sent",
            &format!("POST {{orders}} HTTP/1.1\r\nHost: t\r\n{{auth}}{{json}}Content-Length: 5000\r\n\r\n{press}"),
            closes(&[413]),
        ),
        (
            "a login of 70,000 bytes, sent",
            &format!("POST /api/v1/auth/login HTTP/1.1\r\nHost: t\r\n{{json}}Content-Length: 70000\r\n\r\n{login}"),
            closes(&[413]),
        ),
        (
            "a cold body of 70,000 bytes in one chunk",
            &format!("GET {{cold}} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n11170\r\n{login}\r\n0\r\n\r\n"),
            closes(&[413]),
        ),
        (
            "a cold body of 70,000 bytes in chunks of one",
            &format!(
                "GET {{cold}} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
                "1\r\nx\r\n".repeat(70_000)
            ),
            closes(&[413]),
        ),
        (
            "a chunk of nearly 2^64 bytes",
            &format!(
                "GET {{cold}} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffe\r\n{login}"
            ),
            closes(&[413]),
        ),
    ])
}

fn kinds(ground: &Ground) -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in TYPES {
        let text = format!(
            "POST {{orders}} HTTP/1.1\r\nHost: t\r\n{{auth}}Content-Type: {kind}\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        cases.push(ground.case(format!("a press of type {kind:?}"), &text, keeps(&[415])));
        let text = format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nHost: t\r\nContent-Type: {kind}\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        cases.push(ground.case(format!("a login of type {kind:?}"), &text, keeps(&[415])));
    }
    for &(body, want) in PRESSES {
        let head = "POST {orders} HTTP/1.1\r\nHost: t\r\n{auth}{json}";
        let text = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        cases.push(ground.case(format!("a press that says {body:?}"), &text, want));
    }
    for accept in ["text/html", "image/*", "application/json;q=0", "application/xml;q=0.9", "\u{e9}"] {
        let text = format!("GET {{cold}} HTTP/1.1\r\nHost: t\r\nAccept: {accept}\r\n\r\n");
        cases.push(ground.case(format!("a page in {accept:?}"), &text, keeps(&[406])));
    }
    for (name, token) in [
        ("no scheme", "Authorization: x\r\n"),
        ("another scheme", "Authorization: Basic YTpi\r\n"),
        ("nothing", "Authorization:\r\n"),
        ("a scheme alone", "Authorization: Bearer\r\n"),
        ("a token that is none", "Authorization: Bearer a.b.c\r\n"),
        ("a token of 4,000 dots", &format!("Authorization: Bearer {}\r\n", ".".repeat(4000))),
        ("a token in UTF-8", "Authorization: Bearer \u{fc}.\u{4e16}.\u{1f600}\r\n"),
        ("two tokens, one of them good", "{auth}Authorization: Bearer x\r\n"),
    ] {
        let text = format!("POST {{orders}} HTTP/1.1\r\nHost: t\r\n{token}Content-Length: 0\r\n\r\n");
        cases.push(ground.case(format!("a press with {name}"), &text, keeps(&[401])));
    }
    cases
}

fn pipelines(ground: &Ground) -> Vec<Case> {
    let page = "GET {page} HTTP/1.1\r\nHost: t\r\n\r\n";
    let cold = "GET {cold} HTTP/1.1\r\nHost: t\r\n\r\n";
    let press = "POST {orders} HTTP/1.1\r\nHost: t\r\n{auth}Content-Length: 0\r\n\r\n";
    let last = "GET {page} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    ground.table(&[
        ("a pipeline of 100 pages", &page.repeat(100), keeps(&[200; 100])),
        ("a pipeline of all kinds", &[page, press, cold, page].concat(), keeps(&[200, 409, 200, 200])),
        ("a pipeline of presses", &press.repeat(5), keeps(&[409; 5])),
        ("a pipeline with a bad end", &[page, press, "NONSENSE\r\n\r\n"].concat(), closes(&[200, 409, 400])),
        ("a pipeline with a bad middle", &[page, "NONSENSE\r\n\r\n", "{hidden}"].concat(), closes(&[200, 400])),
        ("a pipeline behind the last", &[last, "{hidden}"].concat(), closes(&[200])),
        ("a pipeline behind a refused length", &[press.replace(": 0", ": x").as_str(), "{hidden}"].concat(), closes(&[400])),
        ("a pipeline behind too large a body", &[press.replace(": 0", ": 5000").as_str(), "{hidden}"].concat(), closes(&[413])),
        ("a pipeline behind HTTP/1.0", &["GET {page} HTTP/1.0\r\n\r\n", "{hidden}"].concat(), closes(&[200])),
        ("empty lines in a pipeline", &[page, "\r\n\r\n", page].concat(), keeps(&[200, 200])),
        ("bytes behind a body", &[press, "x", page].concat(), keeps(&[409, 405])),
        (
            "close among other options",
            "GET {page} HTTP/1.1\r\nHost: t\r\nConnection: x, Close\r\n\r\n{hidden}",
            closes(&[200]),
        ),
        (
            "close and keep-alive",
            "GET {page} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n{hidden}",
            closes(&[200]),
        ),
        (
            "options that name other headers",
            "POST {orders} HTTP/1.1\r\nHost: t\r\n{auth}{json}Connection: Host, Content-Length, Authorization\r\nContent-Length: 2\r\n\r\n{}",
            keeps(&[409]),
        ),
    ])
}

fn expectations(ground: &Ground) -> Vec<Case> {
    let expect = |headers: &str, body: &str| {
        format!(
            "POST {{orders}} HTTP/1.1\r\nHost: t\r\n{headers}{{json}}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    ground.table(&[
        ("an expectation, the body at once", &expect("{auth}", "{ }"), keeps(&[100, 409])),
        ("an expectation without a token", &expect("", "{ }"), either(&[401])),
        ("an expectation of a page", "GET {page} HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n\r\n", keeps(&[200])),
        ("an expectation of too much", "POST {orders} HTTP/1.1\r\nHost: t\r\n{auth}{json}Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n", closes(&[413])),
        ("an expectation that nobody knows", "GET {page} HTTP/1.1\r\nHost: t\r\nExpect: 200-ok\r\n\r\n", keeps(&[200])),
        ("an expectation in HTTP/1.0", "GET {page} HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", closes(&[200])),
    ])
}
