//! Requests as the bytes that go over the wire, so that sending one is a copy and a write.

use std::fmt::Write as _;

/// One request, complete with its body; reusable as a buffer by [`Template::fill`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request(Vec<u8>);

impl Request {
    /// A request built from its parts. Header names and values are written as they are: none may hold CR or LF.
    pub fn new(method: &str, path: &str, host: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Self {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        // A POST without a length would be a guess for the server; a GET needs none.
        if body.is_some() || method != "GET" {
            let _ = write!(head, "Content-Length: {}\r\n", body.map_or(0, <[u8]>::len));
        }
        if body.is_some() {
            head.push_str("Content-Type: application/json\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body.unwrap_or_default());
        Self(bytes)
    }

    /// The bytes of the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What the presses of a sale have in common: everything but the token and the idempotency key.
#[derive(Debug, Clone)]
pub struct Template {
    /// From the method to `Authorization: Bearer `.
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Template {
    /// A JSON POST of `body` to `path`.
    pub fn post(path: &str, host: &str, body: &[u8]) -> Self {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Authorization: Bearer ",
            body.len()
        );
        Self { head: head.into_bytes(), body: body.to_vec() }
    }

    /// Writes the request of one press into `request`, replacing what it held; no allocation once it has grown.
    pub fn fill(&self, request: &mut Request, token: &str, idempotency_key: Option<&str>) {
        let bytes = &mut request.0;
        bytes.clear();
        bytes.extend_from_slice(&self.head);
        bytes.extend_from_slice(token.as_bytes());
        if let Some(key) = idempotency_key {
            bytes.extend_from_slice(b"\r\nIdempotency-Key: ");
            bytes.extend_from_slice(key.as_bytes());
        }
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes.extend_from_slice(&self.body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_these_bytes() {
        let request = Request::new("POST", "/a", "h:1", &[("X-A", "b")], Some(b"{}"));
        let want = "POST /a HTTP/1.1\r\nHost: h:1\r\nX-A: b\r\nContent-Length: 2\r\n\
                    Content-Type: application/json\r\n\r\n{}";
        assert_eq!(std::str::from_utf8(request.as_bytes()).unwrap(), want);
        assert_eq!(Request::new("GET", "/", "h", &[], None).as_bytes(), b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(
            Request::new("POST", "/", "h", &[], None).as_bytes(),
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn a_template_differs_by_token_and_key_only() {
        let template = Template::post("/buy", "h", br#"{"quantity":1}"#);
        let mut request = Request::default();
        let head =
            "POST /buy HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 14\r\n";
        template.fill(&mut request, "aa", Some("k1"));
        let want = format!("{head}Authorization: Bearer aa\r\nIdempotency-Key: k1\r\n\r\n{{\"quantity\":1}}");
        assert_eq!(std::str::from_utf8(request.as_bytes()).unwrap(), want);
        template.fill(&mut request, "b", None);
        let want = format!("{head}Authorization: Bearer b\r\n\r\n{{\"quantity\":1}}");
        assert_eq!(std::str::from_utf8(request.as_bytes()).unwrap(), want);
    }
}
