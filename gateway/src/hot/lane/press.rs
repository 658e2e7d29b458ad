//! Recognises one whole press of *buy* at the start of some bytes, so strictly that no two readers of HTTP could disagree about
//! it. Whatever is not exactly that, or not all there yet, is nobody's here: hyper reads it.
//!
//! Taken (RFC 9112): the one request line, each header once where it counts, names that cannot change a sold-out answer,
//! visible ASCII, one space after the colon or none, CRLF, and a body that is as long as it says and has come whole.

use memchr::memchr;
use spike_domain::EventId;

use crate::hot::press::BODY_MAX;

/// Most header lines of a press that is answered here.
const HEADERS_MAX: usize = 40;
/// Most digits of an event id.
const ID_DIGITS_MAX: usize = 19;

/// Headers that have no part in a sold-out answer, whatever they say and however often they come.
const WITHOUT_PART: [&str; 21] = [
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "content-type",
    "cookie",
    "dnt",
    "forwarded",
    "pragma",
    "priority",
    "referer",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-gpc",
    "user-agent",
    "x-forwarded-for",
    "x-forwarded-proto",
];

/// A press, whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Press {
    /// What is wanted.
    pub event: EventId,
    /// Its bytes, head and body.
    pub length: usize,
}

/// The press at the start of `bytes`.
pub fn recognise(bytes: &[u8]) -> Option<Press> {
    let rest = bytes.strip_prefix(b"POST /api/v1/spike/events/")?;
    let digits = rest.iter().take(ID_DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
    let event = EventId::parse(std::str::from_utf8(&rest[..digits]).ok()?)?;
    let mut head = rest[digits..].strip_prefix(b"/orders HTTP/1.1\r\n")?;
    let mut told = Told::default();
    for _ in 0..=HEADERS_MAX {
        if let Some(body) = head.strip_prefix(b"\r\n") {
            let announced = told.length.unwrap_or(0);
            let whole = told.host && body.len() >= announced;
            return whole.then_some(Press { event, length: bytes.len() - body.len() + announced });
        }
        let end = memchr(b'\r', head)?;
        if head.get(end + 1) != Some(&b'\n') {
            return None;
        }
        told.header(&head[..end])?;
        head = &head[end + 2..];
    }
    None
}

/// What the head has said so far.
#[derive(Default)]
struct Told {
    host: bool,
    length: Option<usize>,
}

impl Told {
    /// Takes a header line; `None`: not to be judged here.
    fn header(&mut self, line: &[u8]) -> Option<()> {
        let colon = memchr(b':', line)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        // Folded so that it runs over whole vectors: a token is some 300 bytes.
        let visible = value.iter().fold(true, |so_far, &byte| so_far & (0x20..0x7f).contains(&byte));
        if !visible || value.is_empty() || value.starts_with(b" ") || value.ends_with(b" ") {
            return None;
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("host") {
            let first = !std::mem::replace(&mut self.host, true);
            return (first && memchr(b' ', value).is_none()).then_some(());
        }
        if is("content-length") {
            return (self.length.replace(length(value)?).is_none()).then_some(());
        }
        let harmless = (is("accept") && matches!(value, b"*/*" | b"application/json"))
            || (is("connection") && value.eq_ignore_ascii_case(b"keep-alive"))
            || WITHOUT_PART.iter().any(|known| is(known));
        harmless.then_some(())
    }
}

/// Up to four digits without a leading zero, and no more than a press may have.
fn length(digits: &[u8]) -> Option<usize> {
    let plain = (1..=4).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    if !plain || (digits[0] == b'0' && digits.len() > 1) {
        return None;
    }
    let length = digits.iter().fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    (length <= BODY_MAX).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "POST /api/v1/spike/events/42/orders HTTP/1.1\r\n";

    fn read(request: &str) -> Option<(i64, usize)> {
        recognise(request.as_bytes()).map(|press| (press.event.0, press.length))
    }

    #[test]
    fn what_clients_send_is_recognised_to_its_last_byte() {
        let heads = [
            "Host: shop.example\r\n\r\n",
            "host:shop.example\r\nconnection: Keep-Alive\r\n\r\n",
            "Host: a\r\nAuthorization: Bearer a.b-c_d\r\nContent-Type: application/json\r\nAccept: */*\r\n\
             User-Agent: k6/1.0 (https://k6.io/)\r\nContent-Length: 0\r\n\r\n",
        ];
        for head in heads {
            let request = format!("{LINE}{head}");
            assert_eq!(read(&request), Some((42, request.len())), "{head}");
            assert_eq!(read(&format!("{request}POST /next")), Some((42, request.len())), "{head}");
        }
        let body = format!("{LINE}Host: a\r\nContent-Length: 14\r\n\r\n{{\"quantity\":1}}");
        assert_eq!(read(&body), Some((42, body.len())));
    }

    #[test]
    fn what_has_not_come_whole_is_not_recognised() {
        let request = format!("{LINE}Host: a\r\nContent-Length: 14\r\n\r\n{{\"quantity\":1}}");
        for length in 0..request.len() {
            assert_eq!(read(&request[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn whatever_could_be_read_in_two_ways_or_answered_in_another_is_left_to_hyper() {
        let lines = [
            "POST /api/v1/spike/events/042/orders HTTP/1.1\r\n",
            "POST /api/v1/spike/events/0/orders HTTP/1.1\r\n",
            "POST /api/v1/spike/events//orders HTTP/1.1\r\n",
            "POST /api/v1/spike/events/99999999999999999999/orders HTTP/1.1\r\n",
            "POST /api/v1/spike/events/42/orders?x=1 HTTP/1.1\r\n",
            "POST /api/v1/spike/events/42/orders/ HTTP/1.1\r\n",
            "POST /api/v1/spike/events/42/orders HTTP/1.0\r\n",
            "POST /api/v1/spike/events/42/orders  HTTP/1.1\r\n",
            "POST /api/v1/spike/events/42/orders HTTP/1.1\n",
            "POST http://a/api/v1/spike/events/42/orders HTTP/1.1\r\n",
            "post /api/v1/spike/events/42/orders HTTP/1.1\r\n",
            "GET /api/v1/spike/events/42/orders HTTP/1.1\r\n",
            "\r\nPOST /api/v1/spike/events/42/orders HTTP/1.1\r\n",
        ];
        for line in lines {
            assert_eq!(read(&format!("{line}Host: a\r\n\r\n")), None, "{line}");
        }
        let headers = [
            "",
            "Host: a\r\nHost: a\r\n",
            "Host:\r\n",
            "Host : a\r\n",
            " Host: a\r\n",
            "Host:  a\r\n",
            "Host: a \r\n",
            "Host: a\t\r\n",
            "Host: \u{e9}\r\n",
            "Host: a\nX: b\r\n",
            "Host: a\rX: b\r\n",
            "Host: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n",
            "Host: a\r\nContent-Length: 00\r\n",
            "Host: a\r\nContent-Length: +0\r\n",
            "Host: a\r\nContent-Length: 0, 0\r\n",
            "Host: a\r\nContent-Length: 0x0\r\n",
            "Host: a\r\nContent-Length: -1\r\n",
            "Host: a\r\nContent-Length: 4097\r\n",
            "Host: a\r\nContent-Length: 99999\r\n",
            "Host: a\r\nTransfer-Encoding: chunked\r\n",
            "Host: a\r\nTransfer-Encoding: identity\r\n",
            "Host: a\r\nExpect: 100-continue\r\n",
            "Host: a\r\nUpgrade: h2c\r\n",
            "Host: a\r\nConnection: close\r\n",
            "Host: a\r\nConnection: keep-alive, upgrade\r\n",
            "Host: a\r\nIdempotency-Key: 1\r\n",
            "Host: a\r\nX-Request-Id: 1\r\n",
            "Host: a\r\nOrigin: https://shop.example\r\n",
            "Host: a\r\nAccept: application/problem+json\r\n",
            "Host: a\r\nAccept: text/html, */*\r\n",
            "Host: a\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
            "Host: a\r\n folded\r\n",
            "Host: a\r\n: empty\r\n",
            "Host: a\r\nX-Unknown: 1\r\n",
            "Host: a\r\nno colon\r\n",
        ];
        for header in headers {
            let body = "x".repeat(5000);
            assert_eq!(read(&format!("{LINE}{header}\r\n{body}")), None, "{header:?}");
        }
        let many = "Cookie: a=b\r\n".repeat(HEADERS_MAX);
        assert_eq!(read(&format!("{LINE}Host: a\r\n{many}\r\n")), None, "too many headers");
    }

    #[test]
    fn no_byte_of_a_head_can_be_bent_unseen() {
        let request = format!("{LINE}Host: shop\r\nContent-Length: 2\r\nAccept: */*\r\n\r\n{{}}");
        let whole = read(&request).unwrap();
        for at in 0..request.len() - 2 {
            for bend in [0_u8, b'\t', b'\n', b'\r', b' ', 0x7f, 0x80, 0xff] {
                let mut bent = request.clone().into_bytes();
                if std::mem::replace(&mut bent[at], bend) == bend {
                    continue;
                }
                let seen = recognise(&bent);
                assert!(seen.is_none(), "byte {at} as {bend:#x}: {seen:?}, whole {whole:?}");
            }
        }
    }
}
