//! The query of the list of events: `page`, `page_size`, `state` and `sort`.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use spike_domain::EventState;
use spike_store::{EventList, EventSort};

use super::query::{PAGE_MAX, PAGE_SIZE, PAGE_SIZE_MAX, Parameters};
use super::refusal::{Refusal, Result};

/// The states by which events may be listed.
pub(super) const STATES: [(&str, EventState); 4] = [
    ("scheduled", EventState::Scheduled),
    ("open", EventState::Open),
    ("paused", EventState::Paused),
    ("closed", EventState::Closed),
];

/// What a client may ask of the list of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventQuery(pub EventList);

impl<S: Sync> FromRequestParts<S> for EventQuery {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let mut query = Parameters::of(parts)?;
        let (sort, descending) = sort(&mut query);
        let list = EventList {
            state: state(&mut query),
            sort,
            descending,
            page: query.number("page", PAGE_MAX).unwrap_or(1),
            page_size: query.number("page_size", PAGE_SIZE_MAX).unwrap_or(PAGE_SIZE),
        };
        query.finish(Self(list))
    }
}

fn state(query: &mut Parameters) -> Option<EventState> {
    let word = query.take("state")?;
    let state = STATES.into_iter().find(|(known, _)| *known == word).map(|(_, state)| state);
    if state.is_none() {
        query.wrong("state", &format!("must be one of {}", STATES.map(|(word, _)| word).join(", ")));
    }
    state
}

/// `field,asc` or `field,desc`; `field` alone is ascending; nothing at all is newest first.
fn sort(query: &mut Parameters) -> (EventSort, bool) {
    let Some(text) = query.take("sort") else { return (EventSort::Id, true) };
    let (field, way) = text.split_once(',').unwrap_or((&text, "asc"));
    let field = EventSort::ALL.into_iter().find(|sort| sort.as_str() == field);
    match (field, way) {
        (Some(field), "asc") => (field, false),
        (Some(field), "desc") => (field, true),
        _ => {
            let fields = EventSort::ALL.map(EventSort::as_str).join(", ");
            query.wrong("sort", &format!("must be one of {fields}, then ,asc or ,desc"));
            (EventSort::Id, true)
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn list(query: &str) -> Result<EventList> {
        let (mut parts, ()) = Request::get(format!("/x?{query}")).body(()).unwrap().into_parts();
        EventQuery::from_request_parts(&mut parts, &()).await.map(|EventQuery(list)| list)
    }

    #[tokio::test]
    async fn filter_and_sort_are_read_strictly() {
        let newest = EventList { state: None, sort: EventSort::Id, descending: true, page: 1, page_size: 20 };
        assert_eq!(list("").await.unwrap(), newest);
        let open = EventList {
            state: Some(EventState::Open),
            sort: EventSort::StartsAt,
            descending: false,
            ..newest
        };
        assert_eq!(list("state=open&sort=starts_at").await.unwrap(), open);
        let ends = EventList { sort: EventSort::EndsAt, page: 2, page_size: 5, ..newest };
        assert_eq!(list("sort=ends_at,desc&page=2&page_size=5").await.unwrap(), ends);
        for (query, field) in [
            ("state=Open", "state"),
            ("state=", "state"),
            ("sort=name", "sort"),
            ("sort=id,up", "sort"),
            ("sort=id,asc,desc", "sort"),
            ("sort=id&sort=id", "sort"),
            ("colour=red", "colour"),
        ] {
            let refusal = list(query).await.unwrap_err();
            assert_eq!(refusal.errors[0].field, field, "{query}");
        }
    }
}
