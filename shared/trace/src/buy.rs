//! A buy as a hot core leaves it: numbers, from which the queue's thread makes spans.

use std::time::{Duration, SystemTime};

use spike_domain::{EventId, OrderId, TraceContext};

use crate::{Kind, Span, Value};

const ROUTE: &str = "/api/v1/spike/events/{event}/orders";

/// Moments of a buy, nanoseconds on one monotonic clock; 0 where the buy did not come by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamps {
    /// The request is there.
    pub started_ns: u64,
    /// The buyer waits for the ledger.
    pub submitted_ns: u64,
    /// The ledger's answer is there.
    pub decided_ns: u64,
    /// The answer is made.
    pub ended_ns: u64,
}

/// A buy that has ended.
#[derive(Debug, Clone)]
pub struct Buy {
    /// The span of the request.
    pub context: TraceContext,
    /// The client's span, if the client has begun the trace.
    pub parent: Option<u64>,
    /// The span of the ledger call, which the order's outbox entry names.
    pub reserve_span: u64,
    /// When what took how long.
    pub stamps: Stamps,
    /// The moment of `ended_ns`.
    pub ended_at: SystemTime,
    /// HTTP status; 499 for a client that did not wait.
    pub status: u16,
    /// The event.
    pub event: EventId,
    /// The hot core.
    pub core: usize,
    /// The order's id, once there was one.
    pub order: Option<OrderId>,
    /// The request's id.
    pub request_id: String,
}

impl Buy {
    /// The request's span, and the ledger call's where it came to one.
    pub(crate) fn into_spans(self) -> impl Iterator<Item = Span> {
        let reserve = (self.stamps.submitted_ns > 0).then(|| self.reserve());
        [self.request()].into_iter().chain(reserve)
    }

    fn request(self) -> Span {
        let mut attributes: Vec<(&'static str, Value)> = vec![
            ("http.request.method", "POST".into()),
            ("http.route", ROUTE.into()),
            ("http.response.status_code", i64::from(self.status).into()),
            ("spike.event", self.event.0.into()),
            ("spike.core", self.core.into()),
        ];
        attributes.extend(self.order.map(|order| ("spike.order", order.to_string().into())));
        let start = self.at(self.stamps.started_ns);
        attributes.push(("spike.request_id", self.request_id.into()));
        Span {
            context: self.context,
            parent: self.parent,
            kind: Kind::Server,
            name: "POST /api/v1/spike/events/{event}/orders".into(),
            start,
            end: self.ended_at,
            attributes,
            links: Vec::new(),
            error: (self.status >= 500).then(|| format!("status {}", self.status)),
        }
    }

    fn reserve(&self) -> Span {
        let Stamps { submitted_ns, decided_ns, ended_ns, .. } = self.stamps;
        Span {
            context: self.context.at(self.reserve_span),
            parent: Some(self.context.span_id),
            kind: Kind::Client,
            name: "reserve".into(),
            start: self.at(submitted_ns),
            end: self.at(if decided_ns > 0 { decided_ns } else { ended_ns }),
            attributes: vec![("spike.event", self.event.0.into())],
            links: Vec::new(),
            error: (decided_ns == 0).then(|| "no answer".to_owned()),
        }
    }

    fn at(&self, ns: u64) -> SystemTime {
        let before = Duration::from_nanos(self.stamps.ended_ns.saturating_sub(ns));
        self.ended_at.checked_sub(before).unwrap_or(self.ended_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buy(status: u16, stamps: Stamps) -> Vec<Span> {
        let ended_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_763_800_000);
        let (event, order) = (EventId(5), Some(OrderId::new(1)));
        let buy = Buy {
            context: TraceContext { trace_id: 3, span_id: 8, sampled: true },
            parent: Some(7),
            reserve_span: 9,
            stamps,
            ended_at,
            status,
            event,
            core: 1,
            order,
            request_id: "r".into(),
        };
        buy.into_spans().collect()
    }

    #[test]
    fn stamps_become_a_request_with_its_ledger_call_inside() {
        let stamps = Stamps { started_ns: 1000, submitted_ns: 1500, decided_ns: 4000, ended_ns: 4200 };
        let spans = buy(202, stamps);
        let [request, reserve] = &spans[..] else { panic!("{spans:?}") };
        let took = |span: &Span| span.end.duration_since(span.start).unwrap().as_nanos();
        assert_eq!((took(request), took(reserve)), (3200, 2500));
        assert_eq!((request.parent, request.kind, &request.error), (Some(7), Kind::Server, &None));
        assert_eq!(reserve.parent, Some(request.context.span_id));
        assert_eq!((reserve.context.trace_id, reserve.context.span_id), (request.context.trace_id, 9));
    }

    #[test]
    fn a_buy_that_never_came_to_the_ledger_is_one_span() {
        let spans = buy(503, Stamps { started_ns: 1000, ended_ns: 1100, ..Stamps::default() });
        assert_eq!((spans.len(), spans[0].error.as_deref()), (1, Some("status 503")));
        let lost = buy(503, Stamps { started_ns: 1000, submitted_ns: 1010, ended_ns: 2010, decided_ns: 0 });
        assert_eq!(lost[1].error.as_deref(), Some("no answer"));
    }
}
