//! Versions as ETags (RFC 9110, 8.8.3 and 13.1): a change names the version it was made from, and who has read a
//! version need not read it again.
//!
//! A tag is the version in quotes, `"3"`. A change without `If-Match` is 428, one made from another version 412.

use axum::extract::FromRequestParts;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use spike_domain::Reason;
use spike_store::Expected;

use super::refusal::{Refusal, Result};

/// The versions an `If-Match` names; without one the request is refused.
#[derive(Debug, Clone)]
pub struct IfMatch(pub Expected);

/// The same where a change may do without one.
#[derive(Debug, Clone)]
pub struct MayMatch(pub Option<Expected>);

/// The tags of an `If-None-Match`.
#[derive(Debug, Clone)]
pub struct Known(Vec<String>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        if_match(&parts.headers).map(Self).ok_or(Refusal::new(Reason::PreconditionRequired))
    }
}

impl<S: Sync> FromRequestParts<S> for MayMatch {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Ok(Self(if_match(&parts.headers)))
    }
}

impl<S: Sync> FromRequestParts<S> for Known {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Ok(Self(tags(&parts.headers, &IF_NONE_MATCH).collect()))
    }
}

impl Known {
    /// Whether the client has what `tag` stands for. Weak tags are as good as strong ones here.
    pub fn has(&self, tag: &str) -> bool {
        let tag = tag.trim_start_matches("W/");
        self.0.iter().any(|known| known == "*" || known.trim_start_matches("W/") == tag)
    }
}

/// The tag of a version.
pub fn tag_of(version: u32) -> String {
    format!("\"{version}\"")
}

/// A tag that is no version of ours, a weak one too, matches nothing.
fn if_match(headers: &HeaderMap) -> Option<Expected> {
    headers.contains_key(IF_MATCH).then(|| {
        let given: Vec<_> = tags(headers, &IF_MATCH).collect();
        if given.iter().any(|tag| tag == "*") {
            return Expected::Any;
        }
        let version = |tag: &String| {
            let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
            let version = digits.parse().ok()?;
            (tag_of(version) == *tag).then_some(version)
        };
        Expected::OneOf(given.iter().filter_map(version).collect())
    })
}

fn tags<'a>(headers: &'a HeaderMap, name: &'a HeaderName) -> impl Iterator<Item = String> + 'a {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|tag| tag.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_change_names_versions_of_ours() {
        let versions = |versions: &[u32]| Some(Expected::OneOf(versions.to_vec()));
        let cases: &[(&[&str], Option<Expected>)] = &[
            (&[], None),
            (&["\"3\""], versions(&[3])),
            (&["\"3\", \"4\"", "\"5\""], versions(&[3, 4, 5])),
            (&["*"], Some(Expected::Any)),
            (&["W/\"3\""], versions(&[])),
            (&["3"], versions(&[])),
            (&["\"03\", \"+3\", \"-3\", \"x\", \"4294967296\", \""], versions(&[])),
            (&[""], versions(&[])),
        ];
        for (values, want) in cases {
            assert_eq!(if_match(&headers(&IF_MATCH, values)), *want, "{values:?}");
        }
    }

    #[test]
    fn what_is_known_is_told_by_its_tag() {
        for (given, tag, known) in [
            ("\"3\"", "\"3\"", true),
            ("W/\"3\"", "\"3\"", true),
            ("\"x\", \"3\"", "W/\"3\"", true),
            ("*", "\"3\"", true),
            ("\"33\"", "\"3\"", false),
            ("", "\"3\"", false),
        ] {
            let tags = Known(tags(&headers(&IF_NONE_MATCH, &[given]), &IF_NONE_MATCH).collect());
            assert_eq!(tags.has(tag), known, "{given}");
        }
    }
}
