//! Query strings, read as strictly as bodies: a misspelt parameter is told, not ignored.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde_json::{Value, json};
use spike_domain::{OrderId, Reason};

use super::refusal::{Refusal, Result};
use crate::envelope::FieldError;

/// Items of a page where the client does not say.
pub(super) const PAGE_SIZE: u32 = 20;
/// Most items of a page.
pub(super) const PAGE_SIZE_MAX: u32 = 100;
/// Last page that can be asked for; deeper ones would only make the database count.
pub(super) const PAGE_MAX: u32 = 1_000_000;

/// `page` and `page_size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageQuery {
    /// From 1.
    pub page: u32,
    /// 1 to 100.
    pub page_size: u32,
}

/// `cursor` and `page_size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CursorQuery {
    /// The last order of the page before.
    pub cursor: Option<OrderId>,
    /// 1 to 100.
    pub page_size: u32,
}

/// `cursor` and `page_size` of a list whose lines are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineQuery {
    /// The last line of the page before.
    pub cursor: Option<i64>,
    /// 1 to 100.
    pub page_size: u32,
}

impl<S: Sync> FromRequestParts<S> for LineQuery {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let mut query = Parameters::of(parts)?;
        let page_size = query.number("page_size", PAGE_SIZE_MAX).unwrap_or(PAGE_SIZE);
        let cursor = query.take("cursor").and_then(|text| {
            let line = text.parse().ok().filter(|line| *line > 0 && text.bytes().all(|b| b.is_ascii_digit()));
            if line.is_none() {
                query.wrong("cursor", "must be the next_cursor of the page before");
            }
            line
        });
        query.finish(Self { cursor, page_size })
    }
}

impl<S: Sync> FromRequestParts<S> for PageQuery {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let mut query = Parameters::of(parts)?;
        let page = query.number("page", PAGE_MAX).unwrap_or(1);
        let page_size = query.number("page_size", PAGE_SIZE_MAX).unwrap_or(PAGE_SIZE);
        query.finish(Self { page, page_size })
    }
}

impl<S: Sync> FromRequestParts<S> for CursorQuery {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let mut query = Parameters::of(parts)?;
        let page_size = query.number("page_size", PAGE_SIZE_MAX).unwrap_or(PAGE_SIZE);
        let cursor = query.order("cursor");
        query.finish(Self { cursor, page_size })
    }
}

impl PageQuery {
    /// `items`, `page`, `page_size`, `total`.
    pub fn view(&self, items: &[Value], total: u64) -> Value {
        json!({ "items": items, "page": self.page, "page_size": self.page_size, "total": total })
    }
}

/// The parameters not read yet, and what was wrong with those that were.
pub(super) struct Parameters {
    left: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Parameters {
    pub fn of(parts: &Parts) -> Result<Self> {
        let Query(left) = Query::try_from_uri(&parts.uri).map_err(|_| Refusal::new(Reason::Malformed))?;
        Ok(Self { left, errors: Vec::new() })
    }

    /// Takes the first of that name; a second one is left over and refused by [`Self::finish`].
    pub fn take(&mut self, name: &str) -> Option<String> {
        let at = self.left.iter().position(|(given, _)| given == name)?;
        Some(self.left.remove(at).1)
    }

    pub fn number(&mut self, name: &str, most: u32) -> Option<u32> {
        let text = self.take(name)?;
        let plain = text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|number| plain && (1..=most).contains(number));
        if number.is_none() {
            self.wrong(name, &format!("must be an integer from 1 to {most}"));
        }
        number
    }

    /// `page` and `page_size`.
    pub fn page(&mut self) -> PageQuery {
        let page = self.number("page", PAGE_MAX).unwrap_or(1);
        PageQuery { page, page_size: self.page_size() }
    }

    /// `page_size`.
    pub fn page_size(&mut self) -> u32 {
        self.number("page_size", PAGE_SIZE_MAX).unwrap_or(PAGE_SIZE)
    }

    /// A positive integer of 63 bits.
    pub fn id(&mut self, name: &str, message: &str) -> Option<i64> {
        let text = self.take(name)?;
        let id = spike_domain::UserId::parse(&text).map(|id| id.0);
        if id.is_none() {
            self.wrong(name, message);
        }
        id
    }

    /// The last order, or attempt, of the page before.
    pub fn order(&mut self, name: &str) -> Option<OrderId> {
        let text = self.take(name)?;
        let order = OrderId::parse(&text);
        if order.is_none() {
            self.wrong(name, "must be the next_cursor of the page before");
        }
        order
    }

    /// A text that is not empty.
    pub fn text(&mut self, name: &str, chars_max: usize) -> Option<String> {
        let text = self.take(name)?;
        if (1..=chars_max).contains(&text.chars().count()) && !text.contains('\0') {
            return Some(text);
        }
        self.wrong(name, &format!("must have 1 to {chars_max} characters, none of them NUL"));
        None
    }

    /// One of a few words.
    pub fn one_of<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.take(name)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(name, &format!("must be {}", words.join(" or ")));
        }
        found
    }

    pub fn wrong(&mut self, name: &str, message: &str) {
        self.errors.push(FieldError::new(name, message));
    }

    pub fn finish<T>(mut self, value: T) -> Result<T> {
        for (name, _) in std::mem::take(&mut self.left) {
            let name: String = name.chars().take(64).collect();
            self.wrong(&name, "is not a parameter of this request, or is given twice");
        }
        if self.errors.is_empty() { Ok(value) } else { Err(Refusal::fields(self.errors)) }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn page(query: &str) -> Result<PageQuery> {
        let (mut parts, ()) = Request::get(format!("/x?{query}")).body(()).unwrap().into_parts();
        PageQuery::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn pages_have_defaults_and_bounds() {
        for (query, page_number, page_size) in [
            ("", 1, 20),
            ("page=3", 3, 20),
            ("page_size=100&page=2", 2, 100),
            ("page=1000000", 1_000_000, 20),
        ] {
            assert_eq!(page(query).await.unwrap(), PageQuery { page: page_number, page_size }, "{query}");
        }
        for (query, field) in [
            ("page=0", "page"),
            ("page=-1", "page"),
            ("page=%2B1", "page"),
            ("page=", "page"),
            ("page=x", "page"),
            ("page=1000001", "page"),
            ("page=99999999999999999999", "page"),
            ("page_size=101", "page_size"),
            ("page=1&page=2", "page"),
            ("role=admin", "role"),
            ("page%00=1", "page\0"),
        ] {
            let refusal = page(query).await.unwrap_err();
            assert_eq!(
                (refusal.reason, refusal.errors[0].field.as_str()),
                (Reason::Validation, field),
                "{query}"
            );
        }
    }

    #[tokio::test]
    async fn a_cursor_is_an_order() {
        let order = OrderId::new(5);
        for (query, want) in [
            (String::new(), Ok(None)),
            (format!("cursor={order}"), Ok(Some(order))),
            ("cursor=x".into(), Err(())),
        ] {
            let (mut parts, ()) = Request::get(format!("/x?{query}")).body(()).unwrap().into_parts();
            let got = CursorQuery::from_request_parts(&mut parts, &()).await;
            assert_eq!(got.map(|query| query.cursor).map_err(drop), want, "{query}");
        }
    }
}
