//! A span that has ended, as its maker knows it, and as the SDK sends it.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use spike_domain::TraceContext;

/// What a span is to those beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Work within a process.
    Internal,
    /// Answers a request.
    Server,
    /// Makes one.
    Client,
    /// Sends a message.
    Producer,
    /// Works on a message.
    Consumer,
}

/// A span that has ended.
#[derive(Debug, Clone)]
pub struct Span {
    /// Itself.
    pub context: TraceContext,
    /// The span it is a child of, in the same trace, and whether that is another process's.
    pub parent: Option<(u64, bool)>,
    /// What it is.
    pub kind: Kind,
    /// Few different ones: no ids.
    pub name: Cow<'static, str>,
    /// When it began.
    pub start: SystemTime,
    /// When it ended.
    pub end: SystemTime,
    /// What else is known of it.
    pub attributes: Vec<KeyValue>,
    /// Spans of other traces that it has to do with.
    pub links: Vec<TraceContext>,
    /// What went wrong.
    pub error: Option<String>,
}

/// A fresh span id; never 0.
pub fn new_span_id() -> u64 {
    fastrand::u64(1..)
}

/// A fresh trace at its first span, recorded.
pub fn root() -> TraceContext {
    TraceContext { trace_id: fastrand::u128(1..), span_id: new_span_id(), sampled: true }
}

impl Span {
    /// A span of `context` that is a child of `parent`'s span, which is another process's.
    pub fn after(context: TraceContext, parent: TraceContext, kind: Kind, name: &'static str) -> Self {
        let now = SystemTime::now();
        Self {
            context,
            parent: Some((parent.span_id, true)),
            kind,
            name: name.into(),
            start: now,
            end: now,
            attributes: Vec::new(),
            links: Vec::new(),
            error: None,
        }
    }

    pub(super) fn into_data(self) -> SpanData {
        let link = |to: &TraceContext| Link::new(span_context(*to, true), Vec::new(), 0);
        let mut links = SpanLinks::default();
        links.links = self.links.iter().map(link).collect();
        SpanData {
            span_context: span_context(self.context, false),
            parent_span_id: self.parent.map_or(SpanId::INVALID, |(id, _)| SpanId::from(id)),
            parent_span_is_remote: self.parent.is_some_and(|(_, remote)| remote),
            span_kind: match self.kind {
                Kind::Internal => SpanKind::Internal,
                Kind::Server => SpanKind::Server,
                Kind::Client => SpanKind::Client,
                Kind::Producer => SpanKind::Producer,
                Kind::Consumer => SpanKind::Consumer,
            },
            name: self.name,
            start_time: self.start,
            end_time: self.end,
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status: self.error.map_or(Status::Unset, Status::error),
            instrumentation_scope: scope(),
        }
    }
}

pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("spike").with_version(env!("CARGO_PKG_VERSION")).build()
}

pub(super) fn span_context(context: TraceContext, remote: bool) -> SpanContext {
    SpanContext::new(
        TraceId::from(context.trace_id),
        SpanId::from(context.span_id),
        TraceFlags::default().with_sampled(context.sampled),
        remote,
        TraceState::NONE,
    )
}

/// What the SDK knows of a span; `None` for one that is nowhere.
pub(super) fn trace_context(of: &SpanContext) -> Option<TraceContext> {
    of.is_valid().then(|| TraceContext {
        trace_id: u128::from_be_bytes(of.trace_id().to_bytes()),
        span_id: u64::from_be_bytes(of.span_id().to_bytes()),
        sampled: of.is_sampled(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_the_same_on_both_sides() {
        for context in [root(), TraceContext { trace_id: 1, span_id: u64::MAX, sampled: false }] {
            assert_eq!(trace_context(&span_context(context, true)), Some(context));
        }
        assert_eq!(trace_context(&SpanContext::NONE), None);
    }

    #[test]
    fn a_span_becomes_what_is_sent() {
        let (parent, other) = (root(), root());
        let context = parent.at(new_span_id());
        let mut span = Span::after(context, parent, Kind::Producer, "publish");
        span.links.push(other);
        span.error = Some("no route".into());
        let data = span.into_data();
        assert_eq!(data.span_context, span_context(context, false));
        assert_eq!((data.parent_span_id, data.parent_span_is_remote), (SpanId::from(parent.span_id), true));
        assert_eq!(data.links.links[0].span_context.trace_id(), TraceId::from(other.trace_id));
        assert_eq!(data.status, Status::error("no route"));
    }
}
