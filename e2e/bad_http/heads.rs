//! Heads: request lines, header names and values, Host, sizes.

use super::case::{Case, Ground, Row, closes, keeps};

/// `SPIKE_HTTP_HEADER_BYTES_MAX` of the gateway under test: the least that can be set.
pub const HEAD_MAX: usize = 8192;

const LINES: &[Row] = &[
    ("HTTP/0.9", "GET /\r\n", closes(&[400])),
    ("HTTP/0.9 with headers", "GET /\r\nHost: t\r\n\r\n", closes(&[400])),
    ("HTTP/1.0", "GET {page} HTTP/1.0\r\nHost: t\r\n\r\n", closes(&[200])),
    ("HTTP/1.0 without Host", "GET {page} HTTP/1.0\r\n\r\n", closes(&[200])),
    ("HTTP/1.0 kept", "GET {page} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", keeps(&[200])),
    ("empty lines before a request", "\r\n\r\n\nGET {page} HTTP/1.1\r\nHost: t\r\n\r\n", keeps(&[200])),
    ("line feeds for ends of lines", "GET {page} HTTP/1.1\nHost: t\n\n", keeps(&[200])),
    ("mixed ends of lines", "GET {page} HTTP/1.1\nHost: t\r\nX: y\n\r\n", keeps(&[200])),
    ("carriage returns for ends of lines", "GET {page} HTTP/1.1\rHost: t\r\r", closes(&[400])),
];

const HOSTS: &[Row] = &[
    ("no Host", "GET {page} HTTP/1.1\r\n\r\n", closes(&[400])),
    ("no Host, cold", "GET {cold} HTTP/1.1\r\n\r\n", closes(&[400])),
    ("no Host, a press", "POST {orders} HTTP/1.1\r\n{auth}Content-Length: 0\r\n\r\n", closes(&[400])),
    ("two Hosts", "GET {page} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", closes(&[400])),
    ("the same Host twice", "GET {page} HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", closes(&[400])),
    ("two Hosts, cold", "GET {cold} HTTP/1.1\r\nHost: a\r\nHOST: b\r\n\r\n", closes(&[400])),
    ("two Hosts in HTTP/1.0", "GET {page} HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", closes(&[400])),
    ("a folded Host", "GET {page} HTTP/1.1\r\nHost:\r\n t\r\n\r\n", closes(&[400])),
    ("a blank before the Host's colon", "GET {page} HTTP/1.1\r\nHost : t\r\n\r\n", closes(&[400])),
    ("a Host of another name", "GET {page} HTTP/1.1\r\nX-Host: t\r\n\r\n", closes(&[400])),
    ("an empty Host", "GET {page} HTTP/1.1\r\nHost:\r\n\r\n", keeps(&[200])),
    ("a Host of somebody else", "GET {page} HTTP/1.1\r\nHost: evil.example\r\n\r\n", keeps(&[200])),
    ("an absolute target without Host", "GET http://t{page} HTTP/1.1\r\n\r\n", closes(&[400])),
];

const NAMES: &[Row] = &[
    ("a header without a colon", "GET {page} HTTP/1.1\r\nHost: t\r\nX\r\n\r\n", closes(&[400])),
    ("a header without a name", "GET {page} HTTP/1.1\r\nHost: t\r\n: x\r\n\r\n", closes(&[400])),
    ("a blank before the first header", "GET {page} HTTP/1.1\r\n Host: t\r\n\r\n", closes(&[400])),
    ("a folded header", "GET {page} HTTP/1.1\r\nHost: t\r\nX: a\r\n b\r\n\r\n", closes(&[400])),
    ("a header folded by a tab", "GET {page} HTTP/1.1\r\nHost: t\r\nX: a\r\n\tb\r\n\r\n", closes(&[400])),
    ("a line of one blank", "GET {page} HTTP/1.1\r\nHost: t\r\n \r\n\r\n", closes(&[400])),
    ("a second request line for a header", "GET {page} HTTP/1.1\r\nGET / HTTP/1.1\r\n\r\n", closes(&[400])),
    ("an empty header", "GET {page} HTTP/1.1\r\nHost: t\r\nX:\r\n\r\n", keeps(&[200])),
    ("a header of colons", "GET {page} HTTP/1.1\r\nHost: t\r\nX::::\r\n\r\n", keeps(&[200])),
    (
        "every byte a name may have",
        "GET {page} HTTP/1.1\r\nHost: t\r\n!#$%&'*+-.^_`|~9aZ: x\r\n\r\n",
        keeps(&[200]),
    ),
];

pub fn cases(ground: &Ground) -> Vec<Case> {
    let mut cases = lines(ground);
    cases.extend(hosts(ground));
    cases.extend(names(ground));
    cases.extend(values(ground));
    cases.extend(sizes(ground));
    cases
}

fn lines(ground: &Ground) -> Vec<Case> {
    let good = "Host: t\r\n\r\n";
    let mut cases = Vec::new();
    for line in [
        "GET",
        "GET ",
        "GET {page}",
        "GET {page} ",
        "GET {page} HTTP",
        "GET {page} HTTP/",
        "GET {page} HTTP/1",
        "GET {page} HTTP/1.",
        "GET {page} HTTP/1.2",
        "GET {page} HTTP/1.10",
        "GET {page} HTTP/01.1",
        "GET {page} HTTP/0.9",
        "GET {page} HTTP/9.9",
        "GET {page} HTTP/1,1",
        "GET {page} http/1.1",
        "GET {page} HTTPS/1.1",
        "GET {page} HTTP/1.1 ",
        "GET {page} HTTP/1.1 x",
        "GET {page} HTTP/1.1\t",
        "GET {page} x HTTP/1.1",
        "GET  {page} HTTP/1.1",
        "GET {page}  HTTP/1.1",
        "GET\t{page} HTTP/1.1",
        "GET {page}\tHTTP/1.1",
        " GET {page} HTTP/1.1",
        "\tGET {page} HTTP/1.1",
        "{page} HTTP/1.1",
        "GET HTTP/1.1",
        "HTTP/1.1 200 OK",
        "G\u{cb}T {page} HTTP/1.1",
        "GET\0 {page} HTTP/1.1",
        "GET {page}\0 HTTP/1.1",
        "GET {page}\r HTTP/1.1",
        "\0GET {page} HTTP/1.1",
        "\u{feff}GET {page} HTTP/1.1",
    ] {
        cases.push(ground.case(format!("line {line:?}"), &format!("{line}\r\n{good}"), closes(&[400])));
    }
    // Bytes that no method may have (RFC 9110, 5.6.2).
    for byte in b"(),/:;<=>?@[\\]{}\"" {
        let what = format!("method with {:?}", char::from(*byte));
        cases.push(ground.bytes(what, "G{}T {page} HTTP/1.1\r\nHost: t\r\n\r\n", &[*byte], closes(&[400])));
    }
    cases.extend(ground.table(LINES));
    cases
}

fn hosts(ground: &Ground) -> Vec<Case> {
    ground.table(HOSTS)
}

fn names(ground: &Ground) -> Vec<Case> {
    let mut cases = Vec::new();
    let odd = (0..=32).chain([127, 128, 255]).chain(b"(),/;<=>?@[\\]{}\"".iter().copied());
    // A line feed ends the line, so that what stands before it is a header without a colon.
    for byte in odd {
        let name = format!("header name with byte {byte}");
        let text = "GET {page} HTTP/1.1\r\nHost: t\r\nX{}Y: z\r\n\r\n";
        cases.push(ground.bytes(name, text, &[byte], closes(&[400])));
    }
    cases.extend(ground.table(NAMES));
    cases
}

fn values(ground: &Ground) -> Vec<Case> {
    let mut cases = Vec::new();
    let controls = (0..=8).chain([11, 12]).chain(14..=31).chain([127]);
    for byte in controls {
        let name = format!("header value with byte {byte}");
        let text = "GET {page} HTTP/1.1\r\nHost: t\r\nX: a{}b\r\n\r\n";
        cases.push(ground.bytes(name, text, &[byte], closes(&[400])));
    }
    cases.push(ground.bytes(
        "header value with a carriage return",
        "GET {page} HTTP/1.1\r\nHost: t\r\nX: a{}b\r\n\r\n",
        b"\r",
        closes(&[400]),
    ));
    for (name, bytes) in [
        ("a header in UTF-8", "\u{fc}\u{4e16}\u{1f600}".as_bytes()),
        ("a header in Latin-1", b"\xfc\xe9"),
        ("a header that is no UTF-8", b"\xc3\x28\xff\xfe"),
        ("a header with tabs", b"a\tb\t\tc"),
    ] {
        cases.push(ground.bytes(
            name,
            "GET {page} HTTP/1.1\r\nHost: t\r\nX: {}\r\n\r\n",
            bytes,
            keeps(&[200]),
        ));
    }
    for (name, id) in [
        ("a request id with CR and LF in escapes", "a%0d%0aSet-Cookie: x=1"),
        ("a request id that is markup", "<script>alert(1)</script>"),
        ("a request id of 5,000 bytes", &"r".repeat(5000)),
    ] {
        let text = format!("GET {{page}} HTTP/1.1\r\nHost: t\r\nX-Request-Id: {id}\r\n\r\n");
        cases.push(ground.case(name, &text, keeps(&[200])));
    }
    cases
}

/// A line that does not fit into a head is 431 like any other part of it; 414 is for one that fits and is beyond 65,534 bytes.
fn sizes(ground: &Ground) -> Vec<Case> {
    let page = ground.fill("GET {page} HTTP/1.1\r\nHost: t\r\n\r\n").len();
    let filled = |total: usize| {
        let value = "x".repeat(total - page - "X: \r\n".len());
        format!("GET {{page}} HTTP/1.1\r\nHost: t\r\nX: {value}\r\n\r\n")
    };
    let many =
        |count: usize| format!("GET {{page}} HTTP/1.1\r\nHost: t\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    let long = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: t\r\n\r\n", "x".repeat(bytes));
    ground.table(&[
        ("a head as large as may be", &filled(HEAD_MAX - 1), keeps(&[200])),
        ("a head that is too large", &filled(2 * HEAD_MAX), closes(&[431])),
        ("a head that is far too large", &filled(500_000), closes(&[431])),
        ("a head without an end", &format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(100_000)), closes(&[431])),
        (
            "a header name that is too long",
            &format!("GET / HTTP/1.1\r\n{}: x\r\n\r\n", "x".repeat(70_000)),
            closes(&[431]),
        ),
        ("100 headers", &many(100), keeps(&[200])),
        ("101 headers", &many(101), closes(&[431])),
        ("1,000 headers", &many(1000), closes(&[431])),
        ("a target of 5,000 bytes", &long(5000), keeps(&[404])),
        ("a target of 8,200 bytes", &long(8200), closes(&[431])),
        ("a target of 70,000 bytes", &long(70_000), closes(&[431])),
        ("a target without an end", &format!("GET /{}", "x".repeat(100_000)), closes(&[431])),
        ("a method without an end", &"G".repeat(100_000), closes(&[431])),
        (
            "a query of 70,000 bytes",
            &format!("GET {{page}}?{} HTTP/1.1\r\nHost: t\r\n\r\n", "q".repeat(70_000)),
            closes(&[431]),
        ),
        ("only line ends", &"\r\n".repeat(50_000), closes(&[431])),
    ])
}
