//! Where a body ends: Content-Length, Transfer-Encoding, chunks, and the requests that hide behind a disagreement.

use super::case::{Case, Ground, Row, Want, closes, either, keeps};

/// Values that are no length (RFC 9110, 8.6).
const LENGTHS: [&str; 26] = [
    "+2",
    "-2",
    "-0",
    "2 2",
    "2, 2",
    "2,3",
    "2;",
    "2.0",
    "2e0",
    "0x2",
    "0b10",
    "2_0",
    "",
    "\t",
    "a",
    "\"2\"",
    "'2'",
    "two",
    "\u{ff12}",
    "\u{662}",
    "2\u{a0}",
    "2h",
    "NaN",
    "null",
    "18446744073709551616",
    "99999999999999999999999999999999999999",
];

/// Codings that this server does not take, or that are none (RFC 9112, 6.1 and 7).
const CODINGS: [&str; 19] = [
    "identity",
    "gzip",
    "deflate",
    "chunked, identity",
    "identity, chunked",
    "gzip, chunked",
    "chunked, gzip",
    "chunked, chunked",
    "chunked;q=1",
    "\"chunked\"",
    "xchunked",
    "chunkedx",
    "chu nked",
    "chunked,",
    ",chunked",
    ", chunked",
    "",
    "chunk",
    "\u{212a}hunked",
];

/// Bodies in chunks that break the rules of RFC 9112, 7.1.
const CHUNKS: [(&str, &str); 22] = [
    ("line feed after the size", "2\n{}\r\n0\r\n\r\n"),
    ("line feed after the data", "2\r\n{}\n0\r\n\r\n"),
    ("nothing after the data", "2\r\n{}0\r\n\r\n"),
    ("more data than announced", "2\r\n{}XX\r\n0\r\n\r\n"),
    ("carriage return alone", "2\r{}\r\n0\r\n\r\n"),
    ("hexadecimal prefix", "0x2\r\n{}\r\n0\r\n\r\n"),
    ("plus sign", "+2\r\n{}\r\n0\r\n\r\n"),
    ("minus sign", "-2\r\n{}\r\n0\r\n\r\n"),
    ("blank before the size", " 2\r\n{}\r\n0\r\n\r\n"),
    ("blank within the size", "0 2\r\n{}\r\n0\r\n\r\n"),
    ("no size", "\r\n{}\r\n0\r\n\r\n"),
    ("only an extension", ";a=b\r\n{}\r\n0\r\n\r\n"),
    ("no hexadecimal digit", "g\r\n{}\r\n0\r\n\r\n"),
    ("size beyond 64 bits", "10000000000000002\r\n{}\r\n0\r\n\r\n"),
    ("size of 40 digits", "1111111111111111111111111111111111111111\r\n{}\r\n0\r\n\r\n"),
    ("line feed in an extension", "2;a\nb\r\n{}\r\n0\r\n\r\n"),
    ("carriage return in an extension", "2;a\rb\r\n{}\r\n0\r\n\r\n"),
    ("NUL for a size", "\0\r\n{}\r\n0\r\n\r\n"),
    ("underscore in the size", "0_2\r\n{}\r\n0\r\n\r\n"),
    ("comma in the size", "2,2\r\n{}\r\n0\r\n\r\n"),
    ("a wide digit", "\u{ff12}\r\n{}\r\n0\r\n\r\n"),
    ("end without its line feed", "2\r\n{}\r\n0\r\n\rX"),
];

const SMUGGLING: &[Row] = &[
    (
        "CL.TE, a press",
        "POST {orders} HTTP/1.1\r\nHost: t\r\n{auth}{json}Content-Length: 4\r\n\
             Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
        closes(&[400]),
    ),
    (
        "TE.CL, a press",
        "POST {orders} HTTP/1.1\r\nHost: t\r\n{auth}{json}Transfer-Encoding: chunked\r\n\
             Content-Length: 4\r\n\r\n0\r\n\r\n{hidden}",
        closes(&[400]),
    ),
    (
        "CL.TE, cold: chunks govern, and it closes",
        "GET {cold} HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
             0\r\n\r\n{hidden}",
        closes(&[200]),
    ),
    (
        "TE.CL, cold: chunks govern, and it closes",
        "GET {cold} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n\
             0\r\n\r\n{hidden}",
        closes(&[200]),
    ),
    (
        "a bad length behind chunks: chunks govern, and it closes",
        "GET {cold} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nContent-Length: x\r\n\r\n\
             0\r\n\r\n{hidden}",
        closes(&[200]),
    ),
    (
        "CL.0: the body of a press is not the next request",
        "POST {orders} HTTP/1.1\r\nHost: t\r\n{auth}{json}Content-Length: {hidden_len}\r\n\r\n{hidden}",
        keeps(&[400]),
    ),
    (
        "CL.0: nor is that of a page",
        "GET {page} HTTP/1.1\r\nHost: t\r\nContent-Length: {hidden_len}\r\n\r\n{hidden}",
        either(&[200]),
    ),
    (
        "CL.0: nor is that of a cold page",
        "GET {cold} HTTP/1.1\r\nHost: t\r\nContent-Length: {hidden_len}\r\n\r\n{hidden}",
        keeps(&[200]),
    ),
    (
        "CL.0: nor is that of an unknown route",
        "POST /nowhere HTTP/1.1\r\nHost: t\r\nContent-Length: {hidden_len}\r\n\r\n{hidden}",
        keeps(&[404]),
    ),
    (
        "CL.0: nor is that of a press without a token",
        "POST {orders} HTTP/1.1\r\nHost: t\r\nContent-Length: {hidden_len}\r\n\r\n{hidden}",
        either(&[401]),
    ),
    (
        "CL.0: nor is that of a HEAD",
        "HEAD {cold} HTTP/1.1\r\nHost: t\r\nContent-Length: {hidden_len}\r\n\r\n{hidden}",
        keeps(&[200]).without_bodies(),
    ),
    (
        "CL.0: nor is that of an OPTIONS",
        "OPTIONS {cold} HTTP/1.1\r\nHost: t\r\nContent-Length: {hidden_len}\r\n\r\n{hidden}",
        keeps(&[405]),
    ),
    (
        "a chunk that is a request",
        "GET {cold} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n\
             2;\n{hidden}\r\n0\r\n\r\n",
        closes(&[400]),
    ),
    (
        "a request in a header's value",
        "GET {page} HTTP/1.1\r\nHost: t\r\nX: a\r\r\n\r\n{hidden}",
        closes(&[400]),
    ),
    (
        "a request behind an end of line feeds, which ends the head",
        "GET {page} HTTP/1.1\nHost: t\nConnection: close\n\n{hidden}",
        closes(&[200]),
    ),
    (
        "a length that only line feeds divide from the next header",
        "POST {orders} HTTP/1.1\r\nHost: t\r\n{auth}{json}X: y\nContent-Length: 2\r\n\r\n{}",
        keeps(&[409]),
    ),
];

pub fn cases(ground: &Ground) -> Vec<Case> {
    [lengths(ground), codings(ground), chunks(ground), smuggling(ground), trailers(ground)].concat_all()
}

/// Rows of several families in one list.
trait ConcatAll {
    fn concat_all(self) -> Vec<Case>;
}

impl<const N: usize> ConcatAll for [Vec<Case>; N] {
    fn concat_all(self) -> Vec<Case> {
        self.into_iter().flatten().collect()
    }
}

fn lengths(ground: &Ground) -> Vec<Case> {
    let mut cases = Vec::new();
    for length in LENGTHS {
        let press = format!(
            "POST {{orders}} HTTP/1.1\r\nHost: t\r\n{{auth}}{{json}}Content-Length: {length}\r\n\r\n{{}}"
        );
        let name = format!("length {length:?}");
        cases.push(ground.case(format!("{name} of a press"), &press, closes(&[400])));
        let cold = format!("GET {{cold}} HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n{{}}");
        cases.push(ground.case(format!("{name} of a cold request"), &cold, closes(&[400])));
    }
    cases.extend(ground.table(&[
        ("two lengths", &twice("2", "3"), closes(&[400])),
        ("two lengths, the longer first", &twice("3", "2"), closes(&[400])),
        ("a good and a bad length", &twice("2", "+2"), closes(&[400])),
        ("a bad and a good length", &twice("x", "2"), closes(&[400])),
        ("one length said twice", &twice("2", "2"), keeps(&[409])),
        ("one length in two spellings", &twice("2", "02"), keeps(&[409])),
        (
            "a length behind blanks",
            "POST {orders} HTTP/1.1\r\nHost: t\r\n{auth}{json}Content-Length: \t 2 \t\r\n\r\n{}",
            keeps(&[409]),
        ),
        (
            "a length with an underscore is another header",
            "POST {orders} HTTP/1.1\r\nHost: t\r\n{auth}{json}Content_Length: 2\r\nContent-Length: 2\r\n\r\n{}",
            keeps(&[409]),
        ),
        (
            "a length before its colon",
            "POST {orders} HTTP/1.1\r\nHost: t\r\n{auth}{json}Content-Length : 2\r\n\r\n{}",
            closes(&[400]),
        ),
    ]));
    cases
}

fn twice(one: &str, two: &str) -> String {
    format!(
        "POST {{orders}} HTTP/1.1\r\nHost: t\r\n{{auth}}{{json}}\
         Content-Length: {one}\r\nContent-Length: {two}\r\n\r\n{{}}"
    )
}

fn codings(ground: &Ground) -> Vec<Case> {
    let mut cases = Vec::new();
    let ways: [(&str, &str, &str); 2] =
        [("a press", "POST {orders}", "{auth}{json}"), ("a cold request", "GET {cold}", "")];
    for (what, line, headers) in ways {
        for coding in CODINGS {
            let text = format!(
                "{line} HTTP/1.1\r\nHost: t\r\n{headers}Transfer-Encoding: {coding}\r\n\r\n0\r\n\r\n{{hidden}}"
            );
            cases.push(ground.case(format!("coding {coding:?} of {what}"), &text, closes(&[400])));
        }
        for (name, codings) in [
            (
                "chunked and identity in two lines",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            ),
            (
                "identity and chunked in two lines",
                "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
            ),
            ("chunked in two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            ("blank before the colon", "Transfer-Encoding : chunked\r\n"),
            ("vertical tab", "Transfer-Encoding: \u{b}chunked\r\n"),
            ("form feed", "Transfer-Encoding: chunked\u{c}\r\n"),
            ("NUL", "Transfer-Encoding: chunked\0\r\n"),
            ("folded", "Transfer-Encoding:\r\n chunked\r\n"),
            ("carriage return", "X: a\rTransfer-Encoding: chunked\r\n"),
        ] {
            let text = format!("{line} HTTP/1.1\r\nHost: t\r\n{headers}{codings}\r\n0\r\n\r\n{{hidden}}");
            cases.push(ground.case(format!("{name}, {what}"), &text, closes(&[400])));
        }
        let old = format!(
            "{line} HTTP/1.0\r\nHost: t\r\n{headers}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{{hidden}}"
        );
        cases.push(ground.case(format!("chunks in HTTP/1.0, {what}"), &old, closes(&[400])));
    }
    cases
}

fn chunks(ground: &Ground) -> Vec<Case> {
    let head = "GET {cold} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut cases: Vec<Case> = CHUNKS
        .iter()
        .map(|(name, body)| ground.case(format!("chunks: {name}"), &format!("{head}{body}"), closes(&[400])))
        .collect();
    let good: [(&str, &str, Want); 6] = [
        ("capital letters", "2\r\n{}\r\nA\r\n0123456789\r\n0\r\n\r\n", keeps(&[200])),
        ("leading zeros", "0000000000000002\r\n{}\r\n000\r\n\r\n", keeps(&[200])),
        ("extensions", "2;a=b;c=\"d\"\r\n{}\r\n0;e\r\n\r\n", keeps(&[200])),
        ("blanks behind the size", "2 \t\r\n{}\r\n0 \r\n\r\n", keeps(&[200])),
        ("one byte a chunk", "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", keeps(&[200])),
        ("nothing", "0\r\n\r\n", keeps(&[200])),
    ];
    cases
        .extend(good.into_iter().map(|(name, body, want)| {
            ground.case(format!("chunks: {name}"), &format!("{head}{body}"), want)
        }));
    let names = ["CHUNKED", "Chunked", " chunked ", "chunKed\t"];
    cases.extend(names.map(|coding| {
        let text = format!(
            "GET {{cold}} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding:{coding}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
        );
        ground.case(format!("coding {coding:?}"), &text, keeps(&[200]))
    }));
    let long = "x".repeat(20_000);
    for (name, body) in [
        ("an extension of 20,000 bytes", format!("2;{long}\r\n{{}}\r\n0\r\n\r\n")),
        ("a trailer of 20,000 bytes", format!("0\r\nX: {long}\r\n\r\n")),
        ("two hundred trailers", format!("0\r\n{}\r\n", "X: y\r\n".repeat(200))),
        ("extensions of 20,000 bytes in chunks", format!("{}0\r\n\r\n", "1;abcdefgh\r\nx\r\n".repeat(2500))),
    ] {
        cases.push(ground.case(format!("chunks: {name}"), &format!("{head}{body}"), closes(&[400])));
    }
    cases
}

/// A second request behind a body whose end two readers would see in different places.
fn smuggling(ground: &Ground) -> Vec<Case> {
    ground.table(SMUGGLING)
}

fn trailers(ground: &Ground) -> Vec<Case> {
    let head = "GET {cold} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    let rows: [(&str, &str, Want); 8] = [
        ("a trailer", "0\r\nX-Checksum: y\r\n\r\n", keeps(&[200])),
        ("a trailer that is a length", "0\r\nContent-Length: 500\r\n\r\n", keeps(&[200])),
        ("a trailer that is a coding", "0\r\nTransfer-Encoding: chunked\r\n\r\n", keeps(&[200])),
        ("a trailer that is a Host", "0\r\nHost: evil\r\n\r\n", keeps(&[200])),
        ("a trailer that is a token", "0\r\nAuthorization: Bearer x\r\n\r\n", keeps(&[200])),
        ("a folded trailer", "0\r\nX: y\r\n z\r\n\r\n", closes(&[400])),
        ("a trailer without a colon", "0\r\nX\r\n\r\n", closes(&[400])),
        ("a trailer with a NUL", "0\r\nX: \0\r\n\r\n", closes(&[400])),
    ];
    rows.into_iter().map(|(name, body, want)| ground.case(name, &format!("{head}{body}"), want)).collect()
}
