//! A table of answers, each split at every byte, then answers and noise of proptest split anywhere.

use proptest::prelude::*;

use super::*;

/// What a parse came to, owned so that two can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Done {
        status: u16,
        headers: [Option<String>; 3],
        replayed: bool,
        body: Vec<u8>,
        consumed: usize,
        keep_alive: bool,
    },
    Bad(BadResponse),
    More,
}

/// Feeds `bytes` cut at `cuts`, then closes if `close`.
fn parse(bytes: &[u8], cuts: &[usize], close: bool) -> Outcome {
    let mut parser = Parser::default();
    for &end in cuts.iter().chain([&bytes.len()]) {
        match parser.advance(&bytes[..end]) {
            Err(bad) => return Outcome::Bad(bad),
            Ok(true) => return outcome(&parser, &bytes[..end]),
            Ok(false) => {}
        }
    }
    if close && parser.closed(bytes) { outcome(&parser, bytes) } else { Outcome::More }
}

fn outcome(parser: &Parser, bytes: &[u8]) -> Outcome {
    let response = parser.response(bytes);
    let text = |value: Option<&[u8]>| value.map(|value| String::from_utf8(value.to_vec()).unwrap());
    Outcome::Done {
        status: response.status,
        headers: [response.location, response.retry_after, response.request_id].map(text),
        replayed: response.replayed,
        body: response.body.to_vec(),
        consumed: parser.consumed(),
        keep_alive: parser.keep_alive(),
    }
}

/// The same outcome whole, cut once at every byte, and byte by byte.
fn check(text: &str, close: bool, want: &Outcome) {
    let bytes = text.as_bytes();
    assert_eq!(&parse(bytes, &[], close), want, "whole: {text:?}");
    for cut in 0..bytes.len() {
        assert_eq!(&parse(bytes, &[cut], close), want, "cut at {cut}: {text:?}");
    }
    let every: Vec<usize> = (0..bytes.len()).collect();
    assert_eq!(&parse(bytes, &every, close), want, "byte by byte: {text:?}");
}

fn done(status: u16, body: &str, consumed: usize, keep_alive: bool) -> Outcome {
    let body = body.as_bytes().to_vec();
    Outcome::Done { status, headers: [None, None, None], replayed: false, body, consumed, keep_alive }
}

#[test]
fn answers_with_a_length() {
    let text = "HTTP/1.1 202 Accepted\r\nlocation:/a/b\r\nRetry-After: \t3 \r\nX-REQUEST-ID: r1\r\n\
                Idempotent-Replayed: true\r\nX-Other: \r\nContent-Length: 5\r\n\r\nhello";
    let headers = ["/a/b", "3", "r1"].map(|value| Some(value.to_owned()));
    let body = b"hello".to_vec();
    let consumed = text.len();
    check(
        text,
        false,
        &Outcome::Done { status: 202, headers, replayed: true, body, consumed, keep_alive: true },
    );

    let check_len = |text: &str, status, body: &str, keep_alive| {
        check(text, false, &done(status, body, text.len(), keep_alive));
    };
    check_len("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, "", true);
    check_len("HTTP/1.1 204 No Content\r\n\r\n", 204, "", true);
    check_len("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", 304, "", true);
    check_len("HTTP/1.1 409 x\r\nConnection: foo, Close\r\nContent-Length: 2\r\n\r\n{}", 409, "{}", false);
    check_len("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", false);
    check_len("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", 200, "x", true);
    check_len(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\ny",
        200,
        "y",
        true,
    );
    let extra = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nyHTTP/1.1 200";
    check(extra, false, &done(200, "y", extra.len() - 12, true));
}

#[test]
fn answers_in_chunks_and_until_the_close() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n";
    let text = format!("{head}\r\n3\r\nabc\r\n00A;ext=1\r\n0123456789\r\n0\r\n\r\n");
    check(&text, false, &done(200, "abc0123456789", text.len(), true));
    let text = format!("{head}\r\n0\r\nTrailer: x\r\nB: y\r\n\r\n");
    check(&text, false, &done(200, "", text.len(), true));
    let text = format!("{head}Content-Length: 3\r\n\r\n1\r\na\r\n0\r\n\r\n");
    check(&text, false, &done(200, "a", text.len(), false));
    let text = "HTTP/1.1 200 OK\r\n\r\nuntil the end";
    check(text, true, &done(200, "until the end", text.len(), false));
    check(text, false, &Outcome::More);
}

#[test]
fn what_is_cut_short_is_never_complete() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "",
    ] {
        check(text, true, &Outcome::More);
    }
}

#[test]
fn what_is_not_http_is_refused_for_its_reason() {
    let bad = |text: &str, want| check(text, true, &Outcome::Bad(want));
    for line in [
        "HTTP/2 200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000",
        "HTTP/1.1 099 x",
        "HTTP/1.x 200 OK",
        "",
        "SSH-2.0-x",
    ] {
        bad(&format!("{line}\r\nContent-Length: 0\r\n\r\n"), BadResponse::StatusLine);
    }
    for header in ["no colon", ": no name"] {
        bad(&format!("HTTP/1.1 200 OK\r\n{header}\r\n\r\n"), BadResponse::Header);
    }
    for length in ["", "-1", "+1", "1 2", "0x1", "1, 1"] {
        bad(&format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"), BadResponse::Length);
    }
    bad("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", BadResponse::Length);
    bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", BadResponse::Length);
    bad("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n", BadResponse::TooLong);
    for chunk in ["\r\n", "g\r\n", "-1\r\n", "123456789\r\n", "1\r\nabc", " 1\r\na\r\n"] {
        bad(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"), BadResponse::Chunk);
    }
}

#[test]
fn endless_answers_are_bounded() {
    let head = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(Parser::HEAD_BYTES_MAX));
    assert_eq!(parse(head.as_bytes(), &[], false), Outcome::Bad(BadResponse::TooLong));
    let start = "HTTP/1.1 200 OK\r\n";
    let body = format!("{start}\r\n{}", "b".repeat(Parser::BODY_BYTES_MAX + 1));
    assert_eq!(parse(body.as_bytes(), &[], true), Outcome::Bad(BadResponse::TooLong));
    let chunk = format!("{start}Transfer-Encoding: chunked\r\n\r\nffffffff\r\n");
    assert_eq!(parse(chunk.as_bytes(), &[], true), Outcome::Bad(BadResponse::TooLong));
    let line = format!("{start}Transfer-Encoding: chunked\r\n\r\n1;{}", "c".repeat(2000));
    assert_eq!(parse(line.as_bytes(), &[], true), Outcome::Bad(BadResponse::TooLong));
}

#[test]
fn a_parser_is_as_new_after_a_reset() {
    let mut parser = Parser::default();
    let first = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nLocation: /x\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    assert_eq!(parser.advance(first), Ok(true));
    parser.reset();
    let second = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n";
    assert_eq!(parser.advance(second), Ok(true));
    assert_eq!((parser.response(second).body, parser.response(second).location), (&b"c"[..], None));
}

/// How proptest frames a body.
#[derive(Debug, Clone)]
enum Shape {
    Length,
    Chunks(Vec<usize>),
    UntilClose,
}

fn wire(status: u16, location: &str, body: &[u8], shape: &Shape) -> Vec<u8> {
    let mut wire =
        format!("HTTP/1.1 {status} Some Words\r\nDate: now\r\nLocation: {location}\r\n").into_bytes();
    match shape {
        Shape::Length => {
            wire.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            wire.extend_from_slice(body);
        }
        Shape::Chunks(sizes) => {
            wire.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            let mut rest = body;
            let mut sizes = sizes.iter().cycle();
            while !rest.is_empty() {
                let (chunk, more) = rest.split_at((*sizes.next().unwrap_or(&7)).clamp(1, rest.len()));
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
                rest = more;
            }
            wire.extend_from_slice(b"0\r\n\r\n");
        }
        Shape::UntilClose => {
            wire.extend_from_slice(b"\r\n");
            wire.extend_from_slice(body);
        }
    }
    wire
}

fn cuts(bytes: &[u8], wanted: &[prop::sample::Index]) -> Vec<usize> {
    let mut cuts: Vec<usize> = wanted.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    cuts
}

/// A piece of something like HTTP, so that noise gets past the first byte.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Just(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        Just(b"Content-Length: 4\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"4\r\nabcd\r\n".to_vec()),
        Just(b"0\r\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..6),
    ]
}

proptest! {
    #[test]
    fn any_split_gives_the_answer_that_was_sent(
        status in (200u16..600).prop_filter("has a body", |status| !matches!(status, 204 | 304)),
        location in "[!-~]{1,40}",
        body in prop::collection::vec(any::<u8>(), 0..300),
        shape in prop_oneof![
            Just(Shape::Length),
            prop::collection::vec(1usize..60, 1..5).prop_map(Shape::Chunks),
            Just(Shape::UntilClose),
        ],
        wanted in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let bytes = wire(status, &location, &body, &shape);
        let want = Outcome::Done {
            status,
            headers: [Some(location), None, None],
            replayed: false,
            body,
            consumed: bytes.len(),
            keep_alive: !matches!(shape, Shape::UntilClose),
        };
        prop_assert_eq!(parse(&bytes, &cuts(&bytes, &wanted), true), want);
    }

    #[test]
    fn noise_never_panics_and_splits_do_not_matter(
        pieces in prop::collection::vec(fragment(), 0..10),
        wanted in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let bytes = pieces.concat();
        prop_assert_eq!(parse(&bytes, &cuts(&bytes, &wanted), true), parse(&bytes, &[], true));
    }
}
