//! Which media type a client wants its errors in (RFC 9110, 12.5.1).

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use crate::envelope::{JSON, PROBLEM_JSON};

/// How to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The envelope.
    Envelope,
    /// Errors as RFC 9457 says.
    Problem,
    /// Neither is accepted.
    NotAcceptable,
}

/// The form a request's `Accept` asks for; without one, the envelope. Whoever names `application/problem+json` takes
/// the envelope for what is no error.
pub fn form(headers: &HeaderMap) -> Form {
    let ranges = Ranges::of(headers);
    let problem_named = ranges.0.iter().any(|(name, weight)| name == PROBLEM_JSON && *weight > 0);
    match (ranges.weight(JSON), ranges.weight(PROBLEM_JSON)) {
        (json, problem) if problem_named && problem >= json => Form::Problem,
        (0, _) => Form::NotAcceptable,
        _ => Form::Envelope,
    }
}

/// Whether a page is wanted rather than data, as browsers say it.
pub(super) fn prefers_html(headers: &HeaderMap) -> bool {
    let ranges = Ranges::of(headers);
    ranges.weight("text/html") > ranges.weight(JSON)
}

/// The media ranges of an `Accept`, each with its weight; none stands for all.
struct Ranges(Vec<(String, u32)>);

impl Ranges {
    fn of(headers: &HeaderMap) -> Self {
        let mut ranges = Vec::new();
        for value in headers.get_all(ACCEPT) {
            // A header that is no text accepts nothing we know.
            ranges.extend(value.to_str().unwrap_or("?").split(',').map(range));
        }
        ranges.retain(|(name, _)| !name.is_empty());
        if ranges.is_empty() {
            ranges.push(("*/*".to_owned(), 1000));
        }
        Self(ranges)
    }

    /// The most specific range that covers the type decides its weight.
    fn weight(&self, media_type: &str) -> u32 {
        let named = |wanted: &str| self.0.iter().find(|(name, _)| name == wanted).map(|(_, weight)| *weight);
        let family = media_type.split('/').next().unwrap_or_default();
        let found = named(media_type).or_else(|| named(&format!("{family}/*"))).or_else(|| named("*/*"));
        found.unwrap_or(0)
    }
}

/// A media range in lower case and its weight in thousandths; a weight that is none counts as 0.
fn range(text: &str) -> (String, u32) {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts
        .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
        .map_or(Some(1.0), |digits| digits.parse::<f32>().ok())
        .filter(|weight| (0.0..=1.0).contains(weight));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
    (name, (weight.unwrap_or(0.0) * 1000.0) as u32)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_form_follows_the_accept_header() {
        let cases: &[(&[&str], Form)] = &[
            (&[], Form::Envelope),
            (&[""], Form::Envelope),
            (&["*/*"], Form::Envelope),
            (&["application/*"], Form::Envelope),
            (&["application/json"], Form::Envelope),
            (&["APPLICATION/JSON; charset=utf-8"], Form::Envelope),
            (&["text/html, */*;q=0.1"], Form::Envelope),
            (&["application/problem+json"], Form::Problem),
            (&["application/json, application/problem+json"], Form::Problem),
            (&["application/json", "application/problem+json"], Form::Problem),
            (&["application/problem+json;q=0.5, application/json"], Form::Envelope),
            (&["application/problem+json;q=0, */*"], Form::Envelope),
            (&["application/problem+json;q=0"], Form::NotAcceptable),
            (&["text/html"], Form::NotAcceptable),
            (&["application/json;q=0"], Form::NotAcceptable),
            (&["application/json;q=0, */*"], Form::NotAcceptable),
            (&["application/json;q=x"], Form::NotAcceptable),
            (&["application/xml;q=1e9"], Form::NotAcceptable),
        ];
        for (values, want) in cases {
            let headers =
                values.iter().map(|value| (ACCEPT, HeaderValue::from_static(value))).collect::<HeaderMap>();
            assert_eq!(form(&headers), *want, "{values:?}");
        }
    }

    #[test]
    fn browsers_get_pages_and_programs_get_data() {
        for (accept, html) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("text/html", true),
            ("text/*, application/json;q=0.5", true),
            ("*/*", false),
            ("application/json, text/html;q=0.9", false),
            ("application/problem+json", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(prefers_html(&headers), html, "{accept}");
        }
        assert!(!prefers_html(&HeaderMap::new()));
    }
}
