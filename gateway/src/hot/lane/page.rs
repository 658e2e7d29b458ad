//! The sold-out answer as the bytes that hyper would send, with the places of what differs from answer to answer.

use std::io::Write;

use http::{HeaderMap, HeaderValue};
use hyper::body::Body;
use spike_domain::Reason;

use crate::hot::answer::{Answer, Asked, RequestIds, X_REQUEST_ID, hex};
use crate::local::EventLocal;

/// `Date` of HTTP: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub type Date = [u8; DATE_LEN];
const DATE_LEN: usize = 29;

/// The answer of one event.
pub struct Page {
    bytes: Vec<u8>,
    request_id_at: usize,
    date_at: usize,
}

impl Page {
    /// Lays the answer out, as hyper does: status line, headers in their order, length, date, body.
    ///
    /// # Panics
    /// Where the answer has no body at hand or no request id: a mistake in this program.
    pub fn new(event: &EventLocal, cors_origins: &[String]) -> Self {
        let answer = Answer::prebuilt(Reason::SoldOut, event.refusals.sold_out.clone());
        let asked = Asked::read(&HeaderMap::new(), cors_origins, &RequestIds::new(0));
        let response = answer.into_response(asked, false);
        let status = response.status();
        let mut bytes = format!("HTTP/1.1 {status}\r\n").into_bytes();
        let mut request_id_at = None;
        for (name, value) in response.headers() {
            bytes.extend_from_slice(&[name.as_str().as_bytes(), b": "].concat());
            if name == X_REQUEST_ID {
                request_id_at = Some(bytes.len());
            }
            bytes.extend_from_slice(&[HeaderValue::as_bytes(value), b"\r\n"].concat());
        }
        let body = &event.refusals.sold_out;
        assert_eq!(response.body().size_hint().exact(), Some(body.len() as u64), "the body is at hand");
        write!(bytes, "content-length: {}\r\ndate: ", body.len()).expect("memory takes everything");
        let date_at = bytes.len();
        bytes.extend_from_slice(&[b' '; DATE_LEN]);
        bytes.extend_from_slice(&[b"\r\n\r\n", &body[..]].concat());
        Self { bytes, request_id_at: request_id_at.expect("every answer has a request id"), date_at }
    }

    /// Appends one answer.
    pub fn write(&self, out: &mut Vec<u8>, request_id: u64, date: &Date) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let place = |at: usize, length: usize| start + at..start + at + length;
        out[place(self.request_id_at, 16)].copy_from_slice(&hex(request_id));
        out[place(self.date_at, DATE_LEN)].copy_from_slice(date);
    }
}

/// The date of `unix_s`.
///
/// # Panics
/// Beyond the year 9999.
pub fn date(unix_s: u64) -> Date {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(unix_s);
    let text = httpdate::fmt_http_date(at);
    text.as_bytes().try_into().expect("a date of HTTP has 29 characters")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_date_is_that_of_the_standard() {
        assert_eq!(&super::date(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
