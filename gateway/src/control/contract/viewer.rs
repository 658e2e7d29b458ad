//! `GET /docs`: Swagger UI over `/openapi.json`, from the binary alone.
//!
//! The crate carries Swagger UI's release as a zip archive. What an entry of it holds is a raw deflate stream with its
//! CRC and length: exactly what gzip wraps in another head and tail. So the two large files are served with
//! `Content-Encoding: gzip` without ever being unpacked.

use std::sync::OnceLock;

use axum::http::HeaderValue;
use axum::http::header::CONTENT_ENCODING;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use spike_domain::Reason;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;

use super::pages::{HTML, headers};
use crate::control::{Named, Refusal};

/// What the page is made of.
pub(super) const FILES: [&str; 3] = ["start.js", "swagger-ui-bundle.js", "swagger-ui.css"];

const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Spike API</title>\
    <link rel=\"stylesheet\" href=\"/docs/swagger-ui.css\"><div id=\"ui\"></div>\
    <noscript>The document itself is at <a href=\"/openapi.json\">/openapi.json</a>.</noscript>\
    <script src=\"/docs/swagger-ui-bundle.js\"></script><script src=\"/docs/start.js\"></script></html>";
const START: &str = "SwaggerUIBundle({ url: '/openapi.json', dom_id: '#ui', deepLinking: true, validatorUrl: null,\n\
    \x20 presets: [SwaggerUIBundle.presets.apis], layout: 'BaseLayout', persistAuthorization: true });\n";

/// `GET /docs`.
pub(in crate::control) async fn docs() -> Response {
    (headers(HTML), PAGE).into_response()
}

/// `GET /docs/{file}`. Errors: 404.
pub(in crate::control) async fn file(Named(name): Named<String>) -> Response {
    static BUNDLE: OnceLock<Bytes> = OnceLock::new();
    static STYLE: OnceLock<Bytes> = OnceLock::new();
    let unpacked = |entry: &str| gzip(SWAGGER_UI_VENDORED, entry).expect("the archive has it: a test looked");
    let (media_type, zipped) = match name.as_str() {
        "start.js" => return (headers("text/javascript"), START).into_response(),
        "swagger-ui-bundle.js" => {
            ("text/javascript", BUNDLE.get_or_init(|| unpacked("/dist/swagger-ui-bundle.js")))
        }
        "swagger-ui.css" => ("text/css", STYLE.get_or_init(|| unpacked("/dist/swagger-ui.css"))),
        _ => return Refusal::new(Reason::NotFound).into_response(),
    };
    let encoding = (CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    (headers(media_type), [encoding], zipped.clone()).into_response()
}

/// The deflated entry of a zip archive whose name ends like this, as a gzip stream (RFC 1952).
fn gzip(archive: &[u8], name_end: &str) -> Option<Bytes> {
    // The central directory alone has the sizes for certain (APPNOTE 4.3.12); it begins where the end record says.
    let end = archive.windows(4).rposition(|bytes| bytes == b"PK\x05\x06")?;
    let mut at = number(archive, end + 16)?;
    while archive.get(at..at + 4)? == b"PK\x01\x02" {
        let [name, extra, comment] = [28, 30, 32].map(|offset| short(archive, at + offset));
        let (name, extra, comment) = (name?, extra?, comment?);
        let full_name = archive.get(at + 46..at + 46 + name)?;
        if full_name.ends_with(name_end.as_bytes()) && short(archive, at + 10)? == DEFLATED {
            let (size, local) = (number(archive, at + 20)?, number(archive, at + 42)?);
            let start = local + 30 + short(archive, local + 26)? + short(archive, local + 28)?;
            let (crc, length) = (archive.get(at + 16..at + 20)?, archive.get(at + 24..at + 28)?);
            return Some([GZIP_HEAD, archive.get(start..start + size)?, crc, length].concat().into());
        }
        at += 46 + name + extra + comment;
    }
    None
}

const DEFLATED: usize = 8;
/// Magic, deflate, no flags, no time, no extra flags, unknown system.
const GZIP_HEAD: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

fn short(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?).into())
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_are_in_the_archive_and_what_is_not_is_not_found() {
        for (name, least) in [("/dist/swagger-ui-bundle.js", 100_000), ("/dist/swagger-ui.css", 10_000)] {
            let stream = gzip(SWAGGER_UI_VENDORED, name).unwrap();
            assert!(stream.len() > least && stream.starts_with(GZIP_HEAD), "{name}");
        }
        assert_eq!(gzip(SWAGGER_UI_VENDORED, "/dist/nothing.js"), None);
        for cut in [0, 3, 100, SWAGGER_UI_VENDORED.len() - 1000] {
            assert_eq!(gzip(&SWAGGER_UI_VENDORED[..cut], "/dist/swagger-ui.css"), None, "{cut}");
        }
    }
}
