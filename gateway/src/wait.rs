//! `?wait=10s`: how long a client lets the answer about its order be held back, and the tags that say what it knows.
//! Read alike by the hot cores and, for what only the database knows, by the control API.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::HeaderMap;
use http::header::IF_NONE_MATCH;
use spike_domain::OrderId;

use crate::envelope::FieldError;

/// Seconds that may be asked for.
const WAIT_S: RangeInclusive<u64> = 1..=30;

/// The `wait` of a query: whole seconds followed by `s`. Other parameters are not looked at.
///
/// # Errors
/// A value that is none, or two of them: 422 naming the field.
pub fn wait_of(query: Option<&str>) -> Result<Option<Duration>, FieldError> {
    let pairs = query.unwrap_or_default().split('&');
    let mut values = pairs.filter_map(|pair| match pair.split_once('=') {
        Some(("wait", value)) => Some(value),
        _ => (pair == "wait").then_some(""),
    });
    let Some(value) = values.next() else { return Ok(None) };
    let seconds = value.strip_suffix('s').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds = seconds.and_then(|digits| digits.parse().ok()).filter(|seconds| WAIT_S.contains(seconds));
    match (seconds, values.next()) {
        (Some(seconds), None) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(FieldError::new("wait", "must be given once, from 1s to 30s")),
    }
}

/// The entity tag of an order in a state. Weak: the position in the queue is not part of it.
pub fn order_tag(order: OrderId, status: &str) -> String {
    format!("W/\"{order}-{status}\"")
}

/// Whether `If-None-Match` names `tag`; `None` without the header.
pub fn known(headers: &HeaderMap, tag: &str) -> Option<bool> {
    let mut values = headers.get_all(IF_NONE_MATCH).iter().peekable();
    values.peek()?;
    // Tags are compared weakly (RFC 9110, 13.1.2): by what stands between the quotes.
    let opaque = tag.trim_start_matches("W/").as_bytes();
    Some(values.any(|value| {
        let value = value.as_bytes();
        value == b"*" || memchr::memmem::find(value, opaque).is_some()
    }))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_wait_is_whole_seconds_within_bounds() {
        let cases = [
            (None, Ok::<_, ()>(None)),
            (Some(""), Ok(None)),
            (Some("page=1&waits=5s"), Ok(None)),
            (Some("wait=1s"), Ok(Some(1))),
            (Some("x=1&wait=10s"), Ok(Some(10))),
            (Some("wait=30s"), Ok(Some(30))),
            (Some("wait=0s"), Err(())),
            (Some("wait=31s"), Err(())),
            (Some("wait=10"), Err(())),
            (Some("wait=s"), Err(())),
            (Some("wait="), Err(())),
            (Some("wait"), Err(())),
            (Some("wait=-1s"), Err(())),
            (Some("wait=1.5s"), Err(())),
            (Some("wait=10m"), Err(())),
            (Some("wait=99999999999999999999s"), Err(())),
            (Some("wait=5s&wait=5s"), Err(())),
        ];
        for (query, want) in cases {
            let got = wait_of(query).map(|wait| wait.map(|wait| wait.as_secs())).map_err(drop);
            assert_eq!(got, want, "{query:?}");
        }
    }

    #[test]
    fn tags_are_compared_weakly() {
        let tag = order_tag(OrderId::new(1), "queued");
        let strong = tag.trim_start_matches("W/").to_owned();
        let other = order_tag(OrderId::new(1), "pending");
        for (given, want) in [
            (vec![], None),
            (vec![tag.clone()], Some(true)),
            (vec![strong], Some(true)),
            (vec![format!("{other}, {tag}")], Some(true)),
            (vec![other.clone(), tag.clone()], Some(true)),
            (vec!["*".to_owned()], Some(true)),
            (vec![other], Some(false)),
        ] {
            let headers: HeaderMap =
                given.iter().map(|value| (IF_NONE_MATCH, HeaderValue::from_str(value).unwrap())).collect();
            assert_eq!(known(&headers, &tag), want, "{given:?}");
        }
    }
}
