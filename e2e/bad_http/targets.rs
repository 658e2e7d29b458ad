//! Targets and methods: their four forms, ids that are none, paths that mean another, other protocols, upgrades.

use super::case::{Case, Ground, Row, closes, keeps, silent};

/// Ids that only look like the event's: `7` stands for it.
const IDS: [&str; 37] = [
    "07",
    "007",
    "+7",
    "-7",
    "7.0",
    "7.",
    "0x7",
    "7e0",
    "%37",
    "7%00",
    "7%0d%0a",
    "7%20",
    "%207",
    "7%2f",
    "7;x=y",
    "7,8",
    "7/..",
    "7:",
    "7\u{301}",
    "\u{ff17}",
    "\u{667}",
    "7\u{200b}",
    "0",
    "-9",
    "1.5",
    "NaN",
    "null",
    "undefined",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551623",
    "4294967303",
    "99999999999999999999999999",
    "*",
    "7'",
    "7%27%20OR%201=1",
    "..%2f7",
];

/// Ids of orders that are none.
const ORDERS: [&str; 14] = [
    "mine%00",
    "Mine",
    "MINE",
    "mine;",
    "0",
    "1",
    "-1",
    "xyz",
    "..",
    "%2e%2e",
    "00000000-0000-0000-0000-00000000000g",
    "{00000000-0000-7000-8000-000000000000}",
    "00000000000070008000000000000000",
    "urn:uuid:00000000-0000-7000-8000-000000000000",
];

const PATHS: &[Row] = &[
    ("a path that is no UTF-8 in escapes", "GET {page}/%80%81 HTTP/1.1\r\nHost: t\r\n\r\n", keeps(&[404])),
    ("a query on a page", "GET {page}?a=b&a=c&%zz HTTP/1.1\r\nHost: t\r\n\r\n", keeps(&[200])),
    (
        "a query on a press",
        "POST {orders}?quantity=99 HTTP/1.1\r\nHost: t\r\n{auth}Content-Length: 0\r\n\r\n",
        keeps(&[409]),
    ),
    ("a fragment", "GET {page}#/orders HTTP/1.1\r\nHost: t\r\n\r\n", keeps(&[200])),
    ("a wait that is none", "GET {mine}?wait=forever HTTP/1.1\r\nHost: t\r\n{auth}\r\n", keeps(&[422])),
];

const FORMS: &[Row] = &[
    ("absolute form", "GET http://t{page} HTTP/1.1\r\nHost: t\r\n\r\n", keeps(&[200])),
    (
        "absolute form of another host",
        "GET http://evil.example{page} HTTP/1.1\r\nHost: t\r\n\r\n",
        keeps(&[200]),
    ),
    (
        "absolute form, a press",
        "POST http://t{orders} HTTP/1.1\r\nHost: t\r\n{auth}Content-Length: 0\r\n\r\n",
        keeps(&[409]),
    ),
    ("absolute form, cold", "GET http://t{cold} HTTP/1.1\r\nHost: t\r\n\r\n", keeps(&[200])),
    ("absolute form with a user", "GET http://a:b@t{page} HTTP/1.1\r\nHost: t\r\n\r\n", keeps(&[200])),
    ("absolute form of another scheme", "GET ftp://t/x HTTP/1.1\r\nHost: t\r\n\r\n", keeps(&[404])),
    ("absolute form of a file", "GET file:///etc/passwd HTTP/1.1\r\nHost: t\r\n\r\n", closes(&[400])),
    ("absolute form without a path", "GET http://t HTTP/1.1\r\nHost: t\r\n\r\n", keeps(&[404])),
    ("absolute form without a host", "GET http:///x HTTP/1.1\r\nHost: t\r\n\r\n", closes(&[400])),
    (
        "absolute form with a bad port",
        "GET http://t:99999999{page} HTTP/1.1\r\nHost: t\r\n\r\n",
        keeps(&[200]),
    ),
    ("authority form", "GET t:80 HTTP/1.1\r\nHost: t\r\n\r\n", closes(&[400])),
    ("a name for a target", "GET x HTTP/1.1\r\nHost: t\r\n\r\n", closes(&[400])),
    ("CONNECT", "CONNECT t:80 HTTP/1.1\r\nHost: t\r\n\r\n", closes(&[400])),
    ("CONNECT with something to tunnel", "CONNECT t:80 HTTP/1.1\r\nHost: t\r\n\r\n{hidden}", closes(&[400])),
    ("CONNECT of a page", "CONNECT {page} HTTP/1.1\r\nHost: t\r\n\r\n", closes(&[400])),
    ("asterisk form", "OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n", keeps(&[404])),
    ("asterisk form of a GET", "GET * HTTP/1.1\r\nHost: t\r\n\r\n", closes(&[400])),
    ("asterisk and more", "OPTIONS *x HTTP/1.1\r\nHost: t\r\n\r\n", closes(&[400])),
    ("no leading slash", "GET api/v1/products HTTP/1.1\r\nHost: t\r\n\r\n", closes(&[400])),
    ("a query alone", "GET ?a=b HTTP/1.1\r\nHost: t\r\n\r\n", closes(&[400])),
];

/// Paths that only look like the event's, or like a file's.
const ODD_PATHS: &[&str] = &[
    "/{page}",
    "{page}/",
    "{page}//",
    "/.{page}",
    "/x/..{page}",
    "{page}/../{event}",
    "{page}/.",
    "{page}/orders/../orders/mine",
    "{page}%2forders",
    "/API/v1/spike/events/{event}",
    "/api/v1/spike/events//{event}",
    "/api/v1/spike/event%73/{event}",
    "/api/v1%2fspike/events/{event}",
    "/api/v1/spike/events/{event}%3Fx",
    "/%00",
    "/%",
    "/%zz",
    "/%c0%af",
    "/%ff",
    "/\u{fc}/\u{4e16}",
    "/..;/",
    "/etc/passwd",
    "/../../../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/metrics",
    "/livez",
    "/debug/pprof/heap",
    "/api/v1/spike/events/{event}\u{e9}",
];

/// Openings of protocols that have no text.
const BINARY: &[(&str, &[u8])] = &[
    ("a TLS hello", b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03\x5a\x5a\x5a\x5a"),
    ("an old TLS hello", b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10"),
    (
        "a PROXY block that nobody asked for",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\0\x01\0\x02",
    ),
    ("a handshake of AMQP", b"AMQP\x00\x00\x09\x01"),
    ("zeros", &[0; 64]),
    ("bytes of 255", &[255; 64]),
    ("a handshake of RDP", b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00"),
];

pub fn cases(ground: &Ground) -> Vec<Case> {
    let mut cases = ids(ground);
    cases.extend(paths(ground));
    cases.extend(forms(ground));
    cases.extend(methods(ground));
    cases.extend(protocols(ground));
    cases
}

/// Never the event, never a 5xx: whoever writes an id otherwise does not reach it.
fn ids(ground: &Ground) -> Vec<Case> {
    let mut cases = Vec::new();
    for id in IDS {
        let id = id.replacen('7', &ground.event, 1);
        let page = format!("GET /api/v1/spike/events/{id} HTTP/1.1\r\nHost: t\r\n\r\n");
        // A digit in escapes is the same digit (RFC 3986, 6.2.2.2).
        let same = id.starts_with("%3") && id.len() == 3;
        cases.push(ground.case(
            format!("page of event {id:?}"),
            &page,
            keeps(if same { &[200] } else { &[404] }),
        ));
        let press = format!(
            "POST /api/v1/spike/events/{id}/orders HTTP/1.1\r\nHost: t\r\n{{auth}}Content-Length: 0\r\n\r\n"
        );
        cases.push(ground.case(format!("press for event {id:?}"), &press, keeps(&[404])));
    }
    for order in ORDERS {
        let text = format!("GET {{orders}}/{order} HTTP/1.1\r\nHost: t\r\n{{auth}}\r\n");
        cases.push(ground.case(format!("order {order:?}"), &text, keeps(&[404])));
    }
    cases
}

fn paths(ground: &Ground) -> Vec<Case> {
    let mut cases = Vec::new();
    for path in ODD_PATHS {
        let path = path.replace("{event}", &ground.event);
        let text = format!("GET {path} HTTP/1.1\r\nHost: t\r\n{{auth}}\r\n");
        cases.push(ground.case(format!("path {path:?}"), &text, keeps(&[404])));
    }
    for byte in [b'\t', 0, 1, 11, 12, 31, 127] {
        let name = format!("path with byte {byte}");
        cases.push(ground.bytes(name, "GET {page}{}x HTTP/1.1\r\nHost: t\r\n\r\n", &[byte], closes(&[400])));
    }
    cases.extend(ground.table(PATHS));
    cases.push(ground.case(
        "a path of backslashes",
        "GET \\api\\v1\\products HTTP/1.1\r\nHost: t\r\n\r\n",
        closes(&[400]),
    ));
    cases.push(ground.bytes(
        "a path that is no UTF-8",
        "GET {page}{} HTTP/1.1\r\nHost: t\r\n\r\n",
        b"\xff\xfe",
        closes(&[400]),
    ));
    cases
}

fn forms(ground: &Ground) -> Vec<Case> {
    ground.table(FORMS)
}

fn methods(ground: &Ground) -> Vec<Case> {
    let mut cases = Vec::new();
    for method in [
        "PUT", "PATCH", "DELETE", "TRACE", "TRACK", "PROPFIND", "get", "Post", "G", "QUERY", "SEARCH",
        "OPTIONS",
    ] {
        for path in ["{page}", "{orders}", "{cold}"] {
            let text = format!("{method} {path} HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n");
            cases.push(ground.case(format!("{method} {path}"), &text, keeps(&[405])));
        }
    }
    let long = "M".repeat(2000);
    cases.extend(ground.table(&[
        ("a method of 2,000 letters", &format!("{long} {{page}} HTTP/1.1\r\nHost: t\r\n\r\n"), keeps(&[405])),
        ("a press by GET", "GET {orders} HTTP/1.1\r\nHost: t\r\n{auth}\r\n", keeps(&[405])),
        (
            "a page by POST",
            "POST {page} HTTP/1.1\r\nHost: t\r\n{auth}Content-Length: 0\r\n\r\n",
            keeps(&[405]),
        ),
        ("HEAD of a page", "HEAD {page} HTTP/1.1\r\nHost: t\r\n\r\n", keeps(&[200]).without_bodies()),
        ("HEAD of a press", "HEAD {orders} HTTP/1.1\r\nHost: t\r\n\r\n", keeps(&[405]).without_bodies()),
        (
            "a method in a header",
            "GET {page} HTTP/1.1\r\nHost: t\r\nX-HTTP-Method-Override: DELETE\r\n\r\n",
            keeps(&[200]),
        ),
        (
            "a path in a header",
            "GET {page} HTTP/1.1\r\nHost: t\r\nX-Original-URL: /admin\r\nX-Rewrite-URL: /admin\r\n\r\n",
            keeps(&[200]),
        ),
        (
            "a host in a header",
            "GET {page} HTTP/1.1\r\nHost: t\r\nX-Forwarded-Host: evil\r\nForwarded: host=evil\r\n\r\n",
            keeps(&[200]),
        ),
    ]));
    cases
}

fn protocols(ground: &Ground) -> Vec<Case> {
    let upgrade = |what: &str| {
        format!("GET {{page}} HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: {what}\r\n\r\n")
    };
    let h2c = "GET {page} HTTP/1.1\r\nHost: t\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
               HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n";
    let mut cases = ground.table(&[
        ("HTTP/2 with prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0", silent()),
        ("HTTP/2 in a request line", "GET {page} HTTP/2.0\r\nHost: t\r\n\r\n", closes(&[400])),
        ("HTTP/3 in a request line", "GET {page} HTTP/3.0\r\nHost: t\r\n\r\n", closes(&[400])),
        ("an upgrade to HTTP/2 that is not taken", h2c, keeps(&[200])),
        (
            "an upgrade to a socket that is not taken",
            &upgrade("websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
            keeps(&[200]),
        ),
        ("an upgrade to TLS that is not taken", &upgrade("TLS/1.0"), keeps(&[200])),
        ("an upgrade to nothing", &upgrade(""), keeps(&[200])),
        ("an upgrade in HTTP/1.0", "GET {page} HTTP/1.0\r\nUpgrade: h2c\r\n\r\n", closes(&[200])),
        (
            "an upgrade with a hidden press",
            &format!("{}{{hidden}}", upgrade("websocket").replace("Upgrade\r\n", "Upgrade, close\r\n")),
            closes(&[200]),
        ),
        (
            "a PROXY line that nobody asked for",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET {page} HTTP/1.1\r\nHost: t\r\n\r\n",
            closes(&[400]),
        ),
        ("SSH", "SSH-2.0-OpenSSH_9.2\r\n\r\n", closes(&[400])),
        ("SMTP", "EHLO evil.example\r\nMAIL FROM:<a@b>\r\n\r\n", closes(&[400])),
        ("Redis", "*1\r\n$4\r\nPING\r\n\r\n", closes(&[400])),
        ("memcached", "stats\r\n\r\n", closes(&[400])),
        ("RTSP", "OPTIONS rtsp://t/x RTSP/1.0\r\nCSeq: 1\r\n\r\n", closes(&[400])),
        ("SIP", "INVITE sip:a@b SIP/2.0\r\nVia: x\r\n\r\n", closes(&[400])),
        ("ICY", "SOURCE /x ICE/1.0\r\nHost: t\r\n\r\n", closes(&[400])),
    ]);
    let binary = BINARY.iter();
    cases.extend(binary.map(|&(name, bytes)| ground.bytes(name, "{}\r\n\r\n", bytes, closes(&[400]))));
    cases
}
